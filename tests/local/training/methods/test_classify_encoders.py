"""Encoders as bases of classifiers: transformers' loss, the same bits after a pause, and a whole job."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")

import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification

from arkor_dev.local.embeddings.losses import label_losses_of
from arkor_dev.local.inference.classifier_head import ClassifierHead
from arkor_dev.local.modeling.base_model import load_base
from arkor_dev.local.modeling.classes import Classes
from arkor_dev.local.modeling.head import check_base
from arkor_dev.local.modeling.tokenizer import load_tokenizer
from arkor_dev.local.training.methods import method
from arkor_dev.local.training.rows.encoding import Encoding
from arkor_dev.local.workers.errors import JobFailure
from tests.local.conftest import make_project
from tests.local.harness import Backend, until
from tests.local.tiny_encoder import write_encoder
from tests.local.tiny_model import write_jsonl
from tests.local.tiny_run import losses_of, set_up
from tests.local.training.methods.test_classify import CONFIG as STEPS
from tests.local.training.methods.test_classify import ROWS, SEVERAL, rows_of
from tests.local.training.methods.test_classify_job import CONFIG, LABELED
from tests.local.training.test_going_on import bytes_of, pausing_after, points
from tests.support.in_ci import in_ci

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from arkor_dev.local.training.run import TrainingLoop

pytestmark = [
    pytest.mark.engine,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]

KINDS = ("bert", "modernbert")
RECORDS: list[dict[str, Any]] = [*ROWS, *SEVERAL, *LABELED]
TEXTS = [row["text"] for row in RECORDS]


@pytest.fixture(params=[*KINDS, "modernbert-mean"])
def encoder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The folder of an encoder of each kind, and of one whose head reads the mean of all hidden states."""
    kind, _, pooling = request.param.partition("-")
    folder = write_encoder(tmp_path / kind, kind, TEXTS)
    if pooling:
        config = folder / "config.json"
        config.write_text(json.dumps({**json.loads(config.read_text()), "classifier_pooling": pooling}))
    return folder


def run_of(folder: Path, data: Path, records: Sequence[dict[str, Any]] = ROWS, **config: Any) -> TrainingLoop:
    classes = Classes.of(rows_of(records), ())
    encoding, classify = Encoding(128, classes=classes), method("classify")
    train, _ = classify.encode_all(load_tokenizer(folder), rows_of(records), encoding, lambda _: None)
    facts: dict[str, Any] = {"resume_plan": config.pop("resume_plan", None), "classes": classes}
    facts |= {"train": train, "method": classify, "job_id": "job", "base": load_base(folder, headed=True)}
    return set_up(folder, data, {**STEPS, **config}, **facts)


def named(model: Any) -> dict[str, Any]:
    """The gradient of each weight that is trained, by its name in the saved adapter."""
    return {
        name.replace(".default", "").replace(".modules_to_save", ""): weight.grad
        for name, weight in model.named_parameters()
        if weight.requires_grad
    }


@pytest.mark.parametrize("records", [ROWS, SEVERAL])
def test_loss_and_gradients_equal_those_of_transformers(
    encoder: Path, tmp_path: Path, records: list[dict[str, Any]]
) -> None:
    run: Any = run_of(encoder, tmp_path, records)
    run.begin()
    torch.manual_seed(3)
    with torch.no_grad():
        for name, weight in run.model.named_parameters():
            if ".lora_B." in name:
                weight.normal_(std=0.1)
    run.model.eval()  # an encoder has dropout of its own
    summed, count = run.loss(run.train)
    (summed / count).backward()
    run.save(saved := tmp_path / "saved")
    labels = len(run.classes.names)
    base = AutoModelForSequenceClassification.from_pretrained(encoder, num_labels=labels, dtype=torch.float32)
    model = PeftModel.from_pretrained(base, str(saved), is_trainable=True).eval()
    inputs = load_tokenizer(encoder)([row["text"] for row in records], padding=True, return_tensors="pt")
    wanted = torch.tensor([row.labels[-1] for row in run.train])
    if run.classes.multiple:
        wanted = torch.tensor([[float(n in row.classes) for n in range(labels)] for row in run.train])
    asked = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    theirs = model(
        **asked, labels=wanted
    ).loss  # transformers' own, with the problem type by the labels' dtype
    theirs.backward()
    assert float(summed.detach()) / count == pytest.approx(float(theirs.detach()), abs=1e-5)
    found, expected = named(run.model), named(model)
    assert found.keys() == expected.keys()
    head = {"base_model.model.classifier.bias", "base_model.model.classifier.weight"}
    assert head < {name for name in found if ".lora_" not in name}
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name], atol=1e-5, rtol=1e-4, msg=name)
    # The head that is served, beside the model without one.
    hidden = model.base_model.model.base_model(**asked).last_hidden_state
    served = ClassifierHead.read(saved, "cpu", base.config)
    logits = served.logits(hidden, inputs["attention_mask"].sum(1))
    torch.testing.assert_close(logits, model(**asked).logits, atol=1e-5, rtol=1e-5)
    # The losses by which the Data page lists surprising rows.
    run.model.eval()
    losses = label_losses_of(run.model, served, run.train, "cpu")
    assert losses == pytest.approx([loss for loss, _ in run.loss.row_losses(run.train)], abs=1e-5)


@pytest.mark.ci
def test_it_learns_and_resumes_to_the_same_bits(encoder: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for data in (whole, parts):
        data.mkdir()
    config = {"maxSteps": 40, "learningRate": 5e-3, "batchSize": 8}
    losses = losses_of(run_of(encoder, whole, LABELED, **config))
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])
    paused = run_of(encoder, parts, LABELED, **config)
    pausing_after(5)(paused)
    assert paused.run().status == "paused"
    assert run_of(encoder, parts, LABELED, **config, resume_plan=points(parts)).run().status == "completed"
    assert bytes_of(parts) == bytes_of(whole)


def test_a_long_text_keeps_the_token_at_its_end(encoder: Path) -> None:
    tokenizer = load_tokenizer(encoder)
    (row,) = rows_of([{"text": "hurry " * 50, "label": "a"}])
    encoding = Encoding(10, classes=Classes(("a", "b"), (1, 1)))
    (example,), cut = method("classify").encode(tokenizer, row, encoding)
    assert cut
    assert len(example.ids) == 10
    assert (example.ids[0], example.ids[8]) == (tokenizer.cls_token_id, tokenizer.sep_token_id)


def test_a_head_that_does_not_fit_is_refused(encoder: Path, tmp_path: Path) -> None:
    run: Any = run_of(encoder, tmp_path)
    run.begin()
    run.save(saved := tmp_path / "saved")
    weights = load_file(saved / "adapter_model.safetensors")
    for name, words in (
        ("base_model.model.classifier.bias", "does not fit its labels"),
        (
            next(name for name in weights if name.endswith("dense.weight") and "lora" not in name),
            "cannot be read",
        ),
    ):
        broken = {**weights, name: torch.zeros(7)}
        save_file(broken, saved / "adapter_model.safetensors")
        with pytest.raises(JobFailure, match=words):
            ClassifierHead.read(saved, "cpu", run.base.model.config)


def test_a_base_that_is_a_classifier_of_other_labels_is_refused(encoder: Path) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(encoder, num_labels=5)
    model.config.architectures = [type(model).__name__]
    with pytest.raises(JobFailure, match="with 5 labels and not 2, so other programs could not load"):
        check_base(model, "it", Classes(("a", "b"), (1, 1)))
    check_base(model, "it", Classes(tuple("abcde"), (1,) * 5))


@pytest.fixture(scope="module")
def backend(
    tmp_path_factory: pytest.TempPathFactory, tiny: Path, template: dict[str, str]
) -> Iterator[Backend]:
    """A backend on a project with both encoders."""
    project = make_project(tmp_path_factory.mktemp("project") / "tests", tiny)
    for kind in KINDS:
        write_encoder(project / "models" / kind, kind, TEXTS)
    write_jsonl(project / "data" / "labeled.jsonl", LABELED)
    data = tmp_path_factory.mktemp("data")
    backend = Backend.start(data, project, data / "cache", **template)
    yield backend
    backend.stop()


@pytest.mark.parametrize("kind", [in_ci(kind) if kind == "bert" else kind for kind in KINDS])
def test_an_encoder_is_trained_judged_served_and_exported(backend: Backend, kind: str) -> None:
    config = {**CONFIG, "model": f"./models/{kind}", "maxSteps": 60, "learningRate": 5e-3, "batchSize": 8}

    def forecast() -> Any:
        found = backend.call("POST", "/v1/forecast", {"config": config}).json["forecast"]
        assert found["state"] != "failed", found
        return found if found["state"] == "measured" else None

    assert until(forecast, 90)["trainingSeconds"] > 0
    job = backend.submit(config)
    list(backend.events(job))
    found = backend.job(job)
    assert found["status"] == "completed", found
    task = found["evaluation"]["heldOut"]
    assert found["evaluation"]["verdict"] == "better"
    assert task["adapter"] > 0.9
    assert [baseline["kind"] for baseline in task["classified"]["baselines"]] == ["tfidf"]
    assert any("no zero-shot choice to compare with" in text for text in task["classified"]["sentences"])
    adapter = {"kind": "final", "jobId": job}
    body = {"slug": kind, "target": {"kind": "adapter", "adapter": adapter}, "authMode": "none"}
    assert backend.call("POST", "/v1/endpoints", body).status == 201
    texts = [row["text"] for row in LABELED]
    answer = backend.call("POST", f"/v1/serve/{kind}/classify", {"input": texts}).json
    right = [row["label"] == labeled["label"] for row, labeled in zip(answer["data"], LABELED, strict=True)]
    assert sum(right) > 0.9 * len(texts)
    made = backend.call("POST", f"/v1/jobs/{job}/exports", {"format": "adapter"})
    assert made.status == 201, made.body
    exported = until(
        lambda: next(
            (one for one in backend.call("GET", f"/v1/jobs/{job}/exports").json["exports"]
             if one["state"] in ("completed", "failed")), None), 90,
    )  # fmt: skip
    assert exported.get("error") is None
    assert exported["proof"]["verdict"] == "same", exported["proof"]
    chat = {"messages": [{"role": "user", "content": "Where?"}], "adapter": adapter}
    assert "is a classifier" in backend.call("POST", "/v1/inference/chat", chat).json["error"]


def test_an_encoders_head_is_not_learned_on_quantized_weights(backend: Backend) -> None:
    job = backend.submit({**CONFIG, "model": "./models/bert", "loadIn4bit": True})
    failed = next(frame.json for frame in backend.events(job) if frame.event == "training.failed")
    assert "head of an encoder (BERT) is learned whole" in failed["error"]
    assert "remove load_in_4bit" in failed["error"]
