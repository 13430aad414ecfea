"""Encoders as bases of embedders: sentence-transformers' loss, a whole job, and methods that refuse them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")

import torch

from arkor_dev.local.modeling.base_model import load_base
from arkor_dev.local.modeling.tokenizer import load_tokenizer
from arkor_dev.local.training.job_settings import EffectiveSettings
from arkor_dev.local.training.methods import method
from arkor_dev.local.training.rows.encoding import Encoding
from tests.local.conftest import make_project
from tests.local.harness import Backend, until
from tests.local.tiny_encoder import write_encoder
from tests.local.tiny_model import write_jsonl
from tests.local.tiny_run import set_up
from tests.local.training.methods.test_embed import CONFIG as STEPS
from tests.local.training.methods.test_embed import TRIPLETS, gradients, rows_of, theirs
from tests.local.training.methods.test_embed_job import CONFIG, PAIRS, vectors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.engine,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]

TEXTS = [
    text for row in (*TRIPLETS, *PAIRS) for text in row.values()
] + ["query: passage:"]  # fmt: skip


@pytest.mark.parametrize("pooling", ["mean", "lasttoken"])
@pytest.mark.parametrize("kind", ["bert", "modernbert"])
def test_loss_and_gradients_equal_those_of_sentence_transformers(
    tmp_path: Path, kind: str, pooling: str
) -> None:
    pytest.importorskip("sentence_transformers")  # seconds, and with it scikit-learn
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import losses
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    folder = write_encoder(tmp_path / kind, kind, TEXTS)
    config = {**STEPS, "poolingMode": pooling}
    encoding = Encoding.of(EffectiveSettings(config), 128)
    embed = method("embed")
    train, _ = embed.encode_all(load_tokenizer(folder), rows_of(TRIPLETS), encoding, lambda _: None)
    run: Any = set_up(
        folder, tmp_path, config, train=train, method=embed, job_id="job", base=load_base(folder)
    )
    run.begin()
    torch.manual_seed(3)
    with torch.no_grad():
        for name, weight in run.model.named_parameters():
            if ".lora_B." in name:
                weight.normal_(std=0.1)
    run.model.eval()  # an encoder has dropout of its own
    summed, count = run.loss(run.train)
    (summed / count).backward()
    found = gradients(run)
    assert all(gradient is not None for gradient in found.values())
    transformer = Transformer(str(folder))
    transformer.model = run.loss._inner
    model = SentenceTransformer(modules=[transformer, Pooling(64, pooling_mode=pooling)], device="cpu")
    expected = theirs(model, losses.MultipleNegativesRankingLoss(model), TRIPLETS, ("", ""))
    run.model.eval()
    expected.backward()
    assert float(summed.detach()) / count == pytest.approx(float(expected.detach()), abs=1e-5)
    for name, gradient in gradients(run).items():
        torch.testing.assert_close(found[name], gradient, atol=1e-5, rtol=1e-4, msg=name)


@pytest.fixture(scope="module")
def backend(
    tmp_path_factory: pytest.TempPathFactory, tiny: Path, template: dict[str, str]
) -> Iterator[Backend]:
    """A backend on a project with both encoders."""
    project = make_project(tmp_path_factory.mktemp("project") / "tests", tiny)
    for kind in ("bert", "modernbert"):
        write_encoder(project / "models" / kind, kind, TEXTS)
    write_jsonl(project / "data" / "pairs.jsonl", PAIRS)
    data = tmp_path_factory.mktemp("data")
    backend = Backend.start(data, project, data / "cache", **template)
    yield backend
    backend.stop()


def test_an_encoder_is_trained_served_and_exported(backend: Backend) -> None:
    """With BERT alone: ``test_classify_encoders.py`` has a job, an endpoint and an export of ModernBERT."""
    kind = "bert"
    config = {**CONFIG, "model": f"./models/{kind}", "matryoshkaDims": [16], "maxSteps": 40}
    config.pop("corpus")

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
    assert task["adapter"] > 0.9  # an encoder of random weights finds documents by their words alone
    body = {
        "slug": kind, "target": {"kind": "adapter", "adapter": {"kind": "final", "jobId": job}},
        "authMode": "none",
    }  # fmt: skip
    assert backend.call("POST", "/v1/endpoints", body).status == 201
    served = vectors(backend, f"/v1/serve/{kind}", input=["Where is the gift at home?"], dimensions=16)
    assert len(served[0]) == 16
    made = backend.call("POST", f"/v1/jobs/{job}/exports", {"format": "merged"})
    assert made.status == 201, made.body
    exported = until(
        lambda: next(
            (one for one in backend.call("GET", f"/v1/jobs/{job}/exports").json["exports"]
             if one["state"] in ("completed", "failed")), None), 90,
    )  # fmt: skip
    assert exported.get("error") is None
    assert exported["proof"]["verdict"] == "same", exported["proof"]
    card = backend.call("GET", f"/v1/jobs/{job}/card").json["card"]
    assert "AutoModel.from_pretrained(base)" in card


def test_methods_that_write_refuse_an_encoder(backend: Backend) -> None:
    config = {**CONFIG, "method": "sft", "model": "./models/bert"}
    config = {key: config[key] for key in ("method", "model", "maxSteps", "batchSize")}
    config["datasetSource"] = {"type": "file", "path": "data/chats.jsonl"}
    failed = next(
        frame.json for frame in backend.events(backend.submit(config)) if frame.event == "training.failed"
    )
    assert "is an encoder (BERT), which reads texts and writes none" in failed["error"]
    assert (
        'train it with method = "embed", "classify" or "rerank", or choose a language model'
        in failed["error"]
    )


def test_a_chat_with_an_encoder_is_refused(backend: Backend) -> None:
    body = {"messages": [{"role": "user", "content": "Where?"}], "baseModel": "./models/modernbert"}
    answer = backend.call("POST", "/v1/inference/chat", body)
    assert "is an encoder, which writes no text" in answer.body.decode()
