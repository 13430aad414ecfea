"""A provenance is an allow-list: what it has, and what of a job never gets into it."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract.provenance.statement import statement_of
from arkor_dev.contract.settings import SETTINGS
from arkor_dev.local.cards import provenance
from arkor_dev.local.jobs.job_folder import STATE, final_folder, parent_folder
from tests.data.findings.test_privacy import PRIVATE, TOKEN
from tests.support.statements import FILES, digest, write_folder

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.local.jobs.atomic_folder import FileEntry

MOMENT: provenance.Moment = {
    "artifact": "final",
    "step": 30,
    "figures": {"loss": 1.5, "evalLoss": float("nan"), "steps": 30, "x": "y", "z": None},
    "startedOn": "2026-01-01T00:00:00Z",
    "finishedOn": "2026-01-01T00:01:00Z",
}


@pytest.fixture(autouse=True)
def signed_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))


def test_provenance_is_a_valid_statement() -> None:
    files: dict[str, FileEntry] = {
        name: {"bytes": len(content), "sha256": digest(content)} for name, content in FILES.items()
    }
    files[STATE] = {"bytes": 1, "sha256": digest(b"s")}
    facts: provenance.RunFacts = {
        "job": "job_1",
        "external": {"settings": {}, "data": []},
        "internal": {"step": 1, "threads": 2},
        "dependencies": [],
        "builder": provenance.builder({"torch": "2.13.0"}),
    }
    made = statement_of(json.loads(json.dumps(provenance.statement(files, facts, MOMENT))))
    assert [each["name"] for each in made["subject"]] == list(files)
    assert made["subject"][-1]["annotations"] == {"bytes": 1, "optional": True}
    assert made["predicate"]["runDetails"]["byproducts"][0]["annotations"] == {"loss": 1.5, "steps": 30}


def test_only_public_settings_are_in_the_provenance() -> None:
    settings: dict[str, Any] = {row.field: row.sample_value for row in SETTINGS}
    settings |= {"model": "/home/ann-smith/models/tiny", "datasetSource": {"path": "x"}, "token": TOKEN}
    settings |= {"loraTargetModules": ["q_proj", "/home/ann-smith/x"], "learningRate": float("inf")}
    told = provenance.public_settings(settings, PRIVATE)
    assert told["model"] == "tiny"
    assert told["loraR"] == settings["loraR"]
    assert not {"datasetSource", "token", "loraTargetModules", "learningRate"} & told.keys()


def test_only_public_data_sets_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hub = {"type": "huggingface", "name": "org/rows", "split": "train", "subset": None}
    parts = [
        {"type": "file", "path": "data/secret-customer.jsonl", "columns": {"prompt": "ssn"}},
        {"type": "blob", "url": "https://corp.example/rows?sig=abc", "token": TOKEN},
        hub,
        {**hub, "name": "corp/private", "token": TOKEN},
    ]
    config: Any = {"datasetSource": {"type": "list", "sources": parts}, "evalDatasetSource": hub}
    public = {"type": "huggingface", "name": "org/rows", "split": "train"}
    told = provenance.public_data(config, PRIVATE)
    assert told == [{"type": "file"}, {"type": "blob"}, public, {"type": "huggingface"}, public]
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert provenance.public_data(config, PRIVATE)[2] == {"type": "huggingface"}
    monkeypatch.delenv("HF_TOKEN")
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "token").write_text(TOKEN)
    assert provenance.public_data(config, PRIVATE)[2] == {"type": "huggingface"}


def test_dependencies_have_hashes_and_private_data_no_names(tmp_path: Path) -> None:
    project, model, data = tmp_path / "project", tmp_path / "model", tmp_path / "data"
    for folder in (project / "data", model, data):
        folder.mkdir(parents=True)
    for name in ("customer-a.jsonl", "customer-b.jsonl"):
        (project / "data" / name).write_text(name)
    (model / "model.safetensors").write_bytes(b"weights")
    (model / "a b.json").write_text("hostile name")
    (model / "notes.md").write_text("no part of the model")
    write_folder(parent_folder(data, "job_2"))
    config = {"datasetSource": {"type": "file", "path": "data"}}
    rows: provenance.RowCounts = {"sha256": digest(b"rows"), "train": 2, "heldOut": 0}
    teacher = final_folder(data, "job_3")
    write_folder(teacher)
    found = provenance.dependencies(config, project, model, data, "job_2", rows, {"teacher": teacher})
    assert {each["name"]: each["digest"]["sha256"] for each in found} == {
        "data/1": hashlib.sha256(b"customer-a.jsonl").hexdigest(),
        "data/2": hashlib.sha256(b"customer-b.jsonl").hexdigest(),
        "base/model.safetensors": digest(b"weights"),
        "rows": digest(b"rows"),
        **{f"parent/{name}": digest(content) for name, content in FILES.items()},
        **{f"teacher/{name}": digest(content) for name, content in FILES.items()},
    }
    (parent,) = [each for each in found if each["name"] == "parent/adapter_config.json"]
    assert parent["annotations"] == {"job": "job_0123456789ab", "artifact": "final", "step": 30}
    assert "customer" not in json.dumps(found)
    missing = {"datasetSource": {"type": "file", "path": "data/gone.jsonl"}}
    found = provenance.dependencies(missing, project, model, data, "job_1", rows, {})
    assert [each["name"] for each in found] == ["base/model.safetensors", "rows"]


def test_the_hash_of_the_code_is_stable() -> None:
    assert provenance.hash_of_code() == provenance.hash_of_code.__wrapped__()
    assert len(provenance.hash_of_code()) == 64
