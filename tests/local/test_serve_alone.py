"""``arkor-dev serve --local`` by itself: it answers, trains only what is asked for, and leaves nothing."""

from __future__ import annotations

import json
import secrets
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from openai import OpenAI

from arkor_dev.core.settings import Settings
from arkor_dev.local.endpoints import deployments
from arkor_dev.local.jobs.store import Store
from tests.support.daemon import environment, free_port

from .conftest import CONFIG, make_project
from .forking_backend import of_a_studio
from .harness import until
from .test_daemon_killed import marked

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.contract.shapes import DeploymentTarget


TOML = """
[[trainer]]
name = "parrot"
model = "./models/tiny"
dataset = "data/chats.jsonl"
steps = 1
samples = "off"
"""


def statuses(kept: Path) -> dict[str, str]:
    """What became of each job."""
    store = Store(kept / "backend.sqlite", "local")
    jobs = json.loads(store.listing())["jobs"]
    store.close()
    return {job["id"]: job["status"] for job in jobs}


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_serve_works_without_studio(tmp_path: Path, tiny: Path, template: dict[str, str]) -> None:
    home, project, mark = tmp_path / "home", make_project(tmp_path / "tests", tiny), secrets.token_hex(8)
    data = home / ".local" / "share" / "arkor-dev"
    kept = Settings(project=project, home=home, data=data, cache=tmp_path / "cache").local_data
    kept.mkdir(parents=True)
    store = Store(kept / "backend.sqlite", "local")
    target: DeploymentTarget = {"kind": "base_model", "baseModel": "./models/tiny"}
    deployments.create(store, {"slug": "bot", "target": target, "authMode": "none"})
    waiting = store.create("waiting", CONFIG)["id"]
    store.close()
    port = free_port()
    env = {**environment(home), "ARKOR_TEST_MARK": mark, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    env |= {"ARKOR_LEAST_FREE_BYTES": "0", **of_a_studio(template)}
    process = subprocess.Popen(
        [sys.executable, "-m", "arkor_dev", "serve", "bot", "--local", "--port", str(port),
         "--project", str(project)],
        env=env, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        said = [process.stdout.readline().decode() for _ in range(3)]
        assert said[0] == f"Serving http://localhost:{port}/e/bot/v1 (model bot)\n"
        base = f"http://localhost:{port}/e/bot/v1"
        with OpenAI(base_url=base, api_key="none", max_retries=0, timeout=60) as client:
            answer = client.chat.completions.create(
                model="bot", messages=[{"role": "user", "content": "Hi"}], max_tokens=4, stream=False
            )
        assert answer.usage is not None
        assert 0 < answer.usage.completion_tokens <= 4
        assert statuses(kept) == {waiting: "queued"}
        # Whoever starts a job beside it is not left waiting: its backend begins to work.
        (project / "arkor.toml").write_text(TOML)
        for command in (["jobs", "cancel", waiting], ["start"]):
            done = subprocess.run(
                [sys.executable, "-m", "arkor_dev", *command, "--project", str(project)],
                env=env, capture_output=True, text=True, timeout=120, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done
        assert sorted(statuses(kept).values()) == ["cancelled", "completed"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        until(lambda: marked(mark) == [])
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
