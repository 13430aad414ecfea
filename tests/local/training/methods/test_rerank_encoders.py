"""Encoders as bases of rerankers: sentence-transformers' loss, the same bits after a pause, a whole job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")

import torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification

from arkor_dev.local.modeling.base_model import load_base
from arkor_dev.local.modeling.tokenizer import load_tokenizer
from arkor_dev.local.training.job_settings import EffectiveSettings
from arkor_dev.local.training.methods import method
from arkor_dev.local.training.rows.encoding import Encoding
from tests.local.conftest import make_project
from tests.local.harness import Backend, until
from tests.local.tiny_encoder import write_encoder
from tests.local.tiny_model import write_jsonl
from tests.local.tiny_run import losses_of, set_up
from tests.local.training.methods.test_classify_encoders import KINDS, named
from tests.local.training.methods.test_rerank import CONFIG as STEPS
from tests.local.training.methods.test_rerank import rows_of
from tests.local.training.methods.test_rerank_job import CONFIG, DOCUMENTS, QUERY, ROWS
from tests.local.training.test_going_on import bytes_of, pausing_after, points

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from arkor_dev.local.training.run import TrainingLoop

pytestmark = [
    pytest.mark.engine,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]

TEXTS = [str(row[name]) for row in ROWS for name in ("query", "document")]


@pytest.fixture(params=KINDS)
def encoder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The folder of an encoder of each kind."""
    return write_encoder(tmp_path / request.param, request.param, TEXTS)


def run_of(folder: Path, data: Path, **config: Any) -> TrainingLoop:
    resume_plan, job = config.pop("resume_plan", None), {**STEPS, **config}
    rerank, rows = method("rerank"), rows_of(ROWS)
    classes = rerank.classes(rows, (), EffectiveSettings(job))
    train, _ = rerank.encode_all(load_tokenizer(folder), rows, Encoding(128), lambda _: None)
    facts: dict[str, Any] = {"train": train, "method": rerank, "job_id": "job", "classes": classes}
    base = load_base(folder, headed=True)
    return set_up(folder, data, job, **facts, base=base, resume_plan=resume_plan)


def test_loss_and_gradients_equal_those_of_sentence_transformers(encoder: Path, tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")  # seconds, and with it scikit-learn
    from sentence_transformers import CrossEncoder
    from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss

    run: Any = run_of(encoder, tmp_path)
    run.begin()
    torch.manual_seed(3)
    with torch.no_grad():
        for name, weight in run.model.named_parameters():
            if ".lora_B." in name:
                weight.normal_(std=0.1)
    run.model.eval()  # an encoder has dropout of its own
    rows = run.train[:8]
    # Only BERT tells the two texts apart by the types of their tokens.
    assert all((row.second is not None) == (encoder.name == "bert") for row in rows)
    summed, count = run.loss(rows)
    (summed / count).backward()
    run.save(saved := tmp_path / "saved")
    base = AutoModelForSequenceClassification.from_pretrained(encoder, num_labels=1, dtype=torch.float32)
    base.save_pretrained(plain := tmp_path / "plain")
    tokenizer = load_tokenizer(encoder)
    tokenizer.chat_template = None  # else it puts pairs into the chat template
    tokenizer.save_pretrained(plain)
    adapted = PeftModel.from_pretrained(base, str(saved), is_trainable=True).eval()
    model = CrossEncoder(str(plain), device="cpu")
    model[0].model = adapted
    texts = [[row[key] for row in ROWS[:8]] for key in ("query", "document")]
    expected = BinaryCrossEntropyLoss(model)(texts, torch.tensor([float(row["label"]) for row in ROWS[:8]]))
    expected.backward()
    assert float(summed.detach()) / count == pytest.approx(float(expected.detach()), abs=1e-5)
    ours, theirs = named(run.model), named(adapted)
    assert ours.keys() == theirs.keys()
    for name, gradient in ours.items():
        torch.testing.assert_close(gradient, theirs[name], atol=1e-5, rtol=1e-4, msg=name)


@pytest.mark.ci
def test_it_learns_and_resumes_to_the_same_bits(encoder: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for data in (whole, parts):
        data.mkdir()
    config = {"maxSteps": 80, "learningRate": 5e-3, "batchSize": 8}
    losses = losses_of(run_of(encoder, whole, **config))
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])
    paused = run_of(encoder, parts, **config)
    pausing_after(5)(paused)
    assert paused.run().status == "paused"
    assert run_of(encoder, parts, **config, resume_plan=points(parts)).run().status == "completed"
    assert bytes_of(parts) == bytes_of(whole)


@pytest.fixture(scope="module")
def backend(
    tmp_path_factory: pytest.TempPathFactory, tiny: Path, template: dict[str, str]
) -> Iterator[Backend]:
    """A backend on a project with both encoders."""
    project = make_project(tmp_path_factory.mktemp("project") / "tests", tiny)
    for kind in KINDS:
        write_encoder(project / "models" / kind, kind, TEXTS)
    write_jsonl(project / "data" / "ranked.jsonl", ROWS)
    data = tmp_path_factory.mktemp("data")
    backend = Backend.start(data, project, data / "cache", **template)
    yield backend
    backend.stop()


def test_an_encoder_is_trained_judged_served_and_exported(backend: Backend) -> None:
    """With BERT alone: ``test_classify_encoders.py`` has a job, an endpoint and an export of ModernBERT."""
    kind = "bert"
    config = {**CONFIG, "model": f"./models/{kind}", "maxSteps": 60, "learningRate": 5e-3}
    job = backend.submit(config)
    list(backend.events(job))
    found = backend.job(job)
    assert found["status"] == "completed", found
    assert found["evaluation"]["verdict"] == "better"
    assert found["evaluation"]["heldOut"]["adapter"] > 0.95
    adapter = {"kind": "final", "jobId": job}
    body = {"slug": kind, "target": {"kind": "adapter", "adapter": adapter}, "authMode": "none"}
    assert backend.call("POST", "/v1/endpoints", body).status == 201
    asked = {"query": QUERY, "documents": DOCUMENTS}
    served = backend.call("POST", f"/v1/serve/{kind}/rerank", asked).json["results"]
    assert served[0]["index"] == 1
    assert served[0]["relevance_score"] > 0.5 > served[1]["relevance_score"]
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
