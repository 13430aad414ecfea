"""Embedders as GGUF: llama.cpp pools and tokenizes as in training, and other vectors are found."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")

import gguf
import torch

from arkor_dev.local.exports.llama import embedder as module
from arkor_dev.local.exports.llama.embedder import LlamaEmbedderExport
from arkor_dev.local.gguf.files import convert
from arkor_dev.local.jobs.atomic_folder import manifest_of
from arkor_dev.local.workers.errors import JobFailure
from tests.local.gguf_extra import needs_gguf, with_converters
from tests.local.tiny_encoder import write_encoder
from tests.local.training.methods.test_embed import PAIRS, rows_of, run_of

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.contract.shapes import ExportProof

pytestmark = [
    pytest.mark.engine,
    needs_gguf,
    pytest.mark.usefixtures("forked"),
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]


def saved(base: Path, data: Path, **config: Any) -> Path:
    """The folder of an embedder's adapter of random weights."""
    run = run_of(base, data, **config)
    run.begin()
    torch.manual_seed(3)
    with torch.no_grad():
        for name, weight in run.model.named_parameters():
            if ".lora_B." in name:
                weight.normal_(std=0.1)
    run.save(data / "saved")
    return data / "saved"


def export(base: Path, source: Path, target: Path, cache: Path, quantization: str = "f16") -> ExportProof:
    task = LlamaEmbedderExport(
        "gguf", source, "adapter", base, "tiny", target, lambda *_: None, 1.0, quantization, cache
    )
    return task.make(rows_of(PAIRS))


@pytest.mark.parametrize(("pooling", "quantization"), [("mean", "f16"), ("lasttoken", "q8_0")])
def test_llama_cpp_computes_the_trained_models_vectors(
    tiny: Path, tmp_path: Path, pooling: str, quantization: str
) -> None:
    source = saved(tiny, tmp_path, poolingMode=pooling)
    proof = export(
        tiny, source, target := tmp_path / "out", with_converters(tmp_path / "cache"), quantization
    )
    assert proof["verdict"] == "same", proof
    assert proof["distance"] <= 0.5 * proof["allowed"]["distance"] < proof["distanceOfBase"]
    assert proof["texts"] == 2 * len(PAIRS)
    assert manifest_of(target)["files"].keys() >= {"model.gguf", "embedder.json"}
    # The proof tells llama.cpp nothing about pooling: it takes that of the file.
    field = gguf.GGUFReader(target / "model.gguf").get_field("llama.pooling_type")
    expected = gguf.PoolingType.MEAN if pooling == "mean" else gguf.PoolingType.LAST
    assert field.contents() == expected


def test_vectors_of_another_pooling_are_found(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = saved(tiny, tmp_path, poolingMode="mean")

    def wrongly(merged: Path, *rest: Any) -> Path:
        stored = json.loads((merged / "embedder.json").read_text())
        (merged / "embedder.json").write_text(json.dumps({**stored, "pooling": "lasttoken"}))
        return convert(merged, *rest)

    monkeypatch.setattr(module, "convert", wrongly)
    proof = export(tiny, source, tmp_path / "out", with_converters(tmp_path / "cache"))
    assert proof["verdict"] == "differs"
    assert "(0.001 allowed)" in proof["sentence"]


def test_an_encoders_vectors_are_llama_cpps_and_words_split_otherwise_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [text for row in PAIRS for text in row.values()]
    base = write_encoder(tmp_path / "bert", "bert", texts)
    source, cache = saved(base, tmp_path, poolingMode="mean"), with_converters(tmp_path / "cache")
    proof = export(base, source, target := tmp_path / "out", cache)
    assert proof["verdict"] == "same", proof
    assert proof["distance"] <= 0.5 * proof["allowed"]["distance"] < proof["distanceOfBase"]
    assert gguf.GGUFReader(target / "model.gguf").get_field("bert.pooling_type").contents() == 1

    def of_another_vocabulary(merged: Path, *rest: Any) -> Path:
        stored = json.loads((merged / "tokenizer.json").read_text())
        vocabulary = stored["model"]["vocab"]
        words = sorted(word for word in vocabulary if not word.startswith("["))
        numbers = [vocabulary[word] for word in words]
        vocabulary.update(zip(words, numbers[1:] + numbers[:1], strict=True))
        (merged / "tokenizer.json").write_text(json.dumps(stored))
        return convert(merged, *rest)

    monkeypatch.setattr(module, "convert", of_another_vocabulary)
    assert export(base, source, tmp_path / "other", cache)["verdict"] == "differs"


def test_a_modernbert_and_fewer_bits_are_refused_at_once(tiny: Path, tmp_path: Path) -> None:
    base = write_encoder(
        tmp_path / "modernbert", "modernbert", [text for row in PAIRS for text in row.values()]
    )
    with pytest.raises(
        JobFailure, match="does not load ModernBERT as GGUF: choose the format merged or onnx"
    ):
        export(base, tmp_path, tmp_path / "out", tmp_path)
    with pytest.raises(JobFailure, match="exported as gguf in f16 or q8_0: choose one of them"):
        export(tiny, tmp_path, tmp_path / "out", tmp_path, "q4_0")
    assert not (tmp_path / "out").exists()
