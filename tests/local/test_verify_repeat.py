"""``arkor-dev verify --repeat`` on a real tiny model: the same bits, or why they cannot be."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from arkor_dev.contract.provenance.statement import FILE

from .conftest import make_project
from .forking_backend import of_a_studio
from .harness import FORKS

pytestmark = [pytest.mark.engine, pytest.mark.timeout(400)]  # three trainings, and a busy machine

TOML = """
[[trainer]]
name = "parrot"
model = "./models/tiny"
dataset = "data/chats.jsonl"
steps = 6
learning_rate = 1e-2
eval_every = 0
eval_split = 0
log_every = 1
samples = "off"
number_format = "float32"
lora = { dropout = 0.1 }
"""


@pytest.fixture
def project(tmp_path: Path, tiny: Path, template: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in of_a_studio(template).items():
        monkeypatch.setenv(name, value)
    project = make_project(tmp_path / "own", tiny)
    (project / "arkor.toml").write_text(TOML)
    return project


def run(project: Path, code: int, command: str, *more: str) -> str:
    """What ``arkor-dev`` says, in a process of its own with a home of its own."""
    mine = ("XDG_", "ARKOR_")
    kept = {key: value for key, value in os.environ.items() if key == FORKS or not key.startswith(mine)}
    env = {**kept, "HOME": str(project.parent / "home")}
    env |= {"OMP_NUM_THREADS": "1", "ARKOR_LEAST_FREE_BYTES": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "arkor_dev", command, *more, "--project", str(project)],
        env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert done.returncode == code, (done.stdout, done.stderr)
    return done.stdout


def started(said: str) -> str:
    """The id of the job that was started."""
    found = re.search(r"^Started job (\S+)$", said, re.MULTILINE)
    assert found
    return found[1]


@pytest.mark.ci
def test_verify_reproduces_a_job_bit_for_bit(project: Path) -> None:
    job = started(run(project, 0, "start", "--local"))
    said = run(project, 0, "verify", job, "--repeat")
    assert "match the provenance" in said
    assert said.splitlines()[-1] == "Reproduced: the repeated training is the same bit for bit."

    # As another machine would have written it: other bits, for a reason that is named.
    home = Path(run(project, 0, "local", "path").strip())
    folder = home / "jobs" / job / "final"
    made: dict[str, Any] = json.loads((folder / FILE).read_text())
    weights = folder / "adapter_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert "adapter_model.safetensors does not match its hash" in run(project, 1, "verify", job)
    (subject,) = [each for each in made["subject"] if each["name"] == weights.name]
    subject["digest"]["sha256"] = hashlib.sha256(content).hexdigest()
    made["predicate"]["buildDefinition"]["internalParameters"]["processor"] = "Another one"
    (folder / FILE).write_text(json.dumps(made))
    told = json.loads(run(project, 0, "verify", job, "--repeat", "--json"))["repeat"]
    assert (told["same"], told["ok"]) == (False, True)
    assert [each["name"] for each in told["files"] if not each["same"]] == [weights.name]
    (reason,) = told["reasons"]
    assert reason.endswith("was Another one")
    assert told["losses"]["loss"]["before"] == told["losses"]["loss"]["now"]

    # Without the data of the run there is nothing to train on again.
    with (project / "data" / "chats.jsonl").open("a") as file:
        file.write('{"prompt": "a", "completion": "b"}\n')
    run(project, 2, "verify", job, "--repeat")
