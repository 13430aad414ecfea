"""Which files a job sends: data, model and the state to resume from, and nothing else of the project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.cluster import code_package
from arkor_dev.local.cluster.outgoing_files import job_files, model_files
from arkor_dev.local.execution.messages import JobRequest
from arkor_dev.local.workers.errors import JobFailure
from tests.local.job_configs import config_of

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.local.execution.messages import ResumeOptions

ID = "job_0123456789ab"


def write(path: Path, text: str = "{}") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def job_of(root: Path, resume: ResumeOptions | None = None, **config: Any) -> JobRequest:
    source = {"type": "file", "path": "data/chats.jsonl"}
    whole = {"datasetSource": source, **config}
    return JobRequest(ID, config_of(whole), str(root / "state"), str(root / "bot"), resume)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("data/chats.jsonl", "data/more/a.jsonl", "data/more/b.jsonl", "secret.env", "arkor.toml"):
        write(tmp_path / "bot" / name)
    home = tmp_path / "state" / "jobs" / ID
    for name in ("checkpoints/5/state.pt", "checkpoints/6.part/state.pt", "resume/7/state.pt", "votes.jsonl"):
        write(home / name)
    write(home / "parent" / "adapter_model.safetensors")
    write(tmp_path / "state" / "number-formats.json")
    write(tmp_path / "state" / "backend.sqlite")
    return tmp_path


def test_a_new_job_uploads_data_and_parent(root: Path) -> None:
    more = {
        "type": "list",
        "sources": [{"type": "file", "path": "data/more"}, {"type": "huggingface", "name": "x"}],
    }
    sent = job_files(job_of(root, evalDatasetSource=more))
    assert set(sent.files) == {
        "project/data/chats.jsonl",
        "project/data/more/a.jsonl",
        "project/data/more/b.jsonl",
        "data/number-formats.json",
        f"data/jobs/{ID}/parent/adapter_model.safetensors",
    }
    assert not sent.links


def test_a_resumed_job_uploads_its_checkpoint(root: Path) -> None:
    kept = {name.partition(f"{ID}/")[2] for name in job_files(job_of(root, {"why": "x"})).files}
    assert {"checkpoints/5/state.pt", "resume/7/state.pt"} <= kept
    assert not [name for name in kept if ".part" in name or "votes" in name]


def test_links_within_the_project_are_uploaded_as_links(root: Path) -> None:
    (root / "bot" / "train.jsonl").symlink_to("data/chats.jsonl")
    sent = job_files(job_of(root, datasetSource={"type": "file", "path": "train.jsonl"}))
    assert sent.links == {"project/train.jsonl": "project/data/chats.jsonl"}


def test_project_code_is_not_uploaded(root: Path) -> None:
    own = {"name": "mine", "path": "data/chats.jsonl", "metric": "scoring:score"}
    with pytest.raises(JobFailure, match="mine is scored by scoring:score"):
        job_files(job_of(root, evaluations=[own]))


def test_an_environment_is_not_uploaded(root: Path) -> None:
    with pytest.raises(JobFailure, match="env:Desk is code of this project, which is not sent to a cluster"):
        job_files(job_of(root, environment="env:Desk"))


def test_a_judge_is_not_used_on_a_cluster(root: Path) -> None:
    own = {"name": "polite", "path": "data/chats.jsonl", "metric": "rubric", "rubric": "x"}
    with pytest.raises(JobFailure, match="polite is scored by a judge, whose key and budget stay on this"):
        job_files(job_of(root, evaluations=[own]))


def test_a_project_model_keeps_its_relative_path(root: Path) -> None:
    folder = write(root / "bot" / "models" / "tiny" / "config.json").parent
    write(folder / "model.safetensors")
    write(folder / "training.log")
    sent, name = model_files(folder, root / "bot", "model")
    assert name == "project/models/tiny"
    assert set(sent.files) == {f"{name}/config.json", f"{name}/model.safetensors"}
    elsewhere = write(root / "cache" / "config.json").parent
    assert model_files(elsewhere, root / "bot", "second-model")[1] == "second-model"


def test_the_code_package_excludes_studio_and_is_hashed(tmp_path: Path) -> None:
    package = code_package.package_code(tmp_path)
    assert package.name == "arkor_dev"
    assert {path.name for path in package.iterdir()} == {"__init__.py", "contract", "data", "local"}
    assert (package / "local" / "training" / "worker.py").read_bytes() == (
        code_package.PACKAGE / "local" / "training" / "worker.py"
    ).read_bytes()
    assert not list(package.rglob("*.pyc"))
    assert list(package.rglob("*.jsonl"))
    assert code_package.package_code(tmp_path) == package
    assert not list(tmp_path.rglob("*.part"))
