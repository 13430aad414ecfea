"""Which rows an evaluation set may have."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("transformers")

from transformers import AutoTokenizer

from arkor_dev.local.training.final_evaluation.own_sets import sets_of
from arkor_dev.local.training.job_settings import JobSettings
from arkor_dev.local.training.methods import method
from tests.local.tiny_model import write_jsonl

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("name", ["sft", "dpo", "kto", "grpo"])
def test_evaluation_prompts_are_answered_for_any_method(name: str, tiny: Path, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "check.jsonl", [{"prompt": "How many?", "answer": "3", "unit": "kg"}])
    sets: list[dict[str, Any]] = [
        {"name": "right", "path": "check.jsonl", "metric": "scores:right"},
        {"name": "loss", "path": "check.jsonl"},
    ]
    preparation: Any = SimpleNamespace(
        config={"datasetSource": {"type": "file", "path": "rows.jsonl"}, "evaluations": sets},
        settings=JobSettings({}), data=tmp_path, job_id="job_1", project=tmp_path, progress=print, longest=64,
    )  # fmt: skip
    base = SimpleNamespace(tokenizer=AutoTokenizer.from_pretrained(tiny), context=256)
    run: Any = SimpleNamespace(method=method(name), base=base)
    refused: list[tuple[str, str]] = []
    own = sets_of(preparation, run, lambda *why: refused.append(why))
    assert [(each.name, each.rows[0].extra["columns"]) for each in own] == [
        ("right", {"answer": "3", "unit": "kg"})
    ]
    assert [failed for failed, _ in refused] == ["loss"], "a loss needs what the method learns from"
