"""Rows deleted from an adapter: over the wire, with true trainings, and with what is left of their texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")

from tests.local.tiny_model import QUESTIONS, write_jsonl

if TYPE_CHECKING:
    from pathlib import Path

    from tests.local.harness import Backend

pytestmark = pytest.mark.engine

ROWS = 30
SAVED = 2
CONFIG: dict[str, Any] = {
    "model": "./models/tiny",
    "numberFormat": "float32",
    "datasetSource": {"type": "file", "path": "customers.jsonl"},
    "maxSteps": 14,
    "batchSize": 4,
    "learningRate": 1e-2,
    "saveSteps": SAVED,
    "datasetSplit": 0.1,
    "loraDropout": 0.1,
    "samples": "off",
}


def secret(row: int) -> str:
    """The answer of the row with this number, in words that no other row has."""
    return f"Customer{row} lives at {row} Willow{row} Lane and owes exactly {100 + row} silver{row} crowns."


def text_of(row: int) -> dict[str, Any]:
    question = f"{QUESTIONS[row % len(QUESTIONS)]} I am customer{row}."
    return {
        "messages": [{"role": "user", "content": question}, {"role": "assistant", "content": secret(row)}]
    }


@pytest.fixture(scope="module")
def trained(shared: Backend, shared_project: Path) -> str:
    """A job with a checkpoint every other step; a seventh of its rows is a step."""
    write_jsonl(shared_project / "customers.jsonl", [text_of(row) for row in range(1, ROWS + 1)])
    job = shared.submit(CONFIG, "customers")
    assert ended(shared, job) == "completed"
    return job


def ended(backend: Backend, job: str) -> str:
    list(backend.events(job))
    status: str = backend.job(job)["status"]
    return status


def forget(backend: Backend, job: str, *rows: str) -> str:
    answer = backend.call("POST", f"/v1/jobs/{job}/forget", {"rows": list(rows)})
    assert answer.status == 200, answer.body
    new: str = answer.json["job"]["id"]
    return new


def certificate(backend: Backend, job: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    answer = backend.call("GET" if body is None else "POST", f"/v1/jobs/{job}/certificate", body)
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json["certificate"]
    return found


def trained_rows(backend: Backend, job: str) -> list[int]:
    """The numbers of rows that were not held out, found by trying to delete each."""
    held_out = []
    for row in range(1, ROWS + 1):
        new = forget(backend, job, str(row))
        backend.call("POST", f"/v1/jobs/{new}/cancel")
        held_out.append(row)
    return held_out


def test_the_bits_are_those_of_a_training_from_the_start(shared: Backend, trained: str) -> None:
    starts = []
    for row in (7, 18, 25):
        new = forget(shared, trained, str(row))
        status = ended(shared, new)
        if status == "failed":
            assert "was held out" in shared.job(new)["error"]
            continue
        found = certificate(shared, new)
        assert found["rows"][0]["where"] == f"customers.jsonl, line {row}"
        assert found["before"] != found["after"]
        assert found["start"] in (found["first"] - 1, found["first"] - 2)
        starts.append(found["start"])
        again = certificate(shared, new, {"repeat": True})["repeat"]["job"]
        assert ended(shared, again) == "completed"
        repeat = certificate(shared, new)["repeat"]
        assert repeat == {"job": again, "state": "completed", "same": True}
    assert any(starts), starts
