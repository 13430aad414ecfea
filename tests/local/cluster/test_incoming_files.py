"""What a node sends is looked at before it counts: a node may be anybody's."""

from __future__ import annotations

import hashlib
import json
import shutil
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract import events
from arkor_dev.local.cluster.errors import ProtocolError
from arkor_dev.local.cluster.incoming_files import IncomingFiles
from arkor_dev.local.cluster.node_messages import (
    localize_paths,
    parse_facts,
    parse_messages,
    parse_rendezvous,
)
from arkor_dev.local.execution.messages import Ended, ResumePoint, TrainingEvent
from arkor_dev.local.workers.errors import JobFailure
from arkor_dev.local.workers.messages import ProgressReport

if TYPE_CHECKING:
    from pathlib import Path

JOB = "job_0123456789ab"


class Node:
    """Files of a node, by name."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.reads = 0
        self.chunk = 5

    def listing(self, **other: Any) -> bytes:
        return json.dumps(
            [
                {"name": name, "bytes": len(text), "sha256": hashlib.sha256(text).hexdigest(), **other}
                for name, text in self.files.items()
            ]
        ).encode()

    def read(self, name: str, offset: int) -> bytes:
        self.reads += 1
        return self.files[name][offset : offset + self.chunk]


def test_files_are_stored_as_for_a_local_job(tmp_path: Path) -> None:
    node = Node(
        {
            "checkpoints/10/adapter_model.safetensors": b"weights of ten steps",
            "checkpoints/10/state.pt": b"state",
            "final/adapter_model.safetensors": b"",
            "evaluation/final.json": b"{}",
        }
    )
    taken = IncomingFiles(tmp_path, JOB, node.read)
    taken.fetch(node.listing())
    home = tmp_path / "jobs" / JOB
    assert {
        path.relative_to(home).as_posix(): path.read_bytes() for path in home.rglob("*") if path.is_file()
    } == node.files
    assert taken.received == sum(map(len, node.files.values()))
    reads = node.reads
    node.files["checkpoints/10/README.md"] = b"a card"
    taken.fetch(node.listing())
    assert node.reads == reads + 2  # of the card alone, six bytes
    assert (home / "checkpoints/10/state.pt").read_bytes() == b"state"


def test_disk_space_is_needed_for_missing_files_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a job's end all of its files are listed, and most of them have come before."""
    node = Node({f"checkpoints/{step}/adapter_model.safetensors": b"w" * 100 for step in (10, 20)})
    node.chunk = 100
    taken = IncomingFiles(tmp_path, JOB, node.read)
    taken.fetch(node.listing())
    node.files |= {"final/adapter_model.safetensors": b"w" * 50, "evaluation/final.json": b"{}"}
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=51))
    with pytest.raises(OSError, match="Not enough disk"):
        taken.fetch(node.listing())
    assert not (tmp_path / "jobs" / JOB / "final").exists()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=52))
    taken.fetch(node.listing())
    assert (tmp_path / "jobs" / JOB / "final" / "adapter_model.safetensors").stat().st_size == 50


@pytest.mark.parametrize(
    "name",
    [
        "../outside.json",
        "checkpoints/10/../../../outside.json",
        "/etc/passwd.json",
        "checkpoints/ten/adapter.json",
        "checkpoints/adapter.json",
        "checkpoints/10/adapter_model.bin",
        "checkpoints/10/deeper/state.pt",
        "checkpoints/10/code.py",
        "final/state.pt",
        "final/pytorch_model.pkl",
        "votes.jsonl",
        "verdict.json",
        "final.part/adapter.json",
        "exports/1/model.safetensors",
        "final/a\nb.json",
    ],
)
def test_unknown_file_names_are_refused(tmp_path: Path, name: str) -> None:
    node = Node({"final/adapter_config.json": b"{}", name: b"x"})
    with pytest.raises(ProtocolError):
        IncomingFiles(tmp_path, JOB, node.read).fetch(node.listing())
    assert not (tmp_path / "jobs").exists()


@pytest.mark.parametrize(
    "other",
    [{"bytes": 3}, {"bytes": 1}, {"bytes": -1}, {"sha256": "0" * 64}, {"sha256": "short"}, {"bytes": True}],
)
def test_files_with_another_size_or_hash_are_refused(tmp_path: Path, other: dict[str, Any]) -> None:
    node = Node({"checkpoints/10/adapter_config.json": b"{}"})
    with pytest.raises(ProtocolError):
        IncomingFiles(tmp_path, JOB, node.read).fetch(node.listing(**other))
    assert not (tmp_path / "jobs" / JOB / "checkpoints" / "10").exists()
    assert not list(tmp_path.rglob("*.part"))


def test_an_incomplete_download_keeps_the_old_files(tmp_path: Path) -> None:
    node = Node({"final/adapter_config.json": b"old"})
    IncomingFiles(tmp_path, JOB, node.read).fetch(node.listing())
    listing = Node({"final/adapter_config.json": b"new"}).listing()
    node.files["final/adapter_config.json"] = b"bad"
    with pytest.raises(ProtocolError):
        IncomingFiles(tmp_path, JOB, node.read).fetch(listing)
    assert (tmp_path / "jobs" / JOB / "final" / "adapter_config.json").read_bytes() == b"old"


def answer(*messages: object, over: object = None) -> bytes:
    return json.dumps({"messages": messages, "over": over}).encode()


def test_valid_worker_messages_pass() -> None:
    said = [
        {"kind": "TrainingEvent", "event": {"type": "training.log", "step": 1, "loss": 2.5}},
        {
            "kind": "ProgressReport",
            "progress": {"label": "Reading", "done": 1, "total": None, "unit": "rows"},
        },
        {"kind": "ResumePoint", "step": 10},
        {"kind": "Ended", "event": {"type": "training.completed"}},
    ]
    parsed = [
        TrainingEvent({"type": "training.log", "step": 1, "loss": 2.5}),
        ProgressReport({"label": "Reading", "done": 1, "total": None, "unit": "rows"}),
        ResumePoint(10),
        Ended({"type": "training.completed"}),
    ]
    assert parse_messages(answer(*said)) == (parsed, None)
    over = {"killed": True, "cause": "It was killed."}
    assert parse_messages(answer(over=over)) == ([], over)


FIELDS: dict[str, dict[str, object]] = {
    "training.started": {"metadata": {"totalSteps": 3, "settings": {"maxSteps": 3}}},
    "training.phase": {"phase": "training"},
    "training.log": {"step": 1, "loss": None, "figureOfItsMethod": 0.5},
    "training.message": {"message": "x"},
    "training.resumed": {"step": 0},
    "evaluation.completed": {"evaluation": {"verdict": "same", "sentence": "x", "margin": 0.02}},
    "checkpoint.saved": {"step": 1, "artifacts": [{"kind": "checkpoint", "bytes": 3}]},
    "checkpoint.removed": {"step": 1},
    "rollouts.created": {"step": 1, "rollouts": []},
    "sample.created": {"step": 1, "number": 1, "prompt": "x", "answer": "y"},
    "system.metrics": {"cpu": 0.5},
}


def test_every_worker_event_passes() -> None:
    types = {value for name, value in vars(events).items() if name.isupper() and isinstance(value, str)}
    of_jobs = {value for value in types if "." in value}
    own = {*events.ENDINGS.values(), events.TRAINING_PAUSED, events.MODEL_PROGRESS}
    for name in of_jobs - own:
        assert parse_messages(answer({"kind": "TrainingEvent", "event": {"type": name, **FIELDS[name]}}))[0]
    for name in own:
        with pytest.raises(ProtocolError):
            parse_messages(answer({"kind": "TrainingEvent", "event": {"type": name}}))


@pytest.mark.parametrize(
    "body",
    [
        b"\x80\x04\x95",
        b"[]",
        answer({"kind": "Waits", "reason": "x"}),
        answer({"kind": "Lost", "reason": "x"}),
        answer({"kind": "Ended", "event": {"type": "training.deleted"}}),
        answer({"kind": "Ended", "event": {"type": "training.failed"}}),
        answer({"kind": "TrainingEvent", "event": {"type": "", "step": 1}}),
        answer({"kind": "TrainingEvent", "event": {"type": "a\nb", "step": 1}}),
        answer({"kind": "TrainingEvent", "event": []}),
        answer({"kind": "TrainingEvent", "event": {"type": ["training.log"], "step": 1}}),
        answer({"kind": "TrainingEvent", "event": {"type": "end", "step": 1}}),
        answer({"kind": "TrainingEvent", "event": {"type": "training.completed", "step": 1}}),
        answer({"kind": "TrainingEvent", "event": {"type": "training.paused", "step": 1}}),
        answer({"kind": "TrainingEvent", "event": {"type": "model.progress", "step": 1}}),
        answer({"kind": "TrainingEvent", "event": {"type": "training.log", "step": 1, "jobId": "job_1"}}),
        answer({"kind": "TrainingEvent", "event": {"type": "training.log"}}),
        answer({"kind": "Ended", "event": {"type": "training.completed", "timestamp": "2020-01-01T00:00Z"}}),
        answer({"kind": "ResumePoint", "step": -1}),
        answer({"kind": "ResumePoint", "step": True}),
        answer({"kind": "ProgressReport", "progress": {"label": "x"}}),
        answer({"kind": "TrainingEvent", "event": {"type": "training.log", "step": 1}, "end": "x"}),
        answer("text"),
        answer({"kind": "TrainingEvent", "event": {"type": "training.log", "step": 1, "loss": float("nan")}}),
        answer(over="over"),
    ],
)
def test_unknown_worker_messages_are_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_messages(body)


@pytest.mark.parametrize(
    ("said", "port"),
    [
        (answer({"kind": "Meeting", "address": 4321}), 4321),
        (answer({"kind": "Meeting", "address": 65535}, {"kind": "ResumePoint", "step": 1}), 65535),
        (answer(), None),
    ],
)
def test_the_rendezvous_port_is_parsed(said: bytes, port: int | None) -> None:
    assert parse_rendezvous(said) == (port, None)


def test_a_worker_that_ended_before_its_port_has_the_reason() -> None:
    over = {"killed": False, "cause": "It ended."}
    assert parse_rendezvous(answer(over=over)) == (None, over)
    with pytest.raises(JobFailure, match="no such address"):
        parse_rendezvous(
            answer({"kind": "Ended", "event": {"type": "training.failed", "error": "no such address"}})
        )


@pytest.mark.parametrize(
    "body",
    [
        answer({"kind": "Meeting", "address": 0}),
        answer({"kind": "Meeting", "address": 65536}),
        answer({"kind": "Meeting", "address": True}),
        answer({"kind": "Meeting", "address": "22"}),
        answer({"kind": "Meeting", "address": 4321, "host": "10.0.0.1"}),
        answer({"kind": "ResumePoint", "step": 1}),
        answer(
            {"kind": "TrainingEvent", "event": {"type": "training.log", "step": 1}},
            {"kind": "Meeting", "address": 4321},
        ),
        answer([]),
        b"[]",
        b"\x80\x04\x95",
    ],
)
def test_invalid_ports_are_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_rendezvous(body)


def test_a_repeated_port_is_refused() -> None:
    with pytest.raises(ProtocolError):
        parse_messages(answer({"kind": "Meeting", "address": 4321}))


FACTS: dict[str, Any] = {"python": "3.11.7", "versions": {"torch": "2.13.0"}, "missing": ["peft"]}
PLACE: dict[str, Any] = {**FACTS, "node": "10.0.0.5", "home": "/tmp/arkor-dev-0/jobs/x"}


@pytest.mark.parametrize(("told", "of_job"), [(FACTS, False), (PLACE, True)])
def test_valid_node_facts_pass(told: dict[str, Any], of_job: bool) -> None:
    more = json.dumps({**told, "more": "unknown"}).encode()
    assert parse_facts(more, of_job=of_job) == told


@pytest.mark.parametrize(
    "other",
    [
        {"missing": "peft"},
        {"missing": [5]},
        {"missing": ["a\x1b[31m"]},
        {"versions": ["torch"]},
        {"versions": {"torch": None}},
        {"python": None},
        {"python": "3" * 2000},
        {"node": ""},
        {"node": 5},
        {"home": ""},
        {"home": "/"},
        {"home": "tmp"},
        {"home": None},
    ],
)
def test_invalid_node_facts_are_refused(other: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        parse_facts(json.dumps({**PLACE, **other}).encode(), of_job=True)
    without = {name: value for name, value in PLACE.items() if name not in other}
    with pytest.raises(ProtocolError):
        parse_facts(json.dumps(without).encode(), of_job=True)


def test_node_facts_must_be_an_object() -> None:
    for body in (b"[]", b"5", b"\x80\x04", b'{"python": NaN}'):
        with pytest.raises(ProtocolError):
            parse_facts(body)


def test_node_paths_are_translated_to_local_ones() -> None:
    there, here = "/tmp/arkor-dev-0/jobs/job-x", {"data": "/home/ann/data", "project": "/home/ann/bot"}
    event = {
        "artifacts": [{"path": f"{there}/data/jobs/1/final"}],
        "error": f"no {there}/project/a.jsonl",
        "step": 1,
    }
    assert localize_paths(event, there, here) == {
        "artifacts": [{"path": "/home/ann/data/jobs/1/final"}],
        "error": "no /home/ann/bot/a.jsonl",
        "step": 1,
    }
