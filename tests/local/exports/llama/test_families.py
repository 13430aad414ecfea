"""Families of models with tokenizers of their own kinds: what leaves of each is the trained one still."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("torch")

from transformers import AutoTokenizer

from arkor_dev.local.exports.export import ExportTask
from tests.local.exports.test_export import ROWS, trained
from tests.local.families import FAMILIES
from tests.local.gguf_extra import needs_gguf, with_converters
from tests.support.in_ci import in_ci

from .test_export import export, nothing

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.engine,
    needs_gguf,
    pytest.mark.usefixtures("forked"),
    pytest.mark.timeout(600),  # each export is five processes that load libraries
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]
WITH_PIECES = {"gemma3", "mistral", "mistral, spaced once", "phi3"}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_converters(tmp_path_factory.mktemp("cache"))


ALIKE = {"mistral", "phi3"}
"""Whose tokenizers are made as that of "mistral, spaced once"."""


# Of the Gemmas one leaves as an adapter, the other as a whole model.
@pytest.fixture(
    scope="module",
    params=[in_ci(name) if name in ALIKE else name for name in FAMILIES if name != "gemma2"],
)
def family(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path, Path]:
    """The name of a family, its base model, and an adapter that was trained on it."""
    made = tmp_path_factory.mktemp("family")
    base = FAMILIES[request.param](made / "base")
    return request.param, base, trained(base, made / "data")


def test_a_merged_model_of_each_family_is_complete(family: tuple[str, Path, Path], tmp_path: Path) -> None:
    name, base, adapter = family
    made = ExportTask("merged", adapter, "adapter", base, "tiny", tmp_path / "out", nothing).make(ROWS)
    assert made["verdict"] == "same", made["sentence"]
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert ("tokenizer.model" in names) == (name in WITH_PIECES)
    for path in (tmp_path / "out").iterdir():
        assert str(base.parent).encode() not in path.read_bytes(), path.name
    told = json.loads((tmp_path / "out" / "tokenizer_config.json").read_text())
    assert not {"vocab_file", "is_local", "name_or_path"} & set(told)
    before, after = (AutoTokenizer.from_pretrained(each) for each in (base, tmp_path / "out"))
    assert (
        before("  Where is\n\nmy 2nd parcel? 🦜")["input_ids"]
        == after("  Where is\n\nmy 2nd parcel? 🦜")["input_ids"]
    )


def test_each_family_exports_to_llama_cpp(family: tuple[str, Path, Path], own: Path, tmp_path: Path) -> None:
    """With the converted base below the converted adapter: a merged model is converted as a base is."""
    _, base, adapter = family
    proof = export(adapter, base, tmp_path / "out", own, "gguf-lora")
    assert proof["verdict"] == "same", proof
    assert proof["divergence"] < 1e-3 < proof["divergenceOfBase"]
    assert proof["loss"]["exported"] < proof["loss"]["base"]


def test_a_fully_trained_sentencepiece_model_is_exported(own: Path, tmp_path: Path) -> None:
    base = FAMILIES["gemma2"](tmp_path / "base")
    source = trained(base, tmp_path / "data", fullFineTuning=True, learningRate=1e-3)
    assert str(tmp_path).encode() not in b"".join(path.read_bytes() for path in source.glob("*.json"))
    proof = export(source, base, tmp_path / "out", own, "ollama", "q8_0", kind="model")
    assert proof["verdict"] == "same", proof
