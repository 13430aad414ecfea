"""What else could label the held-out rows: the base's zero-shot choice, and TF-IDF with logistic regression.

The first says what training has added; the second, which needs no language model, whether one is needed at
all. Both are compared with the classifier row by row, as it is with the majority.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, Protocol

from .rates import compare_rates
from .words import DIGITS, counted_rows, interval, verdict_words

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from arkor_dev.contract.shapes import EvaluationBaseline
    from arkor_dev.local.modeling.example import Example

    from .paired import Comparison

ACCURACY: Final = "Accuracy"
ZERO_SHOT: Final = "zeroShot"
TFIDF: Final = "tfidf"
NAMES: Final = {ZERO_SHOT: "the base's zero-shot choice", TFIDF: "TF-IDF with logistic regression"}
Kind = Literal["zeroShot", "tfidf"]


class Labeler(Protocol):
    """Makes the baselines of a classifier's job."""

    def choices(self, *, padded: bool) -> dict[int, list[Example]]:
        """Return by the number of a held-out row its prompt with each label, as examples in the classes'
        order; empty if the base cannot be asked. ``padded`` as in `Objective`.
        """

    def tfidf(self) -> list[tuple[int, ...]] | None:
        """Return the classes of each held-out row by TF-IDF with logistic regression; None if it cannot learn
        from the rows.
        """

    @property
    def available(self) -> bool:
        """Whether `tfidf` can be made here: it needs scikit-learn."""

    @property
    def missing(self) -> str:
        """Sentences on what is not compared, and why; empty if everything is."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """A ``kind`` of labels, with its accuracy ``compared`` with the classifier's."""

    kind: Kind
    compared: Comparison

    def figures(self) -> EvaluationBaseline:
        """Return the contract's figures."""
        compared = self.compared
        accuracy, own = compared.measured
        return {
            "kind": self.kind,
            "rows": compared.rows,
            "accuracy": round(accuracy, DIGITS),
            "classifier": round(own, DIGITS),
            "difference": {
                "mean": round(compared.mean, DIGITS),
                "low": round(compared.low, DIGITS),
                "high": round(compared.high, DIGITS),
            },
            "confidence": compared.confidence,
            "verdict": compared.verdict,
        }

    def sentence(self) -> str:
        """Describe how the classifier compares with it, with its figures."""
        compared = self.compared
        accuracy, own = compared.measured
        return (
            f"Compared with {NAMES[self.kind]}: {verdict_words(compared)}, accuracy {own:.2f} vs. "
            f"{accuracy:.2f} on {counted_rows(compared, 'held-out row')}{interval(compared)}."
        )

    def conclusion(self) -> str:
        """Say that no language model is needed, or may be; empty if the classifier is better, if there are
        too few rows to tell, and for a baseline that needs one itself.
        """
        if self.kind != TFIDF or self.compared.groups < self.compared.minimum:
            return ""
        return {
            "same": "TF-IDF with logistic regression is as good: this task needs no language model.",
            "worse": "TF-IDF with logistic regression is better: this task needs no language model.",
            "unclear": "It is not clearly better than TF-IDF with logistic regression, so this task may need "
            "no language model.",
        }.get(self.compared.verdict, "")


def baseline(
    kind: Kind,
    wanted: Sequence[int],
    named: Sequence[int],
    predicted: Sequence[int],
    groups: Sequence[Hashable],
    margin: float = 0.0,
    chose: Sequence[bool] = (),
) -> Baseline:
    """Compare the classifier's ``predicted`` classes with those ``named`` by a baseline.

    ``wanted`` are the true ones; other arguments are as in :func:`~.paired.compare`.
    """
    theirs, own = (
        [float(label == other) for label, other in zip(wanted, all_named, strict=True)]
        for all_named in (named, predicted)
    )
    return Baseline(kind, replace(compare_rates(theirs, own, groups, margin, chose), higher=ACCURACY))
