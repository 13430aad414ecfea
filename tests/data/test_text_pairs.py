"""Rows of embedders: pairs, triplets and pairs with scores, and those that are refused."""

from __future__ import annotations

from typing import Any

import pytest

from arkor_dev.data.row_parser import row_of
from arkor_dev.data.rows import RowError
from arkor_dev.data.text_pairs import TEXT_PAIRS


def read(record: dict[str, Any], columns: dict[str, str] | None = None) -> Any:
    return row_of(record, "row 1", None, columns or {}, forms=TEXT_PAIRS)


def test_a_row_is_its_anchor_with_the_texts_beside_it() -> None:
    pair = read({"anchor": "Where?", "positive": "Here."})
    assert (pair.text, pair.form, dict(pair.extra)) == ("Where?", "pair", {"positive": "Here."})
    triplet = read({"anchor": "Where?", "positive": "Here.", "negative": "Never."})
    assert (triplet.form, triplet.extra["negative"]) == ("triplet", "Never.")
    scored = read({"sentence1": "Where?", "sentence2": "Here.", "score": "0.5"})
    assert (scored.text, dict(scored.extra)) == ("Where?", {"positive": "Here.", "score": 0.5})


def test_columns_are_mapped() -> None:
    row = read({"question": "Where?", "answer": "Here."}, {"anchor": "question", "positive": "answer"})
    assert (row.text, row.extra["positive"]) == ("Where?", "Here.")


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"anchor": " ", "positive": "Here."}, "has an empty anchor: fill it in, or remove the row"),
        ({"anchor": "Where?", "positive": 3}, "positive must be text, not int"),
        (
            {"anchor": "Where?", "positive": "Here.", "negative": "Here."},
            "has the same text as positive and as negative",
        ),
        ({"sentence1": "a", "sentence2": "b", "score": "high"}, "score must be a number"),
        (
            {"sentence1": "a", "sentence2": "b", "score": True},
            "score must be a number, such as 0.8",
        ),
        ({"sentence1": "a", "sentence2": "b", "score": float("nan")}, "score must be a number"),
        ({"text": "alone"}, "expected anchor and positive and negative, or anchor and positive, or"),
    ],
)
def test_other_rows_are_refused(record: dict[str, Any], words: str) -> None:
    with pytest.raises(RowError, match=words):
        read(record)


def test_another_method_points_to_this_one() -> None:
    with pytest.raises(RowError, match=r'are for method = "embed"'):
        row_of({"anchor": "Where?", "positive": "Here."}, "row 1", None, {})
