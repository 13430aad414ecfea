"""Rows of prompts: what is read of them, and that nothing is found wrong with missing answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.data.findings.check import check_data
from arkor_dev.data.methods import forms_of
from arkor_dev.data.prompts import PROMPTS
from arkor_dev.data.reader import DataFile
from arkor_dev.data.row_parser import row_of
from arkor_dev.data.rows import RowError

if TYPE_CHECKING:
    from pathlib import Path

ASKED = {"role": "user", "content": "Q?"}


@pytest.mark.parametrize(
    ("record", "wanted", "columns"),
    [
        ({"prompt": "Q?"}, "", {}),
        ({"prompt": "Q?", "answer": 7, "unit": "kg"}, "7", {"answer": 7, "unit": "kg"}),
        ({"prompt": [ASKED], "solution": "x"}, "x", {"solution": "x"}),
        ({"prompt": "Q?", "completion": "A", "unit": "kg"}, "A", {"unit": "kg"}),
        ({"messages": [ASKED, {"role": "assistant", "content": "A"}]}, "A", {}),
    ],
)
def test_a_prompt_row_keeps_reference_answer_and_columns(
    record: dict[str, Any], wanted: str, columns: dict[str, Any]
) -> None:
    row = row_of(record, "row", None, {}, forms=forms_of("grpo"))
    assert row.messages == [ASKED, {"role": "assistant", "content": wanted}]
    assert row.extra.get("columns", {}) == columns


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ({"prompt": " "}, "an empty prompt"),
        ({"prompt": "Q?", "answer": ["x"]}, "must be text or a number, not list"),
        ({"text": "Plain."}, "expected messages"),
    ],
)
def test_an_invalid_prompt_row_names_the_reason(record: dict[str, Any], says: str) -> None:
    with pytest.raises(RowError, match=says):
        row_of(record, "row", None, {}, forms=PROMPTS)


def test_prompts_without_answers_have_no_findings(tmp_path: Path) -> None:
    file = tmp_path / "d.jsonl"
    lines = [
        json.dumps({"prompt": f"{number * number}, and {number} more of the {number}?"})
        for number in range(30)
    ]
    file.write_text("\n".join(lines))
    report = check_data([DataFile(file, "d.jsonl", forms=PROMPTS)])
    assert [finding["code"] for finding in report["findings"]] == []
