"""Rows of a text with its label, for classifiers: ``{"text", "label"}`` or ``{"prompt", "label"}``.

``text`` of such a row is the text to classify, and ``extra["label"]`` its label.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from .forms import Content, Form
from .messages import checked_text
from .rows import RowError

if TYPE_CHECKING:
    from collections.abc import Mapping

LABEL: Final = "label"
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
    return Content([], checked_text(text, key), extra={LABEL: _label(record[LABEL])})


def _label(value: object) -> str:
    """Return a label as text: a whole number and true or false, as data sets have them, by their JSON."""
    if isinstance(value, list):
        raise RowError("label is a list: a row has one label. Keep the one that matters most")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():  # as tables store whole numbers beside empty cells
        value = int(value)
    if not isinstance(value, str | int):
        raise RowError(f"label must be text, a whole number, true or false, not {type(value).__name__}")
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
