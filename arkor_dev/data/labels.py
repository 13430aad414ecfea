"""Rows of a text with its label, for classifiers: ``{"text", "label"}`` or ``{"prompt", "label"}``.

``text`` of such a row is the text to classify, and ``extra["label"]`` its label. If ``label`` is a list, the
row may have several labels or none: ``extra["labels"]``, in alphabetical order.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from .forms import Content, Form
from .messages import checked_text
from .rows import RowError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .rows import Row

LABEL: Final = "label"
LABELS: Final = "labels"
MOST_OF_ROW: Final = 100
"""Maximum number of labels of a row."""
LONGEST_LABEL: Final = 200
"""Longest label, in characters."""
MOST_LABELS: Final = 1000
"""Maximum number of labels of a data set."""
LABELS_EXCEEDED: Final = (
    f"A classifier has {MOST_LABELS:,} labels at most. Is label a column of free text or of ids? Map the "
    "right one (columns), or merge labels"
)


def _read(record: Mapping[str, object], key: str) -> Content:
    text = record[key]
    if not isinstance(text, str):
        raise RowError(f"{key} must be text, not {type(text).__name__}")
    if not text.strip():
        raise RowError(f"has an empty {key}, so there is nothing to classify", "blank")
    label = record[LABEL]
    if isinstance(label, list):
        if len(label) > MOST_OF_ROW:
            raise RowError(f"label has {len(label):,} labels, and {MOST_OF_ROW} is the most")
        return Content([], checked_text(text, key), extra={LABELS: sorted(set(map(_label, label)))})
    return Content([], checked_text(text, key), extra={LABEL: _label(label)})


def labels_of(row: Row) -> list[str]:
    """Return a row's labels; of a row with a single one, that."""
    several: list[str] | None = row.extra.get(LABELS)
    return [row.extra[LABEL]] if several is None else several


def words_of(labels: Sequence[str]) -> str:
    """Return labels of a row as one text."""
    return " + ".join(labels) or "(none)"


def _label(value: object) -> str:
    """Return a label as text: a whole number and true or false, as data sets have them, by their JSON."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():  # as tables store whole numbers beside empty cells
        value = int(value)
    if not isinstance(value, str | int):
        raise RowError(
            "label must be text, a whole number, true or false, or a list of these, not "
            f"{type(value).__name__}"
        )
    label = checked_text(str(value), LABEL)
    if not label.strip():
        raise RowError("has an empty label: fill it in, or remove the row")
    if len(label) > LONGEST_LABEL:
        raise RowError(f"label has {len(label):,} characters, and {LONGEST_LABEL} is the most")
    return label


LABELED: Final[dict[str, Form]] = {
    "text-label": Form("labeled texts", ("text", LABEL), partial(_read, key="text")),
    "prompt-label": Form("labeled texts", ("prompt", LABEL), partial(_read, key="prompt")),
}
"""The forms of rows that classifiers learn from, by name."""
