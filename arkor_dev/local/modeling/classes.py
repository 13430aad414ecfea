"""The classes of a classifier: their names, beside the adapter with its head.

The head of a causal model is a linear layer named ``score`` on the hidden state of a text's last token, as in
transformers' ``AutoModelForSequenceClassification``, so that class loads base, adapter and head as they are
saved. An encoder has the head of its own class there (see ``head``).
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.regular_files import read_small
from arkor_dev.contract.rules import quoted
from arkor_dev.data.labels import LABELS, LABELS_EXCEEDED, MOST_LABELS, labels_of
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from arkor_dev.data.rows import Row

HEAD: Final = "score"
"""transformers' name for the head, which PEFT saves with the adapter (``modules_to_save``)."""
TASK: Final = "SEQ_CLS"
"""PEFT's task type of a classifier's adapter."""
FILE: Final = "labels.json"
"""The file with the classes' names, as ``id2label`` and ``label2id`` of transformers' ``from_pretrained``,
and with their ``counts``.
"""
LIMIT: Final = 2**20
"""Maximum bytes of that file."""
CALIBRATION: Final = "calibration.json"
"""The file with the ``temperature`` by which logits are divided before probabilities are computed from them.

It is written after the verdict, and again if the result is measured again.
"""
SEVERAL: Final = "multi_label_classification"
"""transformers' ``problem_type`` for rows that may have several labels."""
TEMPERATURES: Final = (0.01, 100.0)
"""Bounds of a stored temperature."""


@dataclass(frozen=True, slots=True)
class Classes:
    """The ``names`` of a classifier's classes, in the order of the head's outputs, and how many training rows
    each has. ``multiple``: a row may have several of them, or none.
    """

    names: tuple[str, ...]
    counts: tuple[int, ...]
    multiple: bool = False

    @classmethod
    def of(cls, train: Sequence[Row], held_out: Sequence[Row], least: int = 2) -> Classes:
        """Return the labels of the rows, in alphabetical order; numbers by their value.

        Raises :class:`JobFailure` if there are fewer than ``least`` among the training rows, or too many, and
        if only some rows have a list of labels.
        """
        listed = [row for row in (*train, *held_out) if LABELS in row.extra]
        if listed and len(listed) < len(train) + len(held_out):
            raise JobFailure(
                f"{listed[0].where}: label is a list, and in other rows it is not: write all of them as lists"
            )
        counts = Counter(label for row in train for label in labels_of(row))
        if len(counts) < least:
            raise JobFailure(
                f"All {len(train):,} training rows have the label {quoted(next(iter(counts), ''))}: a "
                "classifier needs at least two. Add rows with another label"
            )
        names = sorted({*counts, *(label for row in held_out for label in labels_of(row))}, key=_order)
        if len(names) > MOST_LABELS:
            raise JobFailure(f"There are {len(names):,} labels. {LABELS_EXCEEDED}")
        return cls(tuple(names), tuple(counts[name] for name in names), bool(listed))

    @classmethod
    def read(cls, folder: Path) -> Classes:
        """Return the classes of the saved classifier in ``folder``. Raises :class:`JobFailure`."""
        try:
            stored = json.loads(read_small(folder / FILE, LIMIT))
            by_id = stored["id2label"]
            names = tuple(by_id[str(number)] for number in range(len(by_id)))
            counts = tuple(int(count) for count in stored["counts"])
            multiple = stored.get("problem_type") == SEVERAL
        except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
            raise JobFailure(f"The classifier's {FILE} cannot be read: {error}") from None
        if not 1 <= len(names) <= MOST_LABELS or not all(isinstance(name, str) for name in names):
            raise JobFailure(f"The classifier's {FILE} does not have 1 to {MOST_LABELS:,} labels")
        if len(counts) != len(names):
            raise JobFailure(f"The classifier's {FILE} does not have a count for each label")
        return cls(names, counts, multiple)

    def write(self, folder: Path) -> None:
        """Write names and counts beside the adapter in ``folder``."""
        labels = {
            "id2label": {str(number): name for number, name in enumerate(self.names)},
            "label2id": {name: number for number, name in enumerate(self.names)},
            "counts": list(self.counts),
            **({"problem_type": SEVERAL} if self.multiple else {}),
        }
        (folder / FILE).write_text(f"{json.dumps(labels, indent=1, ensure_ascii=False)}\n", encoding="utf-8")

    def numbers(self, row: Row) -> tuple[int, ...]:
        """Return the numbers of a row's classes.

        Raises :class:`JobFailure` for a label that is not among them, and for a list of labels if rows have
        one each, or the reverse.
        """
        if self.multiple != (LABELS in row.extra):
            raise JobFailure(
                f"{row.where}: label must be {'a list' if self.multiple else 'one label'}, as in the rows "
                "that the classifier was trained on"
            )
        for label in labels_of(row):
            if label not in self.names:
                raise JobFailure(
                    f"{row.where}: the classifier has no label {quoted(label)}, only "
                    f"{', '.join(map(quoted, self.names[:8]))}{' …' if len(self.names) > 8 else ''}"
                )
        return tuple(map(self.names.index, labels_of(row)))

    def majority_of(self, rows: Sequence[Row]) -> tuple[int, ...]:
        """Return the class with the most training rows, the first of several; if rows may have several, the
        most frequent combination in ``rows``.
        """
        if not self.multiple:
            return (self.counts.index(max(self.counts)),)
        return Counter(map(self.numbers, rows)).most_common(1)[0][0]


def write_temperature(folder: Path, temperature: float) -> None:
    """Write a ``temperature`` beside the classifier in ``folder``."""
    part = folder / f"{CALIBRATION}.part"
    part.write_text(json.dumps({"temperature": temperature}), encoding="utf-8")
    part.replace(folder / CALIBRATION)


def read_temperature(folder: Path) -> float:
    """Return the temperature of the classifier in ``folder``, 1 without one. Raises :class:`JobFailure`."""
    try:
        stored = json.loads(read_small(folder / CALIBRATION, LIMIT))["temperature"]
    except FileNotFoundError:
        return 1.0
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise JobFailure(f"The classifier's {CALIBRATION} cannot be read: {error}") from None
    low, high = TEMPERATURES
    if isinstance(stored, bool) or not isinstance(stored, int | float) or not low <= stored <= high:
        raise JobFailure(f"The temperature in the classifier's {CALIBRATION} is not between {low} and {high}")
    return float(stored)


def is_classifier(folder: Path) -> bool:
    """Return whether the adapter in ``folder`` is a classifier's."""
    return (folder / FILE).is_file()


def _order(label: str) -> tuple[bool, int, str]:
    is_number = label.lstrip("-").isdecimal() and label.isascii()
    return not is_number, int(label) if is_number else 0, label
