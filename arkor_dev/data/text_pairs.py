"""Rows of two or three texts for embedders, with sentence-transformers' names of columns.

``{"anchor", "positive"}``, with a ``negative`` or without, and ``{"sentence1", "sentence2", "score"}``.
``text`` of such a row is the anchor (the query), ``extra["positive"]`` the text (the document) that belongs
to it; ``extra["negative"]`` and ``extra["score"]`` are absent from rows of another form.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from .forms import Content, Form
from .messages import checked_text
from .rows import RowError

if TYPE_CHECKING:
    from collections.abc import Mapping

POSITIVE: Final = "positive"
NEGATIVE: Final = "negative"
SCORE: Final = "score"


def read_text(record: Mapping[str, object], key: str) -> str:
    """Return a text of a record. Raises RowError."""
    text = record[key]
    if not isinstance(text, str):
        raise RowError(f"{key} must be text, not {type(text).__name__}")
    if not text.strip():
        raise RowError(f"has an empty {key}: fill it in, or remove the row", "blank")
    return checked_text(text, key)


def read_score(value: object, key: str = SCORE) -> float:
    """Return a score as a number; a table without types has it as text. Raises RowError."""
    try:
        score = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else None
    except (ValueError, OverflowError):
        score = None
    if score is None or not math.isfinite(score):
        raise RowError(f"{key} must be a number, such as 0.8, not {type(value).__name__}")
    return score


def _read_pair(record: dict[str, object]) -> Content:
    extra: dict[str, object] = {POSITIVE: read_text(record, POSITIVE)}
    if NEGATIVE in record:
        extra[NEGATIVE] = read_text(record, NEGATIVE)
        if extra[NEGATIVE] == extra[POSITIVE]:
            raise RowError("has the same text as positive and as negative, so there is nothing to learn")
    return Content([], read_text(record, "anchor"), extra=extra)


def _read_scored(record: dict[str, object]) -> Content:
    extra = {POSITIVE: read_text(record, "sentence2"), SCORE: read_score(record[SCORE])}
    return Content([], read_text(record, "sentence1"), extra=extra)


def _read_document(record: dict[str, object]) -> Content:
    text = read_text(record, "document" if "document" in record else "text")
    return Content([], text, extra={POSITIVE: text})


TEXT_PAIRS: Final[dict[str, Form]] = {
    "triplet": Form("triplets", ("anchor", POSITIVE, NEGATIVE), _read_pair),
    "pair": Form("pairs of texts", ("anchor", POSITIVE), _read_pair),
    "scored-pair": Form("pairs with scores", ("sentence1", "sentence2", SCORE), _read_scored),
}
"""The forms of rows that embedders learn from, by name."""
DOCUMENTS: Final[dict[str, Form]] = {
    "document": Form("documents", ("document",), _read_document),
    "text": Form("documents", ("text",), _read_document),
}
"""The forms of rows of a corpus, by name. Such a row has the same text as anchor and as positive."""
