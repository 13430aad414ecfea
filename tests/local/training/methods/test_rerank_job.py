"""A reranker's job through the backend: forecast, verdict against the rows' order, endpoint and export."""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")

from arkor_dev.contract.settings import wire_problem
from arkor_dev.data.relevance import RELEVANCE
from arkor_dev.data.row_parser import row_of
from tests.local.conftest import make_project
from tests.local.harness import Backend, until
from tests.local.tiny_model import write_jsonl
from tests.local.training.methods.test_embed_job import RERANKERS, blocks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.engine,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]

THINGS = ("parcel", "order", "refund", "letter", "ticket", "voucher", "invoice", "basket", "gift", "book")
PLACES = ("in town", "at home", "by the sea", "up north")
ROWS = [
    {
        "query": f"Where is the {thing} {place}?",
        "document": f"{'Seen' if good else 'Nothing'}: the {thing} {place}.",
        "label": good,
    }
    for place in PLACES
    for at, thing in enumerate(THINGS)
    for good in ((True, False) if at % 3 == 0 else (False, True))
]
CONFIG: dict[str, Any] = {
    "method": "rerank",
    "model": "./models/tiny",
    "datasetSource": {"type": "file", "path": "data/ranked.jsonl"},
    "datasetSplit": 0.4,
    "maxSteps": 24,
    "batchSize": 8,
    "learningRate": 1e-2,
    "evalSteps": 12,
    "numberFormat": "float32",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The backend's data folder."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def backend(
    tmp_path_factory: pytest.TempPathFactory, data: Path, tiny: Path, template: dict[str, str]
) -> Iterator[Backend]:
    project = make_project(tmp_path_factory.mktemp("project") / "tests", tiny)
    write_jsonl(project / "data" / "ranked.jsonl", ROWS)
    backend = Backend.start(data, project, data / "cache", **template)
    yield backend
    backend.stop()


@pytest.fixture(scope="module")
def job(backend: Backend) -> str:
    job: str = backend.submit(CONFIG)
    list(backend.events(job))
    assert backend.job(job)["status"] == "completed", backend.job(job)
    return job


def test_a_rerankers_job_is_forecast(backend: Backend) -> None:
    def forecast() -> Any:
        found = backend.call("POST", "/v1/forecast", {"config": CONFIG}).json["forecast"]
        assert found["state"] != "failed", found
        return found if found["state"] == "measured" else None

    assert until(forecast, 90)["trainingSeconds"] > 0


def test_its_verdict_compares_with_the_order_of_the_rows(backend: Backend, job: str) -> None:
    frames = list(backend.events(job))
    assert not [frame for frame in frames if frame.event == "sample.created"]
    evaluation = next(frame.json["evaluation"] for frame in frames if frame.event == "evaluation.completed")
    assert evaluation["verdict"] == "better"
    task = evaluation["heldOut"]
    assert task["adapter"] == 1
    assert task["base"] < 0.95
    assert task["reranked"]["mrr"]["adapter"] == 1
    assert "classified" not in task
    rows = backend.call("GET", f"/v1/jobs/{job}/evaluation").json["rows"]
    assert all(row["adapterAnswer"].startswith("Seen") for row in rows)


@pytest.fixture(scope="module")
def endpoint(backend: Backend, job: str) -> str:
    """The path of an endpoint with the reranker, which needs no key."""
    body = {
        "slug": "ranker",
        "target": {"kind": "adapter", "adapter": {"kind": "final", "jobId": job}},
        "authMode": "none",
        "runRetentionMode": "unlimited",
    }
    made = backend.call("POST", "/v1/endpoints", body)
    assert made.status == 201, made.body
    return "/v1/serve/ranker"


QUERY = "Where is the gift at home?"
DOCUMENTS = ["Nothing: the gift at home.", "Seen: the gift at home.", "Nothing: the book."]


def test_an_endpoint_ranks_documents(backend: Backend, endpoint: str) -> None:
    body = {"query": QUERY, "documents": [DOCUMENTS[0], {"text": DOCUMENTS[1]}, DOCUMENTS[2]], "top_n": 2}
    answer = backend.call("POST", f"{endpoint}/rerank", {**body, "return_documents": True}).json
    assert answer["model"] == "ranker"
    first, second = answer["results"]
    assert (first["index"], first["document"]) == (1, {"text": DOCUMENTS[1]})
    assert 1 >= first["relevance_score"] > 0.5 > second["relevance_score"] >= 0
    assert answer["usage"]["total_tokens"] > 0
    plain = backend.call("POST", f"{endpoint}/rerank", {"query": QUERY, "documents": DOCUMENTS}).json
    assert plain["results"][0]["index"] == 1
    assert len(plain["results"]) == 3
    assert "document" not in plain["results"][0]


def test_the_playground_reorders_texts(backend: Backend, job: str, endpoint: str) -> None:
    adapter = {"kind": "final", "jobId": job}
    texts = [*DOCUMENTS, "word " * 3000]
    body = {"adapter": adapter, "query": QUERY, "texts": texts}
    answer = backend.call("POST", "/v1/inference/search", body)
    assert answer.status == 200, answer.body
    assert answer.json["results"][0]["index"] == 1
    assert sorted(result["index"] for result in answer.json["results"]) == [0, 1, 2, 3]
    served = backend.call("POST", f"{endpoint}/rerank", {"query": QUERY, "documents": DOCUMENTS}).json
    relevance = {result["index"]: result["relevance_score"] for result in served["results"]}
    for result in answer.json["results"]:
        if result["index"] in relevance:
            assert result["score"] == pytest.approx(relevance[result["index"]], abs=0.02)


def test_it_refuses_other_calls_and_unusable_bodies_in_a_sentence(backend: Backend, endpoint: str) -> None:
    chat = {"messages": [{"role": "user", "content": "Where?"}]}
    for call, body, words in (
        ("chat/completions", chat, "This model is a reranker"),
        ("classify", {"input": "a"}, "not a classifier"),
        ("embeddings", {"input": "a"}, "not an embedder"),
        ("rerank", {"query": "a", "documents": []}, "documents must be a list of 1 to 256 texts"),
        ("rerank", {"query": "a", "documents": ["b", " "]}, "documents[1] must be a text that is not empty"),
        ("rerank", {"query": " ", "documents": ["b"]}, "query must be"),
        ("rerank", {"query": "a", "documents": ["b"], "top_n": 0}, "top_n must be"),
        ("rerank", {"query": "a", "documents": ["word " * 3000]}, "and this model reads at most"),
    ):
        refused = backend.call("POST", f"{endpoint}/{call}", body)
        assert refused.status == 400, (call, refused.body)
        assert words in refused.json["error"]
    missing = {"query": "a", "documents": ["b"], "model": "other"}
    assert backend.call("POST", f"{endpoint}/rerank", missing).status == 404


def test_sentence_transformers_loads_its_export_unchanged(
    backend: Backend, job: str, endpoint: str, data: Path
) -> None:
    library = pytest.importorskip("sentence_transformers")
    formats = backend.call("GET", f"/v1/jobs/{job}/exports").json["formats"]
    problems = {entry["format"]: entry.get("problem", "") for entry in formats}
    assert problems.pop("merged") == ""
    onnx = problems.pop("onnx")
    assert onnx == "" or "onnxruntime" in onnx
    for problem in problems.values():
        assert "A reranker has no other exports than merged" in problem
    half = backend.call("POST", f"/v1/jobs/{job}/exports", {"format": "merged", "strength": 0.5})
    assert half.status in (400, 409)
    assert "export it at strength 1" in half.json["error"]
    made = backend.call("POST", f"/v1/jobs/{job}/exports", {"format": "merged"})
    assert made.status == 201, made.body
    exported = until(
        lambda: next(
            (one for one in backend.call("GET", f"/v1/jobs/{job}/exports").json["exports"]
             if one["state"] in ("completed", "failed")), None), 90,
    )  # fmt: skip
    assert exported.get("error") is None
    assert exported["proof"]["verdict"] == "same", exported["proof"]
    assert exported["proof"]["distance"] <= 1e-4 < exported["proof"]["distanceOfBase"]
    assert exported["usage"] == [["In Python", 'CrossEncoder("FOLDER")']]
    assert exported["hubUsage"] == [["In Python", 'CrossEncoder("REPOSITORY")']]
    (folder,) = {
        path.parent for path in data.rglob("reranker.json") if (path.parent / "config.json").exists()
    }
    model = library.CrossEncoder(str(folder), device="cpu")
    ranked = model.rank(QUERY, DOCUMENTS)
    served = backend.call("POST", f"{endpoint}/rerank", {"query": QUERY, "documents": DOCUMENTS}).json
    assert [entry["corpus_id"] for entry in ranked] == [entry["index"] for entry in served["results"]]
    for entry, result in zip(ranked, served["results"], strict=True):
        # The endpoint computes in the format that is fastest here.
        assert float(entry["score"]) == pytest.approx(result["relevance_score"], abs=0.02)
    (code,) = blocks("py", RERANKERS)
    exec(code.replace("exports/ranker", str(folder)), {})  # noqa: S102 - our own page
    card = (folder / "README.md").read_text()
    assert "CrossEncoder" in card
    assert 'pipeline_tag: "text-ranking"' in card


def test_its_card_says_how_to_load_it(backend: Backend, job: str) -> None:
    card = backend.call("GET", f"/v1/jobs/{job}/card").json["card"]
    assert "num_labels=1" in card
    assert "in the order of the rows" in card


def test_the_documented_rows_train_and_the_documented_call_is_answered(
    backend: Backend, endpoint: str
) -> None:
    (rows,) = blocks("json", RERANKERS)
    read = [row_of(json.loads(line), "row", None, {}, forms=RELEVANCE) for line in rows.splitlines()]
    assert [row.extra["score"] for row in read] == [0, 1]
    (toml,) = blocks("toml", RERANKERS)
    (trainer,) = tomllib.loads(toml)["trainer"]
    assert wire_problem({"model": trainer["model"], "method": trainer["method"]}) is None
    (curl,) = blocks("sh", RERANKERS)
    body = re.search(r"-d '(.*)'", curl)
    assert body is not None
    answer = backend.call("POST", f"{endpoint}/rerank", json.loads(body[1]))
    assert len(answer.json["results"]) == 1
