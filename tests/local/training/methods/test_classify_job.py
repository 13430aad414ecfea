"""A classifier's job through the backend: forecast, curves, verdict against the majority, and later calls."""

from __future__ import annotations

import json
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
LABELED = [
    {
        "text": f"{'Please hurry' if (at + turn) % 2 else 'No rush'}: the {thing} {place}.",
        "label": ("calm", "hurried")[(at + turn) % 2],
    }
    for turn, place in enumerate(PLACES)
    for at, thing in enumerate(THINGS)
]
CONFIG: dict[str, Any] = {
    "method": "classify",
    "model": "./models/tiny",
    "datasetSource": {"type": "file", "path": "data/labeled.jsonl"},
    "datasetSplit": 0.4,
    "maxSteps": 24,
    "learningRate": 1e-2,
    "evalSteps": 12,
    "numberFormat": "float32",
}


@pytest.fixture(scope="module")
def labeled(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    """A project with labeled rows."""
    project = make_project(tmp_path_factory.mktemp("project") / "tests", tiny)
    write_jsonl(project / "data" / "labeled.jsonl", LABELED)
    return project


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The backend's data folder."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def backend(data: Path, labeled: Path, template: dict[str, str]) -> Iterator[Backend]:
    backend = Backend.start(data, labeled, data / "cache", **template)
    yield backend
    backend.stop()


@pytest.fixture(scope="module")
def job(backend: Backend) -> str:
    job: str = backend.submit(CONFIG)
    list(backend.events(job))
    assert backend.job(job)["status"] == "completed", backend.job(job)
    return job


def test_a_classifiers_job_is_forecast(backend: Backend) -> None:
    def forecast() -> Any:
        found = backend.call("POST", "/v1/forecast", {"config": CONFIG}).json["forecast"]
        assert found["state"] != "failed", found
        return found if found["state"] == "measured" else None

    measured = until(forecast, 90)
    assert measured["trainingSeconds"] > 0
    assert not measured.get("samplesSeconds")


def test_its_events_have_accuracy_and_a_verdict_against_the_majority(backend: Backend, job: str) -> None:
    frames = list(backend.events(job))
    assert not [frame for frame in frames if frame.event == "sample.created"]
    started = next(frame.json for frame in frames if frame.event == "training.started")["metadata"]
    assert started["measure"] == {"name": "loss", "label": "Cross entropy", "unit": "nats per row"}
    assert started["figures"] == [{"name": "accuracy", "label": "Accuracy", "unit": ""}]
    logged = [frame.json for frame in frames if frame.event == "training.log"]
    assert all(0 <= row["accuracy"] <= 1 for row in logged if "loss" in row)
    assert [row["evalAccuracy"] for row in logged if "evalLoss" in row][-1] == 1
    evaluation = next(frame.json["evaluation"] for frame in frames if frame.event == "evaluation.completed")
    assert evaluation["verdict"] == "better"
    assert "general" not in evaluation
    task = evaluation["heldOut"]
    assert task["measure"] == {"label": "Accuracy", "unit": "", "higher": True}
    assert task["adapter"] == 1
    assert 0.3 < task["base"] < 0.7
    found = task["classified"]
    assert found["accuracy"]["share"] == found["macroF1"]["share"] == 1
    assert found["accuracy"]["low"] < 1
    assert found["majorityAccuracy"] == task["base"]
    assert {(cell["label"], cell["predicted"]) for cell in found["confusion"]} == {
        ("calm", "calm"), ("hurried", "hurried"),
    }  # fmt: skip
    assert sum(cell["rows"] for cell in found["confusion"]) == task["rows"]
    majority = found["majority"]
    assert f'for always answering "{majority}", as the base cannot classify' in task["sentence"]
    assert "macro F1 1.00" in task["sentence"]
    # A single word tells its labels apart, so it needs no language model.
    zero_shot, tfidf = found["baselines"]
    assert (zero_shot["kind"], tfidf["kind"]) == ("zeroShot", "tfidf")
    assert zero_shot["rows"] == tfidf["rows"] == task["rows"]
    assert zero_shot["verdict"] == "better"
    assert tfidf["accuracy"] > 0.9
    assert "no language model" in evaluation["sentence"]
    assert [sentence.partition(":")[0] for sentence in found["sentences"][:2]] == [
        "Compared with the base's zero-shot choice", "Compared with TF-IDF with logistic regression",
    ]  # fmt: skip
    assert found["calibration"]["logLoss"] <= found["calibration"]["logLossBefore"]
    assert "Its probabilities are off by" in found["sentences"][2]


def test_each_row_has_the_predicted_label(backend: Backend, job: str) -> None:
    result = backend.call("GET", f"/v1/jobs/{job}/evaluation").json
    for row in result["rows"]:
        assert row["question"].startswith("Please hurry" if row["wanted"] == "hurried" else "No rush")
        assert row["adapterAnswer"] == row["wanted"]
        assert row["adapter"] == 1
        assert 0.5 <= row["confidence"] <= 1


def evaluated(backend: Backend, job: str, body: dict[str, Any]) -> Any:
    """Request an evaluation, and return its result."""
    assert backend.call("POST", f"/v1/jobs/{job}/evaluate", body).status == 200
    until(lambda: "evaluating" not in backend.job(job), 60)
    asked = "&".join(f"{key}={value}" for key, value in body.items())
    return backend.call("GET", f"/v1/jobs/{job}/evaluation?{asked}").json


@pytest.mark.ci
def test_a_checkpoint_is_evaluated_with_its_own_head(backend: Backend, job: str) -> None:
    steps = [frame.json["step"] for frame in backend.events(job) if frame.event == "checkpoint.saved"]
    first = evaluated(backend, job, {"step": steps[0]})["evaluation"]
    final = backend.job(job)["evaluation"]
    assert first["step"] == steps[0]
    assert first["heldOut"]["base"] == pytest.approx(final["heldOut"]["base"], abs=0.3)  # on half of the rows
    assert first["heldOut"]["adapter"] < 1


def test_another_file_is_evaluated_with_the_jobs_labels(backend: Backend, labeled: Path, job: str) -> None:
    write_jsonl(labeled / "data" / "other.jsonl", LABELED[:12])
    task = evaluated(backend, job, {"data": "data/other.jsonl"})["evaluation"]["heldOut"]
    assert (task["rows"], task["adapter"]) == (12, 1)
    write_jsonl(labeled / "data" / "foreign.jsonl", [{"text": "No rush: the boat.", "label": "lazy"}])
    backend.call("POST", f"/v1/jobs/{job}/evaluate", {"data": "data/foreign.jsonl"})
    failed = until(
        lambda: (found := backend.job(job).get("evaluating")) and found["state"] == "failed" and found, 60
    )
    assert 'the classifier has no label "lazy", only "calm", "hurried"' in failed["error"]


def test_rows_of_one_label_fail_before_a_model_is_loaded(backend: Backend, labeled: Path) -> None:
    write_jsonl(labeled / "data" / "one.jsonl", [{**row, "label": "calm"} for row in LABELED])
    job = backend.submit({**CONFIG, "datasetSource": {"type": "file", "path": "data/one.jsonl"}})
    frames = list(backend.events(job))
    failed = next(frame.json for frame in frames if frame.event == "training.failed")
    assert 'training rows have the label "calm"' in failed["error"]
    assert "Add rows with another label" in failed["error"]


def test_its_adapter_is_exported_and_proved_and_nothing_else_is(backend: Backend, job: str) -> None:
    formats = backend.call("GET", f"/v1/jobs/{job}/exports").json["formats"]
    problems = {entry["format"]: entry.get("problem", "") for entry in formats}
    assert problems.pop("adapter") == ""
    onnx = problems.pop("onnx")
    assert onnx == "" or "onnxruntime" in onnx
    assert problems
    for problem in problems.values():
        assert "A classifier has no other exports than adapter and onnx" in problem
    made = backend.call("POST", f"/v1/jobs/{job}/exports", {"format": "adapter"})
    assert made.status == 201, made.body
    entry = until(
        lambda: next(
            (one for one in backend.call("GET", f"/v1/jobs/{job}/exports").json["exports"]
             if one["state"] in ("completed", "failed")), None), 60,
    )  # fmt: skip
    assert entry.get("error") is None
    assert entry["proof"]["verdict"] == "same", entry["proof"]
    assert entry["proof"]["texts"] >= 8
    assert {"labels.json", "calibration.json"} <= {file["name"] for file in entry["files"]}
    assert "AutoModelForSequenceClassification.from_pretrained(BASE, num_labels=2)" in str(entry)


@pytest.mark.ci
@pytest.mark.timeout(400)
def test_its_onnx_export_is_proved_with_onnx_runtime(backend: Backend, job: str, data: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from transformers import AutoTokenizer

    half = backend.call("POST", f"/v1/jobs/{job}/exports", {"format": "onnx", "strength": 0.5})
    assert half.status == 409
    assert "export it at strength 1" in half.json["error"]
    made = backend.call("POST", f"/v1/jobs/{job}/exports", {"format": "onnx"})
    assert made.status == 201, made.body
    path = f"/v1/jobs/{job}/exports/{made.json['export']['id']}"

    def ended() -> Any:
        entry = backend.call("GET", path).json["export"]
        return entry if entry["state"] in ("completed", "failed") else None

    entry = until(ended, 300)
    assert entry.get("error") is None
    assert entry["proof"]["verdict"] == "same", entry["proof"]
    assert [program for program, _ in entry["usage"]] == ["In Python", "ONNX Runtime"]
    (model,) = data.rglob("model.onnx")
    inputs = AutoTokenizer.from_pretrained(model.parent)(
        ["Please hurry: the boat.", "No rush: the boat."], padding=True, truncation=True, return_tensors="np"
    )
    (logits,) = runtime.InferenceSession(str(model)).run(None, dict(inputs))
    assert logits.argmax(-1).tolist() == [1, 0]
    card = (model.parent / "README.md").read_text()
    assert 'onnxruntime.InferenceSession(f"{here}/model.onnx")' in card
    assert "`labels.json` has the labels" in card
    assert 'library_name: "onnx"' in card


def test_its_card_says_how_to_load_it(backend: Backend, job: str) -> None:
    card = backend.call("GET", f"/v1/jobs/{job}/card").json["card"]
    assert 'pipeline_tag: "text-classification"' in card
    assert "AutoModelForSequenceClassification" in card
    assert "AutoModelForCausalLM" not in card
    assert "as the base cannot classify" in card
    assert "loss per token" not in card


def test_a_chat_with_it_is_refused(backend: Backend, job: str) -> None:
    body = {
        "messages": [{"role": "user", "content": "Where is my parcel?"}],
        "adapter": {"kind": "final", "jobId": job},
    }
    refused = backend.call("POST", "/v1/inference/chat", body)
    assert refused.status == 400
    assert "This model is a classifier: it answers with a label, not in words" in refused.json["error"]


def test_the_playground_gives_a_text_its_labels(backend: Backend, job: str) -> None:
    adapter = {"kind": "final", "jobId": job}
    body = {"adapter": adapter, "text": "Please hurry: the boat."}
    answer = backend.call("POST", "/v1/inference/classify", body)
    assert answer.status == 200, answer.body
    assert answer.json["labels"] == ["calm", "hurried"]
    calm, hurried = answer.json["probabilities"]
    assert calm + hurried == pytest.approx(1, abs=1e-5)
    assert hurried > 0.7
    long = backend.call("POST", "/v1/inference/classify", {"adapter": adapter, "text": "word " * 3000})
    assert long.status == 503
    assert "The text has 6000 tokens" in long.json["error"]
    search = {"adapter": adapter, "query": "Where?", "texts": ["The boat."]}
    refused = backend.call("POST", "/v1/inference/search", search)
    assert refused.status == 400
    assert "not an embedder" in refused.json["error"]


@pytest.fixture(scope="module")
def endpoint(backend: Backend, job: str) -> str:
    """The path of an endpoint with the classifier, which needs no key."""
    body = {
        "slug": "sorter",
        "target": {"kind": "adapter", "adapter": {"kind": "final", "jobId": job}},
        "authMode": "none",
        "runRetentionMode": "unlimited",
    }
    made = backend.call("POST", "/v1/endpoints", body)
    assert made.status == 201, made.body
    return "/v1/serve/sorter"


def test_an_endpoint_gives_texts_their_labels(backend: Backend, endpoint: str) -> None:
    texts = ["Please hurry: the gift at home.", "No rush: the invoice up north.", "Please hurry: the boat."]
    answer = backend.call("POST", f"{endpoint}/classify", {"input": texts, "model": "sorter"})
    assert answer.status == 200, answer.body
    found = answer.json
    assert (found["object"], found["model"], found["labels"]) == ("list", "sorter", ["calm", "hurried"])
    assert [row["label"] for row in found["data"]] == ["hurried", "calm", "hurried"]
    for number, row in enumerate(found["data"]):
        assert (row["index"], row["num_classes"]) == (number, 2)
        assert sum(row["probs"]) == pytest.approx(1, abs=1e-5)
        assert row["label"] == found["labels"][row["probs"].index(max(row["probs"]))]
    assert found["usage"]["prompt_tokens"] == found["usage"]["total_tokens"] > 0
    # One text alone is computed as among others.
    alone = backend.call("POST", f"{endpoint}/classify", {"input": texts[1]}).json
    assert alone["data"][0]["probs"] == pytest.approx(found["data"][1]["probs"], abs=1e-3)


def test_its_probabilities_are_those_of_transformers(
    backend: Backend, endpoint: str, job: str, tiny: Path, data: Path
) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    text = "Please hurry: the ticket in the shop."
    served = backend.call("POST", f"{endpoint}/classify", {"input": text}).json["data"][0]["probs"]
    base = AutoModelForSequenceClassification.from_pretrained(tiny, num_labels=2, dtype=torch.float32)
    model = PeftModel.from_pretrained(base, str(data / "jobs" / job / "final")).eval()
    with torch.no_grad():
        logits = model(**AutoTokenizer.from_pretrained(tiny)(text, return_tensors="pt")).logits
    stored = json.loads((data / "jobs" / job / "final" / "calibration.json").read_text())
    verdict = backend.job(job)["evaluation"]["heldOut"]["classified"]["calibration"]
    assert stored == {"temperature": verdict["temperature"]}
    # The endpoint computes in the format that is fastest here, as chat does.
    probabilities = (logits / stored["temperature"]).softmax(-1)
    assert served == pytest.approx(probabilities[0].tolist(), abs=0.02)


def test_it_refuses_chats_and_unusable_texts_in_a_sentence(backend: Backend, endpoint: str) -> None:
    messages = [{"role": "user", "content": "Where is my parcel?"}]
    for call, body in (
        ("chat/completions", {"messages": messages}),
        ("completions", {"prompt": "Where"}),
        ("responses", {"input": "Where"}),
        ("messages", {"messages": messages, "max_tokens": 5, "model": "sorter"}),
    ):
        refused = backend.call("POST", f"{endpoint}/{call}", body)
        assert refused.status == 400, call
        assert "is a classifier: it answers with a label, not in words" in refused.json["error"]
    for texts, words in (
        ([], "input must be a text, or a list of 1 to 256 texts"),
        (["a"] * 257, "input must be a text, or a list of 1 to 256 texts"),
        (["a", " "], r"input[1] is empty"),
        (3, "input must be a text"),
        ("word " * 3000, "and this model reads at most"),
    ):
        refused = backend.call("POST", f"{endpoint}/classify", {"input": texts})
        assert (refused.status, refused.json["param"]) == (400, "input"), refused.body
        assert words in refused.json["error"]
    assert backend.call("POST", f"{endpoint}/classify", {"input": "a", "model": "other"}).status == 404


def test_its_log_has_texts_and_labels(backend: Backend, endpoint: str) -> None:
    deployment = backend.call("GET", "/v1/endpoints").json["deployments"][0]["id"]

    def requests() -> Any:
        return backend.call("GET", f"/v1/endpoints/{deployment}/requests").json["requests"]

    before = len(requests())
    assert backend.call("POST", f"{endpoint}/classify", {"input": "No rush: the book."}).status == 200
    log = until(lambda: (found := requests())[: len(found) - before] and found, 10)
    newest = next(entry for entry in log if entry["status"] == 200)
    assert (newest["call"], newest["completionTokens"]) == ("classify", 0)
    entry = backend.call("GET", f"/v1/endpoints/{deployment}/requests/{newest['id']}").json["request"]
    assert entry["answers"] == ["calm"]
    assert entry["messages"] == [{"role": "user", "content": "No rush: the book."}]


def test_an_endpoint_with_a_key_classifies_only_for_its_callers(backend: Backend, job: str) -> None:
    body = {
        "slug": "locked",
        "target": {"kind": "adapter", "adapter": {"kind": "final", "jobId": job}},
        "authMode": "fixed_api_key",
    }
    deployment = backend.call("POST", "/v1/endpoints", body).json["deployment"]["id"]
    asked = {"input": "No rush: the book."}
    assert backend.call("POST", "/v1/serve/locked/classify", asked).status == 403
    made = backend.call("POST", f"/v1/endpoints/{deployment}/keys", {"label": "mine"}).json["key"]
    headers = {"X-Arkor-Endpoint-Key": made["plaintext"]}
    with backend.open("POST", "/v1/serve/locked/classify", asked, **headers) as answer:
        assert answer.status == 200


def test_a_dry_run_may_read_rows_of_one_label(backend: Backend, labeled: Path) -> None:
    write_jsonl(labeled / "data" / "sorted.jsonl", sorted(LABELED, key=lambda row: row["label"]))
    source = {"type": "file", "path": "data/sorted.jsonl"}
    job = backend.submit({**CONFIG, "datasetSource": source, "dryRun": True})
    list(backend.events(job))
    assert backend.job(job)["status"] == "completed"


def test_rows_with_wrong_labels_surprise_it_most(backend: Backend, labeled: Path, job: str) -> None:
    wrong = [4, 17]
    other = {"calm": "hurried", "hurried": "calm"}
    rows = [
        {**row, "label": other[row["label"]]} if number in wrong else row
        for number, row in enumerate(LABELED[:30], 1)
    ]
    write_jsonl(labeled / "data" / "wrong.jsonl", [*rows, {"text": "No rush: the boat.", "label": "lazy"}])
    source = {"type": "file", "path": "data/wrong.jsonl"}
    view = backend.call("POST", "/v1/datasets", {"config": {**CONFIG, "datasetSource": source}})
    path = f"/v1/datasets/{view.json['dataset']['id']}"
    until(lambda: backend.call("GET", path).json["dataset"]["state"] == "ready", 120)

    def measured(below: str) -> Any:
        assert backend.call("POST", f"{path}/{below}").status == 200
        return until(
            lambda: (
                (found := backend.call("GET", f"{path}/{below}").json["losses"])["state"]
                in ("completed", "failed")
                and found
            ),
            60,
        )

    assert measured(f"losses/{job}") == {"state": "completed"}
    found = backend.call("GET", f"{path}/surprising?count=40&job={job}").json["surprising"]
    assert len(found) == 30  # without the label that it does not know
    assert {row["row"] for row in found[:2]} == set(wrong)
    assert min(row["loss"] for row in found[:2]) > 1 > found[2]["loss"]
    assert "The base cannot classify" in measured("losses")["error"]


def test_rows_with_several_labels(backend: Backend, labeled: Path) -> None:
    def labels(text: str) -> list[str]:
        return ["hurried"] * ("hurry" in text) + ["travelling"] * ("by the sea" in text or "up north" in text)

    rows = [{"text": row["text"], "label": labels(row["text"])} for row in LABELED]
    write_jsonl(labeled / "data" / "several.jsonl", rows)
    source = {"type": "file", "path": "data/several.jsonl"}
    job = backend.submit({**CONFIG, "datasetSource": source, "maxSteps": 40})
    frames = list(backend.events(job))
    assert backend.job(job)["status"] == "completed", backend.job(job)
    evaluation = next(frame.json["evaluation"] for frame in frames if frame.event == "evaluation.completed")
    assert evaluation["verdict"] == "better", evaluation
    found = evaluation["heldOut"]["classified"]
    assert found["labels"] == 2
    assert found["microF1"]["share"] > 0.8
    assert {cell["label"] for cell in found["confusion"]} <= {
        "hurried", "travelling", "hurried + travelling", "(none)",
    }  # fmt: skip
    assert [baseline["kind"] for baseline in found["baselines"]] == ["tfidf"]
    body = {
        "slug": "several-labels",
        "target": {"kind": "adapter", "adapter": {"kind": "final", "jobId": job}},
        "authMode": "none",
        "runRetentionMode": "unlimited",
    }
    assert backend.call("POST", "/v1/endpoints", body).status == 201
    texts = [str(row["text"]) for row in rows]
    answer = backend.call("POST", "/v1/serve/several-labels/classify", {"input": texts}).json
    right = [row["predicted"] == labels(text) for row, text in zip(answer["data"], texts, strict=True)]
    assert sum(right) > 0.9 * len(texts)
    for row in answer["data"]:
        likely = [label for label, share in zip(answer["labels"], row["probs"], strict=True) if share > 0.5]
        assert row["predicted"] == likely
