"""How programs use an export, from its folder and from the Hub."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

from arkor_dev.local.cards.card import loading
from arkor_dev.local.exports.formats import FORMATS, usage
from arkor_dev.local.modeling.classes import Classes

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.local.exports.formats import Result


@pytest.mark.parametrize("form", FORMATS)
def test_each_result_has_its_usage_from_the_hub(form: str) -> None:
    record = FORMATS[form]
    assert record.usage.keys() == record.tasks.keys()
    for programs in record.usage.values():
        text = "\n".join(line for _, line in programs.hub)
        assert "REPOSITORY" in text
        assert "FOLDER" not in text, "it is on no disk yet"
        assert "REPOSITORY/" not in text, "a repository's files have no paths on this machine"
        assert "REPOSITORY" not in str(programs.folder)
        for program, line in (*programs.folder, *programs.hub):
            if program in ("In Python", "ONNX Runtime"):
                ast.parse(line)


@pytest.mark.parametrize(
    ("result", "form", "method"),
    [
        ("writer", "adapter", None),
        ("writer", "merged", None),
        ("classifier", "adapter", "classify"),
        ("classifier", "onnx", "classify"),
        ("embedder", "merged", "embed"),
        ("embedder", "onnx", "embed"),
        ("reranker", "merged", "rerank"),
        ("reranker", "onnx", "rerank"),
    ],
)
def test_the_card_loads_an_export_with_the_classes_of_its_usage(
    result: Result, form: str, method: str | None
) -> None:
    """What the card writes as a whole program, the usage says in a line."""
    weights = "onnx" if form == "onnx" else None
    card = "\n".join(loading("org/tiny", form == "adapter", {"method": method}, weights=weights))
    programs = FORMATS[form].usage[result]
    for _, line in (*programs.folder, *programs.hub):
        for name in re.findall(r"\b[A-Z]+[a-z]\w*(?=[.(])", line):
            assert name in card


def test_a_classifiers_usage_has_its_number_of_labels(tmp_path: Path) -> None:
    Classes(("calm", "hurried", "late"), (1, 1, 1)).write(tmp_path)
    programs = usage("adapter", tmp_path)
    for lines, name in ((programs.folder, "FOLDER"), (programs.hub, "REPOSITORY")):
        ((_, line),) = lines
        assert line.endswith(f'.from_pretrained(BASE, num_labels=3), "{name}")')


def test_vllm_loads_an_adapter_from_its_folder_or_the_hub(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text('{"r": 64}')
    programs = usage("adapter", tmp_path)
    command = "vllm serve BASE --enable-lora --max-lora-rank 64 --lora-modules NAME="
    assert programs.folder[-1] == ("vLLM", f"{command}FOLDER")
    assert programs.hub[-1] == ("vLLM", f"{command}REPOSITORY")
    (tmp_path / "adapter_config.json").write_text('{"r": 64, "use_dora": true}')
    programs = usage("adapter", tmp_path)
    assert "vLLM" not in dict(programs.folder) | dict(programs.hub)
