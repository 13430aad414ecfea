"""ONNX files of models that read texts: ONNX Runtime computes what transformers and PEFT do."""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")

import numpy as np
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from arkor_dev.local.exports.onnx_graph import OnnxExport
from arkor_dev.local.jobs.atomic_folder import manifest_of
from arkor_dev.local.workers.errors import JobFailure
from tests.local.tiny_encoder import write_encoder
from tests.local.training.methods import (
    test_classify,
    test_embed,
    test_rerank,
    test_rerank_encoders,
)
from tests.support.in_ci import in_ci

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.contract.shapes import ExportProof
    from arkor_dev.data.rows import Row

pytestmark = [
    pytest.mark.engine,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        not (find_spec("onnxscript") and find_spec("onnxruntime")),
        reason="needs ONNX Runtime",
    ),
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]
TEXTS = ["Please hurry.", "Where is it?", "A much longer text with many more words than the other two have."]
METHODS: dict[str, Any] = {
    "classify": (test_classify.run_of, test_classify.rows_of, test_classify.ROWS),
    "embed": (test_embed.run_of, test_embed.rows_of, test_embed.PAIRS),
    "rerank": (test_rerank_encoders.run_of, test_rerank.rows_of, test_rerank.ROWS),
}


def saved(base: Path, data: Path, kind: str, **config: Any) -> tuple[Path, list[Row]]:
    """The folder of an adapter of random weights for the model in ``base``, and the rows of its job."""
    run_of, rows_of, records = METHODS[kind]
    run = run_of(base, data, **config)
    run.begin()
    torch.manual_seed(3)
    with torch.no_grad():
        for name, weight in run.model.named_parameters():
            if ".lora_B." in name:
                weight.normal_(std=0.1)
    run.save(data / "saved")
    return data / "saved", rows_of(records)


def export(base: Path, source: Path, target: Path, rows: list[Row], **options: Any) -> ExportProof:
    task = OnnxExport("onnx", source, "adapter", base, "tiny", target, lambda *_: None, **options)
    return task.make(rows)


def multiplied(adapter: Path, factor: float) -> Path:
    """The same adapter with an effect of so many times that."""
    weights = load_file(adapter / "adapter_model.safetensors")
    changed = {name: factor * weight if ".lora_B." in name else weight for name, weight in weights.items()}
    shutil.copytree(adapter, other := adapter.with_name(f"times_{factor}"))
    save_file(changed, other / "adapter_model.safetensors")
    return other


def outputs_of(folder: Path, *texts: list[str]) -> Any:
    """What a program computes as the card says."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
    inputs = AutoTokenizer.from_pretrained(folder)(*texts, padding=True, truncation=True, return_tensors="np")
    (outputs,) = session.run(None, dict(inputs))
    return outputs


def classifier(base: Path, adapter: Path, labels: int) -> Any:
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=labels, dtype=torch.float32)
    model.config.pad_token_id = AutoTokenizer.from_pretrained(base).pad_token_id
    return PeftModel.from_pretrained(model, str(adapter)).eval()


def logits_of(base: Path, adapter: Path, labels: int, *texts: list[str]) -> Any:
    """The logits by transformers and PEFT, of each text alone."""
    model, tokenizer = classifier(base, adapter, labels), AutoTokenizer.from_pretrained(base)
    with torch.no_grad():
        rows = [model(**tokenizer(*each, return_tensors="pt")).logits for each in zip(*texts, strict=True)]
    return torch.cat(rows).numpy()


@pytest.mark.ci
def test_a_classifier_has_the_logits_of_transformers_and_files_of_another_adapter_are_found(
    tiny: Path, tmp_path: Path
) -> None:
    adapter, rows = saved(tiny, tmp_path, "classify")
    proof = export(tiny, adapter, target := tmp_path / "onnx", rows)
    assert proof["verdict"] == "same", proof
    assert proof["distance"] <= 1e-4 < proof["distanceOfBase"]
    assert proof["texts"] == len(rows)
    expected = logits_of(tiny, adapter, 3, TEXTS)
    # As a padded batch, and alone.
    np.testing.assert_allclose(outputs_of(target, TEXTS), expected, atol=1e-4)
    for text, logits in zip(TEXTS, expected, strict=True):
        np.testing.assert_allclose(outputs_of(target, [text])[0], logits, atol=1e-4)
    names = manifest_of(target)["files"].keys()
    assert {"model.onnx", "tokenizer.json", "labels.json"} <= names
    assert "chat_template.jinja" not in names
    content = (target / "model.onnx").read_bytes()
    assert b"site-packages" not in content, "the exporter's notes have paths of this machine"
    assert b"onnx_graph.py" not in content
    proof = export(tiny, multiplied(adapter, 1.5), target, rows, in_place=True)
    assert proof["verdict"] == "differs"
    assert "(0.0001 allowed)" in proof["sentence"]


@pytest.mark.ci
def test_bert_as_a_reranker_tells_the_two_texts_apart(tmp_path: Path) -> None:
    base = write_encoder(tmp_path / "bert", "bert", test_rerank_encoders.TEXTS)
    adapter, rows = saved(base, tmp_path, "rerank")
    made = export(base, adapter, target := tmp_path / "onnx", rows)
    assert made["verdict"] == "same", made["sentence"]
    pairs = [row.text or "" for row in rows[:3]], [row.extra["document"] for row in rows[:3]]
    np.testing.assert_allclose(outputs_of(target, *pairs), logits_of(base, adapter, 1, *pairs), atol=1e-4)
    assert (target / "reranker.json").is_file()


@pytest.mark.ci
@pytest.mark.parametrize(
    ("kind", "pooling", "strength"),
    [("tiny", "lasttoken", 0.5), in_ci("modernbert", "mean", 1.0)],
)
def test_an_embedder_has_vectors_of_length_1(
    tiny: Path, tmp_path: Path, kind: str, pooling: str, strength: float
) -> None:
    base = tiny
    if kind != "tiny":
        words = [str(value) for row in test_embed.PAIRS for value in row.values()]
        base = write_encoder(tmp_path / kind, kind, words)
    adapter, rows = saved(base, tmp_path, "embed", poolingMode=pooling)
    made = export(base, adapter, target := tmp_path / "onnx", rows, strength=strength)
    assert made["verdict"] == "same", made["sentence"]
    assert made["texts"] == 2 * len(rows), "queries and documents"
    vectors = outputs_of(target, TEXTS)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert json.loads((target / "embedder.json").read_text())["pooling"] == pooling
    if strength != 1:
        assert export(base, adapter, target, rows, in_place=True)["verdict"] == "differs"
        weaker = multiplied(adapter, strength)
        assert export(base, weaker, target, rows, in_place=True)["verdict"] == "same"


def test_a_model_that_the_exporter_does_not_support_is_refused(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter, rows = saved(tiny, tmp_path, "classify")

    def fails(*_: Any, **__: Any) -> None:
        raise torch.onnx.OnnxExporterError("No decompositions registered for aten.made_up\nand more")

    monkeypatch.setattr(torch.onnx, "export", fails)
    with pytest.raises(JobFailure, match=r"does not support this model: No decompositions .* aten.made_up$"):
        export(tiny, adapter, tmp_path / "onnx", rows)
    assert not (tmp_path / "onnx").exists()
