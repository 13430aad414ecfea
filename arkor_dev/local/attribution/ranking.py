"""Scores of training rows for an answer, from the store of gradients.

A row's score is the mean over the store's points of the cosine of its gradient with the answer's (LESS, Xia
et al. 2024): a step on a row of positive score makes the answer likelier. It is given in standard deviations
from the mean of all rows, which says how it compares with a row taken at random.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .store import Gradients

SHOWN: Final = 5
"""Rows that raised an answer's probability most, and rows that lowered it, in a ranking."""


def cosines(rows: Gradients, answer: Any) -> Any:
    """Return each row's mean cosine with the unit gradients ``answer`` ``[points, SIZE]``: ``[rows]``."""
    found = rows.unit[0] @ answer[0]
    for unit, wanted in zip(rows.unit[1:], answer[1:], strict=True):
        found = found + unit @ wanted
    return found / len(answer)


def standard(scores: Any) -> Any:
    """Return ``scores`` in standard deviations from their mean; zeros if all are equal."""
    spread = scores.std() if len(scores) > 1 else scores.new_zeros(())
    return (scores - scores.mean()) / spread if spread > 0 else scores.new_zeros(scores.shape)


def extremes(scores: Any, raw: Any) -> tuple[list[int], list[int]]:
    """Return the rows with the highest and the lowest ``scores``, the most extreme first.

    Only rows with a positive ``raw`` cosine can have raised an answer's probability, only rows with a
    negative one can have lowered it.
    """
    order = scores.argsort(descending=True).tolist()
    raised = [row for row in order if raw[row] > 0][:SHOWN]
    lowered = [row for row in reversed(order) if raw[row] < 0][:SHOWN]
    return raised, lowered
