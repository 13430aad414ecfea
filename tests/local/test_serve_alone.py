"""``arkor-dev serve --local`` by itself: it answers, trains nothing, and leaves nothing running."""

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
from .harness import until
from .test_daemon_killed import marked

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_an_endpoint_is_served_without_studio(tmp_path: Path, tiny: Path) -> None:
    home, project, mark = tmp_path / "home", make_project(tmp_path / "tests", tiny), secrets.token_hex(8)
    data = home / ".local" / "share" / "arkor-dev"
    kept = Settings(project=project, home=home, data=data, cache=tmp_path / "cache").local_data
    kept.mkdir(parents=True)
    store = Store(kept / "backend.sqlite", "local")
    target = {"kind": "base_model", "baseModel": "./models/tiny"}
    deployments.create(store, {"slug": "bot", "target": target, "authMode": "none"})
    waiting = store.create("waiting", CONFIG)["id"]
    store.close()
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "arkor_dev", "serve", "bot", "--local", "--port", str(port),
         "--project", str(project)],
        env={**environment(home), "ARKOR_TEST_MARK": mark, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.PIPE,
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
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        until(lambda: marked(mark) == [])
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
    store = Store(kept / "backend.sqlite", "local")
    (job,) = json.loads(store.listing())["jobs"]
    store.close()
    assert (job["id"], job["status"]) == (waiting, "queued")
