"""Finds labels that are probably wrong, by classifiers that have not seen them.

Each fifth of the rows is labeled by TF-IDF with logistic regression trained on the others. A row is suspected
if the probability of another label is at least what rows with that label have on average, as in confident
learning (Northcutt et al., Confident Learning: Estimating Uncertainty in Dataset Labels, 2021).
"""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from arkor_dev.local.training.methods.classify import tfidf

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDS: Final = 5
MOST_ROWS: Final = 2000
"""Maximum number of rows that are checked, the first ones: a fold then takes about a second."""
MOST_LABELS: Final = 50
SCALE: Final = 1000
"""A suspicion's weight is the difference of the two probabilities, in thousandths."""


@contextmanager
def _not_hidden(name: str) -> Iterator[None]:
    """Remove the None by which the worker hides a module in ``sys.modules``, within the block.

    SciPy takes any entry there for the module, and looks for its classes in it.
    """
    hidden = sys.modules.get(name, sys) is None
    if hidden:
        del sys.modules[name]
    try:
        yield
    finally:
        if hidden:
            sys.modules[name] = None  # type: ignore[assignment]


class LabeledRow(NamedTuple):
    """A row of the data set, with its place for the user."""

    number: int
    where: str
    text: str
    label: str


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A row whose label is probably wrong: the ``likely`` one, and how much likelier it is (`SCALE`)."""

    row: LabeledRow
    likely: str
    weight: int


class LabelNoise:
    """The labeled rows of a data set; checked fold by fold, as a fold takes a second."""

    def __init__(self) -> None:
        self._rows: list[LabeledRow] = []
        self._fold = 0
        self._names: list[str] = []
        self._places = np.zeros(0, dtype=int)  # of each row among those with its label
        self._probabilities = np.zeros((0, 0))

    def add(self, row: LabeledRow) -> None:
        """Add a row, in the order of the data."""
        if len(self._rows) < MOST_ROWS:
            self._rows.append(row)

    @property
    def busy(self) -> bool:
        """Return whether a fold is left to be checked."""
        return bool(self._rows) and self._fold < FOLDS

    def step(self) -> None:
        """Check the next fold. Without scikit-learn, or with too many labels, nothing is checked."""
        if self._fold == 0 and not self._prepare():
            self._rows.clear()
            return
        here = self._places % FOLDS == self._fold
        held_out, rest = ([self._rows[number] for number in np.flatnonzero(part)] for part in (here, ~here))
        with _not_hidden("torch"):
            found = tfidf.probabilities(
                [row.text for row in rest], [row.label for row in rest], [row.text for row in held_out]
            )
        columns = np.array([self._names.index(name) for name in found.labels])
        self._probabilities[np.ix_(np.flatnonzero(here), columns)] = found.shares
        self._fold += 1

    def _prepare(self) -> bool:
        """Leave out labels with fewer rows than folds; return whether the others can be checked."""
        counts = Counter(row.label for row in self._rows)
        self._rows = [row for row in self._rows if counts[row.label] >= FOLDS]
        self._names = sorted({row.label for row in self._rows})
        seen: Counter[str] = Counter()
        self._places = np.zeros(len(self._rows), dtype=int)
        for number, row in enumerate(self._rows):
            self._places[number] = seen[row.label]
            seen[row.label] += 1
        self._probabilities = np.zeros((len(self._rows), len(self._names)))
        with _not_hidden("torch"):
            return 2 <= len(self._names) <= MOST_LABELS and tfidf.available()

    def suspicions(self) -> Iterator[Suspicion]:
        """Yield the rows whose labels are probably wrong, once all folds are checked."""
        if self.busy or not self._rows:
            return
        given = np.array([self._names.index(row.label) for row in self._rows])
        every, shares = np.arange(len(given)), self._probabilities
        own = shares[every, given]
        usual = np.array([own[given == label].mean() for label in range(len(self._names))])
        confident = np.where(shares >= usual, shares, 0.0)
        confident[every, given] = 0.0
        likely = confident.argmax(1)
        for number in every:
            weight = round(SCALE * float(confident[number, likely[number]] - own[number]))
            if weight > 0:
                yield Suspicion(self._rows[number], self._names[likely[number]], weight)
