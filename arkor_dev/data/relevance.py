"""Rows of a query and a document for rerankers: ``{"query", "document", "label"}``, or with a ``score``.

``text`` of such a row is the query, ``extra["document"]`` the document, and ``extra["score"]`` how relevant
it is, from 0 to 1.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from .forms import Content, Form
from .rows import RowError
from .text_pairs import SCORE, read_score, read_text

if TYPE_CHECKING:
    from collections.abc import Mapping

DOCUMENT: Final = "document"
LABELS: Final = {"true": 1.0, "false": 0.0}


def _read(record: Mapping[str, object], key: str) -> Content:
    value = record[key]
    if isinstance(value, bool):
        value = int(value)
    elif isinstance(value, str):
        value = LABELS.get(value.strip().lower(), value)
    score = read_score(value, key)
    if not 0 <= score <= 1:
        raise RowError(f"{key} must be from 0 (not relevant) to 1, not {score:g}: scale it")
    extra: dict[str, object] = {DOCUMENT: read_text(record, DOCUMENT), SCORE: score}
    return Content([], read_text(record, "query"), extra=extra)


RELEVANCE: Final[dict[str, Form]] = {
    "query-document-label": Form(
        "queries and documents", ("query", DOCUMENT, "label"), partial(_read, key="label")
    ),
    "query-document-score": Form(
        "queries and documents", ("query", DOCUMENT, SCORE), partial(_read, key=SCORE)
    ),
}
"""The forms of rows that rerankers learn from, by name."""
