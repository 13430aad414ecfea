"""Finds training rows that contradict the rows most similar to them, and whose loss stays high.

A wrong row that was learned by heart has a low loss, and can only be among the rows that agree least.

The rows most similar to a row are those whose gradients have the largest absolute cosines with its own
gradient. Rows with the same kind of question agree, whatever else they teach; a row with another row's answer
agrees with few of its similar rows. Held-out rows are not used, so all of them can judge a training run
without the rows found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

if TYPE_CHECKING:
    from torch import Tensor

LIKE: Final = 5
"""Number of rows that a row is compared with."""
REFERENCES: Final = 4096
"""Maximum number of rows among which a row's most similar ones are searched."""
AT_ONCE: Final = 1024
FEWEST: Final = 20
"""Minimum number of rows for calling a row a contradiction."""
LEAST_AGREEMENT: Final = 0.1
"""Minimum agreement of the median row: below it, rows have too little in common to contradict."""
UNPROVEN: Final = 10
"""Number of rows that are listed by agreement alone if no row contradicts others."""
AGREEMENT: Final = 0.4
LOSS: Final = 4.0
LEAST_LOSS: Final = 0.1
"""A row is listed with at most this share of the median row's agreement, at least this multiple of its loss,
and at least so many nats per token: a row whose tokens are 90 % likely has been learned.

Chosen, like the rule for a single row, on 17 clean and 9 shuffled data sets; checked on others by
``scripts/bench attribution``.
"""


def contradictions(agreements: Tensor, losses: Tensor) -> list[tuple[int, float]]:
    """Return the rows that contradict their most similar rows, with their agreement, the worst first.

    A single row that stands out is most likely chance. ``agreements`` are those of all rows, ``losses`` the
    rows' losses per learned token.
    """
    if not can_contradict(agreements):
        return []
    typical = agreements.median()
    listed = (agreements < AGREEMENT * typical) & (losses > LOSS * losses.median()) & (losses > LEAST_LOSS)
    order = suspicion(agreements, losses).argsort(descending=True).tolist()
    rows = [(row, float(agreements[row])) for row in order if listed[row]]
    return rows if len(rows) > 1 else []


def least_agreeing(agreements: Tensor) -> list[tuple[int, float]]:
    """Return the first rows by agreement, with it: what is found if the losses are ignored."""
    if not can_contradict(agreements):
        return []
    return [(row, float(agreements[row])) for row in agreements.argsort()[:UNPROVEN].tolist()]


def can_contradict(agreements: Tensor) -> bool:
    """Return whether the rows are enough, and have enough in common, to contradict each other."""
    return len(agreements) >= FEWEST and bool(agreements.median() >= LEAST_AGREEMENT)


def suspicion(agreement: Tensor, losses: Tensor) -> Tensor:
    """Return each row's score: its loss, weighted by how little it agrees with its most similar rows."""
    return losses * (1 - agreement)


def agreement(unit: Tensor) -> Tensor:
    """Return each row's mean cosine with the ``LIKE`` other rows most similar to it, ``[rows]``.

    ``unit`` has the rows' gradients ``[rows, SIZE]``, of unit length.
    """
    count = len(unit)
    references = torch.randperm(count, generator=torch.Generator().manual_seed(0))[:REFERENCES]
    means = []
    for start in range(0, count, AT_ONCE):
        rows = torch.arange(start, min(start + AT_ONCE, count))
        cosines = unit[rows].float() @ unit[references].float().T
        cosines[rows[:, None] == references[None, :]] = 0  # exclude the row itself
        like = cosines.abs().topk(min(LIKE, len(references)), 1).indices
        means.append(cosines.gather(1, like).mean(1))
    return torch.cat(means)
