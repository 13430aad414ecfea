"""An embedder's job through the backend: forecast, curves, verdict against the base, and later calls."""

from __future__ import annotations

import base64
import json
import re
import struct
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")

from arkor_dev.contract.settings import SETTINGS, wire_problem
from arkor_dev.data.row_parser import row_of
from arkor_dev.data.text_pairs import TEXT_PAIRS
from tests.local.conftest import make_project
from tests.local.gguf_extra import needs_gguf, with_converters
from tests.local.harness import Backend, until
from tests.local.tiny_model import write_jsonl

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.engine,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]

THINGS = ("parcel", "order", "refund", "letter", "ticket", "voucher", "invoice", "basket", "gift", "book")
PLACES = ("in town", "at home", "on the way", "in the shop", "by the sea", "up north")
PAIRS = [
    {"anchor": f"Where is the {thing} {place}?", "positive": f"The {thing}: it was last seen {place}."}
    for place in PLACES
    for thing in THINGS
]
DOCUMENTS = [{"text": f"The chair: it was last seen {place}."} for place in PLACES]
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
    "corpus": "data/documents.jsonl",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    """A project with pairs of texts."""
    project = make_project(tmp_path_factory.mktemp("project") / "tests", tiny)
    write_jsonl(project / "data" / "pairs.jsonl", PAIRS)
    write_jsonl(project / "data" / "documents.jsonl", DOCUMENTS)
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
    assert retrieved["queries"] == task["rows"]
    assert retrieved["documents"] == task["rows"] + len(DOCUMENTS)
    assert retrieved["mrr"]["adapter"] > retrieved["mrr"]["base"]
    assert "for the base on" in task["sentence"]


def test_each_row_has_the_document_found_first(backend: Backend, job: str) -> None:
    rows = backend.call("GET", f"/v1/jobs/{job}/evaluation").json["rows"]
    documents = {row["wanted"] for row in rows} | {document["text"] for document in DOCUMENTS}
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
    assert task["retrieved"]["documents"] == 12 + len(DOCUMENTS)


def test_rows_of_two_kinds_fail_before_a_model_is_loaded(backend: Backend, project: Path) -> None:
    scored = {"sentence1": "one", "sentence2": "two", "score": 0.5}
    write_jsonl(project / "data" / "mixed.jsonl", [*PAIRS, scored])
    job = backend.submit({**CONFIG, "datasetSource": {"type": "file", "path": "data/mixed.jsonl"}})
    failed = next(frame.json for frame in backend.events(job) if frame.event == "training.failed")
    assert "train on rows of one kind" in failed["error"]


def test_a_chat_with_it_is_refused(backend: Backend, job: str) -> None:
    body = {
        "messages": [{"role": "user", "content": "Where is my parcel?"}],
        "adapter": {"kind": "final", "jobId": job},
    }
    refused = backend.call("POST", "/v1/inference/chat", body)
    assert refused.status == 400
    assert "This model is an embedder: it answers with vectors, not in words" in refused.json["error"]


def test_the_playground_searches_texts(backend: Backend, job: str) -> None:
    adapter, query = {"kind": "final", "jobId": job}, "Where is the gift at home?"
    texts = [pair["positive"] for pair in PAIRS] + ["word " * 3000]
    body = {"adapter": adapter, "query": query, "texts": texts}
    answer = backend.call("POST", "/v1/inference/search", body)
    assert answer.status == 200, answer.body
    results = answer.json["results"]
    assert len(results) == 50
    assert texts[results[0]["index"]] == "The gift: it was last seen at home."
    scores = [result["score"] for result in results]
    assert scores == sorted(scores, reverse=True)
    assert -1 <= scores[-1] <= scores[0] <= 1
    # A text has the same score alone, and the longest one counts by its beginning.
    alone = backend.call("POST", "/v1/inference/search", {**body, "texts": texts[-1:]}).json["results"]
    assert [result["index"] for result in alone] == [0]
    (first,) = backend.call(
        "POST", "/v1/inference/search", {**body, "texts": [texts[results[0]["index"]]]}
    ).json["results"]
    assert first["score"] == pytest.approx(scores[0], abs=0.02)


def test_its_scores_are_the_cosines_of_its_embeddings(backend: Backend, endpoint: str, job: str) -> None:
    query, text = "Where is the book?", "The book: it was last seen by the sea."
    body = {"adapter": {"kind": "final", "jobId": job}, "query": query, "texts": [text]}
    (found,) = backend.call("POST", "/v1/inference/search", body).json["results"]
    (asked,) = vectors(backend, endpoint, input=query, input_type="query")
    (document,) = vectors(backend, endpoint, input=text)
    cosine = sum(one * other for one, other in zip(asked, document, strict=True))
    assert found["score"] == pytest.approx(cosine, abs=1e-5)


@pytest.fixture(scope="module")
def endpoint(backend: Backend, job: str) -> str:
    """The path of an endpoint with the embedder, which needs no key."""
    body = {
        "slug": "finder",
        "target": {"kind": "adapter", "adapter": {"kind": "final", "jobId": job}},
        "authMode": "none",
        "runRetentionMode": "unlimited",
    }
    made = backend.call("POST", "/v1/endpoints", body)
    assert made.status == 201, made.body
    return "/v1/serve/finder"


def vectors(backend: Backend, endpoint: str, **body: Any) -> Any:
    answer = backend.call("POST", f"{endpoint}/embeddings", body)
    assert answer.status == 200, answer.body
    return [row["embedding"] for row in answer.json["data"]]


def test_an_endpoint_gives_texts_their_embeddings(backend: Backend, endpoint: str) -> None:
    texts = ["Where is the gift at home?", "The gift: it was last seen at home.", "The book: by the sea."]
    answer = backend.call("POST", f"{endpoint}/embeddings", {"input": texts, "model": "finder"}).json
    assert (answer["object"], answer["model"]) == ("list", "finder")
    assert [(row["object"], row["index"]) for row in answer["data"]] == [("embedding", at) for at in range(3)]
    assert answer["usage"]["prompt_tokens"] == answer["usage"]["total_tokens"] > 0
    for row in answer["data"]:
        assert len(row["embedding"]) == 128
        assert sum(number**2 for number in row["embedding"]) == pytest.approx(1, abs=1e-4)
    # One text alone is computed as among others, and a query has its own prompt.
    (alone,) = vectors(backend, endpoint, input=texts[0])
    assert alone == pytest.approx(answer["data"][0]["embedding"], abs=0.02)
    (asked,) = vectors(backend, endpoint, input=texts[0], input_type="query")
    (prompted,) = vectors(backend, endpoint, input=f"query: {texts[0]}", input_type="document")
    assert asked == prompted != alone


def test_embeddings_are_shortened_to_learned_dimensions(backend: Backend, endpoint: str) -> None:
    (whole,) = vectors(backend, endpoint, input="The gift.")
    (short,) = vectors(backend, endpoint, input="The gift.", dimensions=32)
    assert len(short) == 32
    size = sum(number**2 for number in whole[:32]) ** 0.5
    assert short == pytest.approx([number / size for number in whole[:32]], abs=1e-5)
    assert len(vectors(backend, endpoint, input="The gift.", dimensions=128)[0]) == 128
    refused = backend.call("POST", f"{endpoint}/embeddings", {"input": "The gift.", "dimensions": 64})
    assert (refused.status, refused.json["param"]) == (400, "dimensions")
    assert "dimensions must be one of 32, 128" in refused.json["error"]


def test_its_embeddings_are_those_of_the_trained_model(
    backend: Backend, endpoint: str, job: str, tiny: Path, data: Path
) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    text = "The ticket: it was last seen in the shop."
    (served,) = vectors(backend, endpoint, input=text)
    base = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32)
    model = PeftModel.from_pretrained(base, str(data / "jobs" / job / "final")).eval()
    with torch.no_grad():
        output = model(
            **AutoTokenizer.from_pretrained(tiny)(text, return_tensors="pt"), output_hidden_states=True
        )
    mean = output.hidden_states[-1][0].mean(0)
    # The endpoint computes in the format that is fastest here, as chat does.
    assert served == pytest.approx((mean / mean.norm()).tolist(), abs=0.02)


def test_it_refuses_chats_and_unusable_texts_in_a_sentence(backend: Backend, endpoint: str) -> None:
    messages = [{"role": "user", "content": "Where is my parcel?"}]
    refused = backend.call("POST", f"{endpoint}/chat/completions", {"messages": messages})
    assert (refused.status, refused.json["code"]) == (400, "embedder")
    for body, param, words in (
        ({"input": []}, "input", "input must be a text, or a list of 1 to 256 texts"),
        ({"input": [1, 2]}, "input", "input must be a text, or a list of 1 to 256 texts"),
        ({"input": ["a", " "]}, "input", "input[1] is empty"),
        ({"input": "word " * 3000}, "input", "and this model reads at most"),
        ({"input": "a", "encoding_format": "int8"}, "encoding_format", 'one of "float", "base64"'),
        ({"input": "a", "input_type": "passage"}, "input_type", 'one of "query", "document"'),
    ):
        answer = backend.call("POST", f"{endpoint}/embeddings", body)
        assert (answer.status, answer.json["param"]) == (400, param), answer.body
        assert words in answer.json["error"]
    refused = backend.call("POST", f"{endpoint}/classify", {"input": "a"})
    assert (refused.status, refused.json["code"]) == (400, "unsupported_endpoint")


def test_its_log_has_the_texts(backend: Backend, endpoint: str) -> None:
    deployment = backend.call("GET", "/v1/endpoints").json["deployments"][0]["id"]
    path, text = f"/v1/endpoints/{deployment}/requests", "The book: it was last seen up north."
    vectors(backend, endpoint, input=text)

    def logged() -> Any:
        (entry, *_) = [one for one in backend.call("GET", path).json["requests"] if one["status"] == 200]
        kept = backend.call("GET", f"{path}/{entry['id']}").json["request"]
        return kept if kept["messages"] == [{"role": "user", "content": text}] else None

    entry = until(logged, 10)
    assert (entry["call"], entry["completionTokens"]) == ("embeddings", 0)


def test_openais_client_reads_its_embeddings(backend: Backend, endpoint: str) -> None:
    from openai.types import CreateEmbeddingResponse

    texts = ["The gift.", "The book."]
    body = {"input": texts, "model": "finder"}
    read = CreateEmbeddingResponse.model_validate_json(
        backend.call("POST", f"{endpoint}/embeddings", body).body, strict=True
    )
    packed = vectors(backend, endpoint, **body, encoding_format="base64")
    for row, text in zip(read.data, packed, strict=True):
        numbers = struct.unpack("<128f", base64.b64decode(text))
        assert row.embedding == pytest.approx(numbers, abs=1e-7)


@pytest.fixture(scope="module")
def exported(backend: Backend, job: str) -> Any:
    """The job's export for sentence-transformers."""
    pytest.importorskip("sentence_transformers")
    formats = backend.call("GET", f"/v1/jobs/{job}/exports").json["formats"]
    problems = {entry["format"]: entry.get("problem", "") for entry in formats}
    assert problems.pop("merged") == ""
    gguf = problems.pop("gguf")
    assert gguf == "" or "llama.cpp" in gguf
    onnx = problems.pop("onnx")
    assert onnx == "" or "onnxruntime" in onnx
    assert problems
    for problem in problems.values():
        assert "An embedder has no other exports than merged" in problem
    made = backend.call("POST", f"/v1/jobs/{job}/exports", {"format": "merged"})
    assert made.status == 201, made.body
    return until(
        lambda: next(
            (one for one in backend.call("GET", f"/v1/jobs/{job}/exports").json["exports"]
             if one["state"] in ("completed", "failed")), None), 90,
    )  # fmt: skip


def test_its_export_is_proved_with_sentence_transformers(backend: Backend, job: str, exported: Any) -> None:
    assert exported.get("error") is None
    proof = exported["proof"]
    assert proof["verdict"] == "same", proof
    assert proof["distance"] <= 1e-4 < proof["distanceOfBase"]
    assert proof["texts"] >= 16
    names = {file["name"] for file in exported["files"]}
    assert {"modules.json", "1_Pooling/config.json", "config_sentence_transformers.json"} <= names
    assert "chat_template.jinja" not in names
    path = f"/v1/jobs/{job}/exports/{exported['id']}/files/1_Pooling%2Fconfig.json"
    assert backend.call("GET", path).json["include_prompt"] is True
    assert exported["usage"] == [["In Python", 'SentenceTransformer("FOLDER")']]
    assert exported["hubUsage"] == [["In Python", 'SentenceTransformer("REPOSITORY")']]


def test_sentence_transformers_loads_its_export_unchanged(
    backend: Backend, endpoint: str, exported: Any, data: Path
) -> None:
    from sentence_transformers import SentenceTransformer

    (modules,) = data.rglob("modules.json")
    model = SentenceTransformer(str(modules.parent), device="cpu")
    texts = ["Where is the gift at home?", "The voucher"]
    for kind, found in (("query", model.encode_query(texts)), ("document", model.encode_document(texts))):
        served = vectors(backend, endpoint, input=texts, input_type=kind)
        # The endpoint computes in the format that is fastest here.
        for ours, theirs in zip(served, found, strict=True):
            assert ours == pytest.approx(theirs.tolist(), abs=0.02)
    assert model.similarity_fn_name == "cosine"
    card = (modules.parent / "README.md").read_text()
    assert 'SentenceTransformer("path/to/this/folder")' in card
    assert 'library_name: "sentence-transformers"' in card


@needs_gguf
@pytest.mark.timeout(400)
def test_its_gguf_export_is_proved_with_llama_cpp(backend: Backend, job: str, data: Path) -> None:
    with_converters(data / "cache")
    made = backend.call("POST", f"/v1/jobs/{job}/exports", {"format": "gguf", "quantization": "f16"})
    assert made.status == 201, made.body
    path = f"/v1/jobs/{job}/exports/{made.json['export']['id']}"

    def ended() -> Any:
        entry = backend.call("GET", path).json["export"]
        return entry if entry["state"] in ("completed", "failed") else None

    entry = until(ended, 300)
    assert entry.get("error") is None
    assert entry["proof"]["verdict"] == "same", entry["proof"]
    assert "in llama.cpp its vectors of" in entry["proof"]["sentence"]
    assert ["llama.cpp", "llama-server -m FOLDER/model.gguf --embeddings"] in entry["usage"]
    (card,) = (file.parent / "README.md" for file in data.rglob("model.gguf"))
    assert "llama-server -m model.gguf --embeddings" in card.read_text()


def test_its_card_says_how_to_use_it(backend: Backend, job: str) -> None:
    card = backend.call("GET", f"/v1/jobs/{job}/card").json["card"]
    assert 'pipeline_tag: "sentence-similarity"' in card
    assert "embedder.json" in card
    assert "nDCG@10" in card
    assert "loss per token" not in card
    assert "loss a token" not in card


PAGE = (Path(__file__).parents[4] / "docs" / "embeddings.md").read_text(encoding="utf-8")
EMBEDDERS, RERANKERS = PAGE.split("## Rerankers")


def blocks(kind: str, page: str = EMBEDDERS) -> list[str]:
    """The documentation's code blocks of that kind."""
    return re.findall(rf"```{kind}\n(.*?)```", page, re.DOTALL)


def test_the_documented_rows_train_and_the_documented_call_is_answered(
    backend: Backend, project: Path, endpoint: str
) -> None:
    (rows,) = blocks("json")
    read = [row_of(json.loads(line), "row", None, {}, forms=TEXT_PAIRS) for line in rows.splitlines()]
    assert {row.form for row in read} == {"pair"}
    (toml,) = blocks("toml")
    (trainer,) = tomllib.loads(toml)["trainer"]
    fields = {row.key: row.field for row in SETTINGS}
    config = {fields[key]: value for key, value in trainer.items() if key != "dataset"}
    assert wire_problem(config) is None
    (curl,) = blocks("sh")
    body = re.search(r"-d '(.*)'", curl)
    assert body is not None
    assert len(vectors(backend, endpoint, **json.loads(body[1]))) == 1


def test_the_documented_code_reads_the_export(
    exported: Any, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = blocks("py")
    (modules,) = data.rglob("modules.json")
    assert '"exports/finder"' in code
    exec(code.replace("exports/finder", str(modules.parent)), {})  # noqa: S102 - our own page
    assert "tensor([[" in capsys.readouterr().out
