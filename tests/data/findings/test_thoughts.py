"""What the check says of thoughts in answers: how many, how long, and which mixtures break the switch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.data.forms import FORMS
from arkor_dev.data.prompts import PROMPTS
from arkor_dev.data.thoughts import SplitAnswer, split_answer, thoughts_of

from .test_findings import checked, filler
from .test_tools import report

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.contract.dataset_shapes import Finding

EMPTY = "<think>\n\n</think>\n\n"


def row(number: int, before: str = "", **more: str) -> dict[str, Any]:
    """A question and its answer, with text before the answer, or further fields in its message."""
    answer = {"role": "assistant", "content": before + filler(2 * number + 1), **more}
    return {"messages": [{"role": "user", "content": filler(2 * number, 6)}, answer]}


def filled(number: int, words: int = 12) -> dict[str, Any]:
    return row(number, f"<think>\n{filler(5000 + number, words)}\n</think>\n\n")


def found(folder: Path, rows: list[dict[str, Any]]) -> dict[str, Finding]:
    return {finding["code"]: finding for finding in checked(folder, rows)["findings"]}


def numbers(finding: Finding) -> list[int]:
    return [shown["row"] for shown in finding["rows"]]


def test_rows_without_thoughts_have_no_findings(tmp_path: Path) -> None:
    text = {"text": f"<think></think>{filler(99)}"}
    assert found(tmp_path, [*map(row, range(30)), text]) == {}


def test_a_data_set_whose_thoughts_are_all_empty_is_found(tmp_path: Path) -> None:
    findings = found(tmp_path, [row(number, EMPTY) for number in range(30)])
    assert findings.keys() == {"empty-thoughts"}
    finding = findings["empty-thoughts"]
    assert (finding["level"], finding["count"]) == ("warning", 30)
    assert finding["title"] == "30 rows have empty thoughts"
    assert "train_on_empty_thoughts = false" in finding["fix"]


def test_a_mixture_is_found_by_its_rarer_rows(tmp_path: Path) -> None:
    findings = found(tmp_path, [*map(row, range(20)), filled(20), filled(21)])
    assert findings.keys() == {"mixed-thoughts", "thoughts"}
    finding = findings["mixed-thoughts"]
    assert (finding["level"], numbers(finding)) == ("warning", [21, 22])
    assert finding["title"] == "2 rows have thoughts, and 20 are without"
    assert "train_on_empty_thoughts = false" in finding["fix"]
    finding = found(tmp_path, [*map(filled, range(20)), row(20)])["mixed-thoughts"]
    assert finding["title"] == "1 row has no thoughts, and 20 have some"
    assert numbers(finding) == [21]


def test_thoughts_are_counted_and_measured(tmp_path: Path) -> None:
    rows = [*(filled(number, 10) for number in range(20)), filled(20, 100), row(21), row(22, EMPTY)]
    findings = found(tmp_path, rows)
    assert findings.keys() == {"empty-thoughts", "mixed-thoughts", "thoughts"}
    finding = findings["thoughts"]
    assert (finding["level"], finding["title"], finding["count"]) == ("note", "21 rows have thoughts", 21)
    half = int(finding["why"].partition("about ")[2].partition(" character")[0])
    assert 69 <= half <= 76  # ten words of six letters, to within 9 %
    assert "the longest 699; 1 row has none; 1 row has empty ones." in finding["why"]


def test_every_answer_of_a_conversation_counts(tmp_path: Path) -> None:
    both = {"messages": filled(0)["messages"] + row(1, EMPTY)["messages"]}
    findings = found(tmp_path, [both, *map(filled, range(2, 20))])
    assert {code: finding["count"] for code, finding in findings.items()} == {
        "empty-thoughts": 1,
        "thoughts": 19,
    }


def test_answers_that_are_yet_to_be_generated_do_not_count(tmp_path: Path) -> None:
    rows = [{"prompt": f"{filler(number)}?", "answer": "7"} for number in range(10)]
    assert report(tmp_path, rows, {**PROMPTS, **FORMS})["findings"] == []


@pytest.mark.parametrize(
    ("text", "thoughts", "answer", "ended"),
    [
        ("Yes.", None, "Yes.", True),
        ("<think>\nWhy?\n</think>\n\nYes.", "Why?", "Yes.", True),
        ("\n<think></think>Yes.", "", "Yes.", True),
        ("Why?</think>Yes.", "Why?", "Yes.", True),
        ("<think>Why? Why?", "Why? Why?", "", False),
        ("[THINK]Why?[/THINK]Yes.", "Why?", "Yes.", True),
        (
            "<|channel|>analysis<|message|>Why?<|end|><|start|>assistant<|channel|>final<|message|>Yes.",
            "Why?",
            "Yes.",
            True,
        ),
        ("<|channel>thought\nWhy?\n<channel|>Yes.", "Why?", "Yes.", True),
        ("Write <think>Why?</think>.", None, "Write <think>Why?</think>.", True),
        ("The end is marked by <|end|>.", None, "The end is marked by <|end|>.", True),
    ],
)
def test_an_answer_is_split_into_thoughts_and_answer(
    text: str, thoughts: str | None, answer: str, ended: bool
) -> None:
    split = split_answer(text)
    assert (split.thoughts, split.answer, split.ended) == (thoughts, answer, ended)
    assert text[split.answer_start :].endswith(split.answer)
    assert thoughts_of({"role": "assistant", "content": text}).thoughts == thoughts


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning", "thinking"])
def test_thoughts_may_be_in_a_field(tmp_path: Path, key: str) -> None:
    assert thoughts_of({"content": "Yes.", key: " Why? "}) == SplitAnswer("Why?", "Yes.")
    findings = found(tmp_path, [row(number, **{key: filler(500 + number)}) for number in range(10)])
    assert findings.keys() == {"thoughts"}
    assert found(tmp_path, [row(number, **{key: ""}) for number in range(10)]).keys() == {"empty-thoughts"}
