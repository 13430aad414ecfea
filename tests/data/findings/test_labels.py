"""What the check says of labeled rows: their distribution, and labels that cannot be learned or are one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.data.findings.check import check_data
from arkor_dev.data.labels import LABELED
from arkor_dev.data.reader import DataFile
from arkor_dev.data.row_parser import row_of
from arkor_dev.data.rows import RowError

from .test_findings import filler

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from arkor_dev.contract.dataset_shapes import Finding


def found(
    folder: Path, labels: Sequence[object], texts: Mapping[int, str] | None = None
) -> dict[str, Finding]:
    """The findings of rows with these labels, by code; each has a text of its own, or that in ``texts``."""
    path = folder / "rows.jsonl"
    rows = [
        {"text": (texts or {}).get(at, filler(at, 12)), "label": label} for at, label in enumerate(labels)
    ]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    report = check_data([DataFile(path, "rows.jsonl", forms=LABELED)])
    return {finding["code"]: finding for finding in report["findings"]}


def test_the_distribution_names_the_majority(tmp_path: Path) -> None:
    findings = found(tmp_path, ["spam"] * 6 + ["fine"] * 14)
    assert findings.keys() == {"label-distribution"}
    note = findings["label-distribution"]
    assert note["level"] == "note"
    assert note["title"] == '2 labels: "fine" 70%, "spam" 30%'
    assert 'Always answering "fine" would be right for 70% of the rows' in note["why"]


def test_one_label_is_an_error(tmp_path: Path) -> None:
    findings = found(tmp_path, ["spam"] * 5)
    assert findings.keys() == {"one-label"}
    assert findings["one-label"]["title"] == 'All 5 rows have the label "spam"'
    assert "Add rows with another label" in findings["one-label"]["fix"]


def test_a_label_with_one_row_is_shown_with_it(tmp_path: Path) -> None:
    rare = found(tmp_path, ["a"] * 8 + ["b"] * 8 + ["c"])["rare-label"]
    assert (rare["title"], rare["count"]) == ("1 label has a single row", 1)
    assert [row["row"] for row in rare["rows"]] == [17]
    assert rare["rows"][0]["excerpt"].startswith("c: ")


def test_labels_that_differ_by_case_or_spaces_are_named(tmp_path: Path) -> None:
    alike = found(tmp_path, ["Spam", "spam", " spam ", "fine", "FINE", "other"] * 3)["alike-labels"]
    assert alike["title"] == '"Spam" and "spam" and " spam " differ only in case or spaces, and 1 more'
    assert [row["row"] for row in alike["rows"]] == [1, 2, 3, 4, 5]


def test_more_labels_than_a_classifier_may_have_are_an_error(tmp_path: Path) -> None:
    assert "many-labels" not in found(tmp_path, [*range(1000)])
    many = found(tmp_path, [*range(1001)])
    assert many["many-labels"]["level"] == "error"
    assert "merge labels" in many["many-labels"]["fix"]
    assert "rare-label" not in many


def test_an_empty_text_is_reported_and_can_be_removed(tmp_path: Path) -> None:
    findings = found(tmp_path, ["a", "b"] * 6, {3: "  "})
    (error,) = (finding for finding in findings.values() if finding["level"] != "note")
    assert [row["row"] for row in error["rows"]] == [4]
    assert "has an empty text, so there is nothing to classify" in json.dumps(error)
    assert error["fix"]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"text": "t", "label": ["a", ["b"]]}, "label must be text, a whole number, .* not list"),
        ({"text": "t", "label": ["a", ""]}, "has an empty label: fill it in, or remove the row"),
        ({"text": "t", "label": list(range(101))}, "label has 101 labels, and 100 is the most"),
        ({"text": "t", "label": " "}, "has an empty label: fill it in, or remove the row"),
        ({"text": "t", "label": 0.5}, "label must be text, a whole number, true or false, .* not float"),
        ({"text": "t", "label": "x" * 201}, "label has 201 characters, and 200 is the most"),
        ({"text": 3, "label": "a"}, "text must be text, not int"),
        ({"prompt": "", "label": "a"}, "has an empty prompt, so there is nothing to classify"),
    ],
)
def test_a_row_without_a_usable_label_is_refused(record: dict[str, Any], message: str) -> None:
    with pytest.raises(RowError, match=f"^{message}"):
        row_of(record, "row", None, {}, forms=LABELED)


def test_whole_numbers_and_flags_are_labels() -> None:
    labels = [row_of({"prompt": "t", "label": label}, "row", None, {}, forms=LABELED).extra["label"]
              for label in (1, 2.0, True, "yes")]  # fmt: skip
    assert labels == ["1", "2", "true", "yes"]


def test_a_text_with_two_labels_is_shown_with_both(tmp_path: Path) -> None:
    labels = ["a"] * 8 + ["b"] * 8
    same = "Where is my  parcel?"
    findings = found(tmp_path, labels, {2: same, 11: same.lower(), 5: "Thank you.", 6: "Thank you."})
    contradicting = findings["contradicting-labels"]
    assert contradicting["title"] == "2 rows have the text of another row, and another label"
    assert [(row["row"], row["excerpt"]) for row in contradicting["rows"]] == [
        (3, "a: Where is my parcel?"), (12, "b: where is my parcel?"),
    ]  # fmt: skip
    assert "remove the others" in contradicting["fix"]
    assert "contradicting-labels" not in found(tmp_path, labels, {5: "Thank you.", 6: "Thank you."})


def test_rows_with_several_labels_are_counted_by_label(tmp_path: Path) -> None:
    labels = [["a"], ["a", "b"], [], ["b", "a"]] * 4
    findings = found(tmp_path, labels, {1: "The same.", 3: "The same.", 5: "Other.", 6: "Other."})
    assert findings["label-distribution"]["title"] == '2 labels: "a" 75%, "b" 50%'
    assert "several labels" in findings["label-distribution"]["why"]
    # In another order they are the same labels.
    assert [row["excerpt"] for row in findings["contradicting-labels"]["rows"]] == [
        "a + b: Other.", "(none): Other.",
    ]  # fmt: skip
