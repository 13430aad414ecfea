"""An embedder's job through the backend: forecast, curves, verdict against the base, and later calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")

from tests.local.conftest import make_project
from tests.local.harness import Backend, until
from tests.local.tiny_model import write_jsonl

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]

THINGS = ("parcel", "order", "refund", "letter", "ticket", "voucher", "invoice", "basket", "gift", "book")
PLACES = ("in town", "at home", "on the way", "in the shop", "by the sea", "up north")
PAIRS = [
    {"anchor": f"Where is the {thing} {place}?", "positive": f"The {thing}: it was last seen {place}."}
    for place in PLACES
    for thing in THINGS
]
CONFIG: dict[str, Any] = {
    "method": "embed",
    "model": "./models/tiny",
    "datasetSource": {"type": "file", "path": "data/pairs.jsonl"},
    "datasetSplit": 0.4,
    "maxSteps": 24,
    "batchSize": 8,
    "learningRate": 1e-2,
    "evalSteps": 12,
    "numberFormat": "float32",
    "matryoshkaDims": [32],
    "queryPrompt": "query: ",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    """A project with pairs of texts."""
    project = make_project(tmp_path_factory.mktemp("project") / "tests", tiny)
    write_jsonl(project / "data" / "pairs.jsonl", PAIRS)
    return project


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The backend's data folder."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def backend(data: Path, project: Path, template: dict[str, str]) -> Iterator[Backend]:
    backend = Backend.start(data, project, data / "cache", **template)
    yield backend
    backend.stop()


@pytest.fixture(scope="module")
def job(backend: Backend) -> str:
    job: str = backend.submit(CONFIG)
    list(backend.events(job))
    assert backend.job(job)["status"] == "completed", backend.job(job)
    return job


def test_an_embedders_job_is_forecast(backend: Backend) -> None:
    def forecast() -> Any:
        found = backend.call("POST", "/v1/forecast", {"config": CONFIG}).json["forecast"]
        assert found["state"] != "failed", found
        return found if found["state"] == "measured" else None

    measured = until(forecast, 90)
    assert measured["trainingSeconds"] > 0
    assert not measured.get("samplesSeconds")


def test_its_events_have_a_verdict_against_the_base(backend: Backend, job: str) -> None:
    frames = list(backend.events(job))
    assert not [frame for frame in frames if frame.event == "sample.created"]
    started = next(frame.json for frame in frames if frame.event == "training.started")["metadata"]
    assert started["measure"] == {"name": "loss", "label": "Loss of a batch", "unit": ""}
    assert started["settings"]["loss"] == "MultipleNegativesRankingLoss"
    losses = [frame.json["evalLoss"] for frame in frames if "evalLoss" in (frame.json or {})]
    assert losses[-1] < losses[0] or losses[-1] < 0.2
    evaluation = next(frame.json["evaluation"] for frame in frames if frame.event == "evaluation.completed")
    assert evaluation["verdict"] == "better"
    assert "general" not in evaluation
    task = evaluation["heldOut"]
    assert task["measure"] == {"label": "nDCG@10", "unit": "", "higher": True}
    assert task["adapter"] > task["base"]
    retrieved = task["retrieved"]
    assert retrieved["queries"] == retrieved["documents"] == task["rows"]
    assert retrieved["mrr"]["adapter"] > retrieved["mrr"]["base"]
    assert "for the base on" in task["sentence"]


def test_each_row_has_the_document_found_first(backend: Backend, job: str) -> None:
    rows = backend.call("GET", f"/v1/jobs/{job}/evaluation").json["rows"]
    documents = {row["wanted"] for row in rows}
    for row in rows:
        assert row["question"].startswith("Where is the")
        assert row["adapterAnswer"] in documents
        assert (row["adapter"] == 1) == (row["adapterAnswer"] == row["wanted"])


def evaluated(backend: Backend, job: str, body: dict[str, Any]) -> Any:
    """Request an evaluation, and return its result."""
    assert backend.call("POST", f"/v1/jobs/{job}/evaluate", body).status == 200
    until(lambda: "evaluating" not in backend.job(job), 60)
    asked = "&".join(f"{key}={value}" for key, value in body.items())
    return backend.call("GET", f"/v1/jobs/{job}/evaluation?{asked}").json


def test_another_file_is_evaluated(backend: Backend, project: Path, job: str) -> None:
    write_jsonl(project / "data" / "other.jsonl", PAIRS[:12])
    task = evaluated(backend, job, {"data": "data/other.jsonl"})["evaluation"]["heldOut"]
    assert task["rows"] == 12
    assert task["retrieved"]["documents"] == 12


def test_rows_of_two_kinds_fail_before_a_model_is_loaded(backend: Backend, project: Path) -> None:
    scored = {"sentence1": "one", "sentence2": "two", "score": 0.5}
    write_jsonl(project / "data" / "mixed.jsonl", [*PAIRS, scored])
    job = backend.submit({**CONFIG, "datasetSource": {"type": "file", "path": "data/mixed.jsonl"}})
    failed = next(frame.json for frame in backend.events(job) if frame.event == "training.failed")
    assert "train on rows of one kind" in failed["error"]
