"""Exports for llama.cpp of true trainings: what it answers is the same, and each planted fault is found."""

from __future__ import annotations

import hashlib
import shutil
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")

import gguf

from arkor_dev.local.exports import export as merging
from arkor_dev.local.exports import files
from arkor_dev.local.exports.export import ExportTask
from arkor_dev.local.exports.llama import export as export_module
from arkor_dev.local.exports.llama.export import LlamaExport
from arkor_dev.local.gguf.files import convert, make_lora
from arkor_dev.local.jobs.atomic_folder import manifest_of
from tests.local.exports.test_export import ROWS, one_layer_left_out, trained
from tests.local.gguf_extra import needs_gguf, with_converters
from tests.local.other_models import make_qwen, make_started
from tests.support.in_ci import in_ci

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from arkor_dev.contract.shapes import ExportProof

pytestmark = [
    pytest.mark.engine,
    needs_gguf,
    pytest.mark.usefixtures("forked"),
    pytest.mark.timeout(600),  # each export is five processes that load libraries
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]


def nothing(*_: Any) -> None:
    """Hears how far it has come."""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_converters(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module", autouse=True)
def converted_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Path]]:
    """Convert each model once, byte for byte, for all exports: every time it is a process of seconds."""
    kept = tmp_path_factory.mktemp("converted")

    def once(source: Path, quantization: str, name: str, scratch: Path, *rest: Any) -> Path:
        told = hashlib.sha256(name.encode())
        for path in sorted(source.iterdir()):
            told.update(f"\0{path.name}\0{path.stat().st_size}\0".encode() + path.read_bytes())
        place = kept / f"{told.hexdigest()}.gguf"
        if not place.exists():
            convert(source, quantization, name, scratch, *rest).rename(place)
        return shutil.copyfile(place, scratch / "whole.gguf")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export_module, "convert", once)
        yield once


@pytest.fixture(scope="module")
def bases(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Models of three tokenizers, templates and two architectures."""
    made = tmp_path_factory.mktemp("bases")
    return {"tiny": tiny, "qwen": make_qwen(made / "qwen"), "started": make_started(made / "started")}


@pytest.fixture(scope="module")
def adapters(bases: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: trained(base, tmp_path_factory.mktemp(name)) for name, base in bases.items()}


def export(
    source: Path,
    base: Path,
    target: Path,
    own: Path,
    form: str = "gguf",
    quantization: str = "f16",
    strength: float = 1.0,
    kind: str = "adapter",
) -> ExportProof:
    what = (form, source, kind, base, "tiny", target, nothing, strength)
    return LlamaExport(*what, quantization, own).make(ROWS)


@pytest.mark.parametrize(
    ("name", "form"),
    # What leaves for Ollama is the same file as without it, with another beside it.
    [("tiny", "gguf-lora"), ("qwen", "gguf-lora"), ("started", "ollama")],
)
def test_an_export_for_llama_cpp_equals_the_trained_model(
    bases: dict[str, Path], adapters: dict[str, Path], own: Path, tmp_path: Path, name: str, form: str
) -> None:
    proof = export(adapters[name], bases[name], tmp_path / "out", own, form)
    assert proof["verdict"] == "same", proof
    assert proof["divergence"] < 1e-3 < proof["divergenceOfBase"]
    assert proof["loss"]["exported"] < proof["loss"]["base"]
    names = manifest_of(tmp_path / "out")["files"].keys()
    wanted = {
        "gguf-lora": {"adapter.gguf"},
        "ollama": {"model.gguf", "Modelfile"},
    }
    assert names >= wanted[form]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    # And by a program that has no part in this.
    reader = gguf.GGUFReader(tmp_path / "out" / max(wanted[form]))
    assert len(reader.tensors) > 10
    folders = [str(bases[name]), str(own), str(tmp_path)]
    told = [bytes(part).decode(errors="replace") for field in reader.fields.values() for part in field.parts]
    assert not [text for text in told if any(folder in text for folder in folders)]


# A model that was trained whole leaves in q8_0, below.
@pytest.mark.parametrize("quantization", ["q6_k", in_ci("q5_k_m"), "q4_k_m", in_ci("q4_0")])
def test_quantized_exports_have_their_own_tolerances(
    tiny: Path, adapters: dict[str, Path], own: Path, tmp_path: Path, quantization: str
) -> None:
    made = export(adapters["tiny"], tiny, tmp_path / "out", own, quantization=quantization)
    assert made["verdict"] == "same", made["sentence"]


def test_an_export_has_the_requested_strength(
    tiny: Path, adapters: dict[str, Path], own: Path, tmp_path: Path
) -> None:
    losses = []
    for form in ("gguf", "gguf-lora"):
        made = export(adapters["tiny"], tiny, tmp_path / form, own, form, strength=0.5)
        assert made["verdict"] == "same", made["sentence"]
        losses.append(made["loss"])
    whole = ExportTask("adapter", adapters["tiny"], "adapter", tiny, "tiny", tmp_path / "whole", nothing)
    assert whole.make(ROWS)["loss"]["exported"] < losses[0]["exported"] < losses[0]["base"]


def test_a_fully_trained_model_is_exported(tiny: Path, own: Path, tmp_path: Path) -> None:
    source = trained(tiny, tmp_path / "data", fullFineTuning=True, learningRate=1e-3)
    made = export(source, tiny, tmp_path / "out", own, quantization="q8_0", kind="model")
    assert made["verdict"] == "same", made["sentence"]


# --- planted faults --------------------------------------------------------------------------------------


def test_wrong_weights_are_detected(
    tiny: Path, adapters: dict[str, Path], own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the weights get so few bits that the error of that is larger than the fault.

    It is the least of the faults that ``exports/test_export.py`` plants.
    """
    right = files.merge
    monkeypatch.setattr(merging, "merge", lambda worn: one_layer_left_out(right, worn))
    proof = export(adapters["tiny"], tiny, tmp_path / "out", own, quantization="q4_0")
    assert proof["verdict"] == "differs", proof


def test_a_wrong_adapter_file_is_detected(
    tiny: Path, adapters: dict[str, Path], own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = make_lora
    monkeypatch.setattr(
        export_module,
        "make_lora",
        lambda source, base, path, _, *rest: right(source, base, path, 0.5, *rest),
    )
    proof = export(adapters["tiny"], tiny, tmp_path / "out", own, "gguf-lora")
    assert proof["verdict"] == "differs", proof


def test_a_missing_adapter_layer_is_detected(
    tiny: Path, adapters: dict[str, Path], own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import load_file, save_file

    right = make_lora

    def without(source: Path, *rest: Any) -> None:
        other = shutil.copytree(source, tmp_path / "other")
        weights = load_file(other / "adapter_model.safetensors")
        kept = {name: weight for name, weight in weights.items() if ".layers.1." not in name}
        assert len(kept) < len(weights)
        save_file(kept, other / "adapter_model.safetensors")
        right(other, *rest)

    monkeypatch.setattr(export_module, "make_lora", without)
    proof = export(adapters["tiny"], tiny, tmp_path / "out", own, "gguf-lora")
    assert proof["verdict"] == "differs", proof


def set_field(path: Path, key: str, value: Any) -> None:
    """Write another value over one of a GGUF file's."""
    reader = gguf.GGUFReader(path, "r+")
    field = reader.get_field(key)
    assert field, key
    field.parts[field.data[0]][0] = value


def changed_text(path: Path, before: bytes, after: bytes) -> None:
    """Write another text of the same length over one in a file."""
    content = path.read_bytes()
    assert before in content
    assert len(before) == len(after)
    path.write_bytes(content.replace(before, after))


def wrong_template(path: Path) -> None:
    changed_text(path, b"{{ m.content }}[[stop]]\n", b"{{ m.content }} [[stop]]")


def missing_end(path: Path) -> None:
    set_field(path, "tokenizer.ggml.eos_token_id", 0)


def doubled_start(path: Path) -> None:
    set_field(path, "tokenizer.ggml.add_bos_token", 1)


def lacking_start(path: Path) -> None:
    set_field(path, "tokenizer.ggml.add_bos_token", 0)


@pytest.mark.parametrize(
    ("name", "fault", "said"),
    [
        ("qwen", wrong_template, "chat template"),
        ("qwen", missing_end, "do not end"),
        ("tiny", doubled_start, "sets a start token"),
        ("started", lacking_start, "does not set a start token"),
    ],
)
def test_wrong_metadata_is_detected(
    bases: dict[str, Path],
    adapters: dict[str, Path],
    own: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    converted_once: Callable[..., Path],
    name: str,
    fault: Callable[[Path], None],
    said: str,
) -> None:
    def wrong(*how: Any) -> Path:
        path = converted_once(*how)
        fault(path)
        return path

    monkeypatch.setattr(export_module, "convert", wrong)
    proof = export(adapters[name], bases[name], tmp_path / "out", own)
    assert proof["verdict"] == "differs", proof
    assert said in " ".join(proof["faults"])
