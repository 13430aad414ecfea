"""How often a classifier names the held-out rows' labels, compared with always naming the most frequent one.

The base has no head, so it cannot be compared with. Always naming the label with the most training rows (the
majority) needs no model: what does not beat that has learned nothing. The verdict is that of accuracy, in
which rows are paired; ``baselines`` has what else it is compared with. Macro F1, which counts each label the
same, is reported beside it and gives no verdict: names drawn at random beat the majority's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from arkor_dev.contract.rules import quoted

from .baselines import ACCURACY
from .halves import judging
from .paired import SEED, Comparison
from .preferred import wilson
from .rates import compare_rates
from .words import DIGITS, caution, counted_rows, interval, settled, verdict_words

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from numpy.typing import NDArray

    from arkor_dev.contract.shapes import EvaluationClassified, EvaluationShare

    from .baselines import Baseline
    from .calibration import Calibration

    Whole = NDArray[np.int64]
    Real = NDArray[np.float64]
    Marks = NDArray[np.bool_]

DRAWS: Final = 1000
"""Bootstrap draws of macro F1."""
MOST_CELLS: Final = 200
"""Maximum number of reported cells of the confusion matrix, the largest first."""


class Share(NamedTuple):
    """A figure between 0 and 1, with the ends of its interval."""

    value: float
    low: float
    high: float

    def figures(self) -> EvaluationShare:
        """Return the contract's figures."""
        value, low, high = (round(figure, DIGITS) for figure in self)
        return {"share": value, "low": low, "high": high}

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


@dataclass(frozen=True, slots=True)
class Classified:
    """A classifier's results on held-out rows: ``compared`` has its accuracy beside the majority's.

    ``pairs`` are the rows' true and predicted labels; ``macro_f1`` of the majority is ``majority_f1``.
    ``baselines`` are others that it is compared with; ``missing`` says what one of them needs. If rows may
    have several labels, ``names`` are those of the combinations of labels, and there is ``micro_f1``.
    """

    names: tuple[str, ...]
    majority: int
    compared: Comparison
    accuracy: Share
    macro_f1: Share
    majority_f1: float
    pairs: Sequence[tuple[int, int]]
    labels: int
    micro_f1: Share | None = None
    baselines: Sequence[Baseline] = ()
    calibration: Calibration | None = None
    missing: str = ""

    def figures(self) -> EvaluationClassified:
        """Return the contract's figures."""
        cells, counts = np.unique(np.asarray(self.pairs), axis=0, return_counts=True)
        order = np.argsort(-counts, kind="stable")[:MOST_CELLS]
        found: EvaluationClassified = {
            "majority": self.names[self.majority],
            "accuracy": self.accuracy.figures(),
            "majorityAccuracy": round(self.compared.measured[0], DIGITS),
            "macroF1": self.macro_f1.figures(),
            "majorityMacroF1": round(self.majority_f1, DIGITS),
            "labels": self.labels,
            "confusion": [
                {
                    "label": self.names[cells[index][0]],
                    "predicted": self.names[cells[index][1]],
                    "rows": int(counts[index]),
                }
                for index in order
            ],
            "baselines": [baseline.figures() for baseline in self.baselines],
            "sentences": self.more_sentences(),
        }
        if self.calibration:
            found["calibration"] = self.calibration.figures()
        if self.micro_f1:
            found["microF1"] = self.micro_f1.figures()
        return found

    def sentence(self, *, dry: bool = False) -> str:
        """Describe the result with its figures; after a ``dry`` run without how many rows would settle it."""
        compared = self.compared
        majority, accuracy = compared.measured
        always = f"always answering {quoted(self.names[self.majority])}, as the base cannot classify"
        start = (
            f"Your task: {verdict_words(compared)}, accuracy {accuracy:.2f} vs. {majority:.2f} for {always}, "
            f"on {counted_rows(compared, 'held-out row')}{interval(compared)}"
        )
        f1 = f"macro F1 {self.macro_f1} vs. {self.majority_f1:.2f}"
        if self.micro_f1:
            f1 += f", micro F1 {self.micro_f1}"
        rest = "" if dry else caution(compared) + settled(compared)
        return f"{start}; {f1}.{rest}"

    def more_sentences(self) -> list[str]:
        """Describe the baselines and the calibration, a sentence each."""
        more = [baseline.sentence() for baseline in self.baselines]
        more += [self.calibration.sentence()] if self.calibration else []
        return [*more, *filter(None, [self.missing])]


class Several(NamedTuple):
    """Which labels rows have, and which were predicted, ``[rows, labels]``; ``majority`` is ``[labels]``."""

    wanted: Marks
    predicted: Marks
    majority: Marks


def classified(
    names: tuple[str, ...],
    majority: int,
    wanted: Sequence[int],
    predicted: Sequence[int],
    groups: Sequence[Hashable],
    margin: float = 0.0,
    chose: Sequence[bool] = (),
    several: Several | None = None,
) -> Classified:
    """Compare rows' ``predicted`` classes with always naming ``majority``; ``wanted`` are the true ones.

    Differences in accuracy below ``margin`` do not matter. ``chose`` as in :func:`~.paired.compare`. If rows
    may have ``several`` labels, the classes are combinations of them.
    """
    usual, own = (
        [float(label == named) for label, named in zip(wanted, all_named, strict=True)]
        for all_named in ([majority] * len(wanted), predicted)
    )
    compared = replace(compare_rates(usual, own, groups, margin, chose), higher=ACCURACY)
    true, named = np.asarray(judging(chose, wanted)), np.asarray(judging(chose, predicted))
    places: dict[Hashable, int] = {}
    of_group = np.asarray([places.setdefault(group, len(places)) for group in judging(chose, groups)])
    confidence = compared.confidence / 100
    accuracy = _accuracy(true == named, of_group, confidence)
    if several is None:
        marks = Several(
            _marks(true, len(names)), _marks(named, len(names)), _marks([majority], len(names))[0]
        )
    else:
        judges = np.asarray(judging(chose, range(len(wanted))))
        marks = Several(several.wanted[judges], several.predicted[judges], several.majority)
    counts = _counts(marks.wanted, marks.predicted, of_group)
    usually = np.broadcast_to(marks.majority, marks.wanted.shape)
    once = np.zeros_like(of_group)
    return Classified(
        names,
        majority,
        compared,
        accuracy,
        _share(macro_means, counts, confidence, accuracy),
        float(macro_means(*_counts(marks.wanted, usually, once))[0]),
        list(zip(true.tolist(), named.tolist(), strict=True)),
        len(marks.majority),
        _share(micro_means, counts, confidence, accuracy) if several else None,
    )


def macro_f1(true: Whole, named: Whole, classes: int) -> float:
    """Return the mean F1 of the classes that occur in ``true`` or ``named``, each ``[rows]``.

    As scikit-learn's ``f1_score(average="macro")``.
    """
    counts = _counts(_marks(true, classes), _marks(named, classes), np.zeros(len(true), dtype=int))
    return float(macro_means(*counts)[0])


def _marks(ids: Whole | Sequence[int], classes: int) -> Marks:
    """Return whether each row has each class, ``[rows, classes]``, of the rows' classes."""
    marks = np.zeros((len(ids), classes), dtype=bool)
    marks[np.arange(len(ids)), ids] = True
    return marks


def _counts(true: Marks, named: Marks, of_group: Whole) -> tuple[Real, Real]:
    """Return the rows of each class, ``[groups, classes]``: those rightly named, and the true ones plus those
    named so.
    """
    right, both = np.zeros((2, int(of_group.max()) + 1, true.shape[1]))
    np.add.at(right, of_group, true & named)
    np.add.at(both, of_group, true)
    np.add.at(both, of_group, named)
    return right, both


def macro_means(right: Real, both: Real) -> Real:
    """Return the macro F1 of each row of `_counts`: the mean of the classes that occur."""
    occurs = both > 0
    means: Real = (2 * right / np.where(occurs, both, 1)).sum(1) / np.maximum(1, occurs.sum(1))
    return means


def micro_means(right: Real, both: Real) -> Real:
    """Return the micro F1 of each row of `_counts`: that of all labels together."""
    means: Real = 2 * right.sum(1) / np.maximum(1, both.sum(1))
    return means


def _accuracy(right: NDArray[np.bool_], of_group: Whole, confidence: float) -> Share:
    """Return the share of rows that are ``right``, with its score interval.

    Rows of a group are not independent, so the interval is that of as many independent rows as would vary as
    much (the effective sample size; Kish, Survey Sampling, 1965).
    """
    share, rows, groups = float(right.mean()), len(right), int(of_group.max()) + 1
    effective = float(rows)
    if groups < rows:
        apart = np.bincount(of_group, right - share)
        variance = float((apart**2).sum()) * groups / max(1, groups - 1) / rows**2
        effective = min(rows, max(1.0, share * (1 - share) / variance)) if variance > 0 else groups
    return Share(share, *wilson(share * effective, effective, confidence))


def _share(
    mean: Callable[[Real, Real], Real], counts: tuple[Real, Real], confidence: float, accuracy: Share
) -> Share:
    """Return the ``mean`` of `_counts` with its interval: quantiles of bootstrap draws of whole groups.

    If all rows are right, so are all draws; then the interval is that of the accuracy.
    """
    right, both = counts
    value = float(mean(right.sum(0, keepdims=True), both.sum(0, keepdims=True))[0])
    if accuracy.value == 1:
        return Share(value, accuracy.low, accuracy.high)
    chance, groups = np.random.default_rng(SEED), len(right)
    drawn = chance.multinomial(groups, np.full(groups, 1 / groups), DRAWS).astype(float)
    values = mean(drawn @ right, drawn @ both)
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Share(value, min(value, float(low)), max(value, float(high)))
