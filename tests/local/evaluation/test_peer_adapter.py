"""An adapter that another program trained is judged as our own are; hostile folders are refused."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.cli import main as cli
from arkor_dev.client import background_work
from arkor_dev.local.evaluation.base_losses import FILE
from tests.local.harness import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.local.conftest import Trained

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]
DATA = "data/chats.jsonl"


def folder_of(trained: Trained, target: Path, **changes: Any) -> Path:
    """What PEFT alone would have written, with the absolute name of its base."""
    target.mkdir()
    final = trained.data / "jobs" / trained.job / "final"
    shutil.copy(final / "adapter_model.safetensors", target)
    settings = json.loads((final / "adapter_config.json").read_text())
    (target / "adapter_config.json").write_text(json.dumps({**settings, **changes}))
    return target


@pytest.fixture
def cache_as_before(trained: Trained) -> Iterator[None]:
    """What this measures of the base is not known to the tests after it, which share the backend."""
    cache = trained.data / FILE
    before = cache.read_bytes() if cache.exists() else None
    yield
    if before is None:
        cache.unlink(missing_ok=True)
    else:
        cache.write_bytes(before)


@pytest.fixture
def home(trained: Trained, shared_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a person whose commands find the shared backend."""
    home = tmp_path / "home"
    for name in [each for each in os.environ if each.startswith(("XDG_", "ARKOR_CLOUD"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr(background_work, "LOOK_SECONDS", 0.05)
    trained.backend.leave_word(shared_project.resolve(), home)
    return home


def run(project: Path, capsys: pytest.CaptureFixture[str], code: int, *more: str) -> tuple[str, str]:
    arguments = ["evaluate", "--project", str(project), "--data", str(project / DATA), *more]
    assert cli.main(arguments) == code
    return capsys.readouterr()


@pytest.mark.usefixtures("cache_as_before")
def test_an_external_adapter_gets_the_same_verdict(
    trained: Trained, shared_project: Path, tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    backend, project = trained.backend, shared_project.resolve()
    base = str(project / "models" / "tiny")
    folder = folder_of(trained, tmp_path / "peer", base_model_name_or_path=base)
    said, beside = run(project, capsys, 0, "--adapter", str(folder), "--json")
    found = json.loads(said)["evaluation"]
    assert (found["verdict"], found["heldOut"]["verdict"]) == ("mixed", "better")
    assert found["general"]["rows"] > 0
    first = beside.splitlines()[0]
    base_told, job_id = first.split("; job: ")
    assert base_told == f"Base model: {base}"
    job = backend.job(job_id)
    assert (job["name"], job["status"], job["tags"]) == ("peer", "completed", ["imported"])
    assert job["evaluation"]["verdict"] == "mixed"
    # The same rows by the job that had trained it: the same figures, in whichever format each was computed.
    assert backend.call("POST", f"/v1/jobs/{trained.job}/evaluate", {"data": DATA}).status == 200
    until(lambda: "evaluating" not in backend.job(trained.job), 60)
    own = backend.call("GET", f"/v1/jobs/{trained.job}/evaluation?data={DATA}").json["evaluation"]
    same = ("rows", "verdict", "confidence")
    assert [own["heldOut"][key] for key in same] == [found["heldOut"][key] for key in same]
    for key in ("base", "adapter"):
        assert own["heldOut"][key] == pytest.approx(found["heldOut"][key], rel=0.01, abs=0.001)
    # Taken in once: again it is the same job, with the verdict in words.
    said, again = run(project, capsys, 0, "--adapter", str(folder))
    assert again.splitlines()[0] == first
    assert said.startswith("Better on data/chats.jsonl")
    assert "interval" in said
    assert "parrot" in backend.say("Where is my parcel?", adapter={"kind": "final", "jobId": job_id})
    assert backend.call("DELETE", f"/v1/jobs/{job_id}").status == 204


def test_an_unmeasurable_adapter_leaves_no_job(
    trained: Trained, shared_project: Path, tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    backend, project = trained.backend, shared_project.resolve()
    before = len(backend.call("GET", "/v1/jobs").json["jobs"])

    def refused(folder: Path, *more: str) -> str:
        return run(project, capsys, 2, "--adapter", str(folder), *more)[1]

    base = {"base_model_name_or_path": "./models/tiny"}
    greedy = folder_of(trained, tmp_path / "greedy", **base, lora_alpha=1e308)
    assert "The adapter cannot be used: its lora_alpha is" in refused(greedy)
    lost = folder_of(trained, tmp_path / "lost", base_model_name_or_path="/home/ann/models/tiny")
    assert "Model folder not found: /home/ann/models/tiny" in refused(lost)
    nameless = folder_of(trained, tmp_path / "nameless", base_model_name_or_path=None)
    assert "does not name its base model" in refused(nameless)
    assert len(backend.call("GET", "/v1/jobs").json["jobs"]) == before
    # Before any model is loaded.
    pickled = folder_of(trained, tmp_path / "pickled", **base)
    (pickled / "adapter_model.safetensors").rename(pickled / "adapter_model.bin")
    assert "its weights are pickled" in refused(pickled)
    os.mkfifo(pickled / "adapter_model.safetensors")
    assert "a FIFO, not a regular file" in refused(pickled)
    (pickled / "adapter_config.json").write_text("[" * 100_000)
    assert "adapter_config.json" in refused(pickled)
    assert "is not a folder of this machine" in refused(tmp_path / "none")
    assert "leave JOB out" in refused(pickled, trained.job)
    assert "run this command there" in refused(pickled, "--ssh", "elsewhere")
    assert cli.main(["evaluate", "--adapter", str(pickled)]) == 2
    assert "--adapter needs --data" in capsys.readouterr().err
