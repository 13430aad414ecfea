"""``arkor-dev start --local`` on its own: a backend for it alone, a real tiny model, and nothing left."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .conftest import make_project
from .forking_backend import of_a_studio
from .harness import until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.engine, pytest.mark.beside, pytest.mark.timeout(300)]

TOML = """
[[trainer]]
name = "parrot"
model = "./models/tiny"
dataset = "data/chats.jsonl"
steps = {steps}
log_every = 1
learning_rate = 1e-2
eval_split = 0.1
samples = "off"
"""


@contextmanager
def started(project: Path, home: Path, steps: int, **env: str) -> Iterator[subprocess.Popen[str]]:
    (project / "arkor.toml").write_text(TOML.format(steps=steps))
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("XDG_", "ARKOR_"))}
    with subprocess.Popen(
        [sys.executable, "-m", "arkor_dev", "start", "--local", "--project", str(project)],
        env={**kept, "HOME": str(home), **env},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def processes_of(project: Path) -> list[str]:
    """Command lines of live processes that name the project (Linux; a zombie has none)."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [line for line in found if str(project) in line]


@pytest.fixture
def project(tmp_path: Path, tiny: Path) -> Path:
    return make_project(tmp_path / "own", tiny)


@pytest.mark.quick
def test_start_local_trains_without_studio(project: Path, tmp_path: Path, template: dict[str, str]) -> None:
    with started(project, tmp_path, steps=4, **of_a_studio(template)) as process:
        out, err = process.communicate(timeout=90)
    assert (process.returncode, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("Estimating time and memory"), "measured before the job is created"
    job = re.search(r"^Started job (\S+)\nForecast: about \d:\d\d, peak ", out, re.MULTILINE)
    assert job
    assert lines[-1] == f"Job {job[1]} finished with status=completed"
    text = "\n".join(lines)
    assert re.search(r"training: \S+, on \S+ \S+, 54 rows to train on, 6 held out, 4 steps", text)
    assert re.search(r"step 4/4  loss \d+\.\d{3}  lr \S+  \S+ s/step  \d:\d\d left", text)
    assert re.search(r"step 4/4  eval \d+\.\d{3}", text)
    assert re.search(r"completed: loss \S+, eval loss \S+, best eval loss \S+, 4 steps in 0:\d\d", text)
    assert not (project / ".arkor").exists()
    until(lambda: not processes_of(project))


def test_ctrl_c_pauses_a_job_that_can_be_resumed(
    project: Path, tmp_path: Path, template: dict[str, str]
) -> None:
    with started(project, tmp_path, steps=1_000_000, **of_a_studio(template)) as process:
        assert process.stdout is not None
        assert any(line.startswith("step ") for line in process.stdout)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=90)
    assert (process.returncode, err) == (130, "")
    said = re.search(r"^Job (\S+) is paused: its backend was started for this command", out, re.MULTILINE)
    assert said
    until(lambda: not processes_of(project))
    listed = subprocess.run(
        [sys.executable, "-m", "arkor_dev", "jobs", "--local", "--json", "--project", str(project)],
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        check=True,
        timeout=60,
    )
    (job,) = json.loads(listed.stdout)["jobs"]
    assert (job["id"], job["status"], job["pause"]["reason"]) == (said[1], "paused", "ended")
