"""Training rows that contradict the rows most like them, and whose loss stays high.

The rows most like a row are those whose gradients have the largest cosines with its own, of either sign.
Rows with the same kind of question agree, whatever else they teach; one with another row's answer agrees with
few of its like. The held-out rows take no part, so all of them can judge a training without the rows.
"""

from __future__ import annotations

from typing import Any, Final

import torch

LIKE: Final = 5
"""Rows that a row is compared with."""
REFERENCES: Final = 4096
"""Most rows that a row's like are looked for among."""
AT_ONCE: Final = 1024
FEWEST: Final = 20
"""Fewest rows among which a row can be called a contradiction."""
LEAST_AGREEMENT: Final = 0.1
"""Agreement of the median row, below which the rows have too little in common to contradict each other."""
AGREEMENT: Final = 0.5
LOSS: Final = 3.0
"""A row is listed with at most this share of the median row's agreement, and this multiple of its loss.

Chosen, like the rule for a single row, on 59 clean and 12 shuffled data sets; checked on others by
``scripts/bench attribution``.
"""


def contradictions(train: Any, losses: Any) -> list[tuple[int, float]]:
    """Return the rows that contradict their like, with their agreement, the worst first.

    A single row that stands out is most likely chance, unless it opposes its like.
    ``train`` has unit gradients ``[points, rows, SIZE]``, ``losses`` the rows' losses per learned token.
    """
    if train.shape[1] < FEWEST:
        return []
    found = agreement(train)
    typical = found.median()
    if typical < LEAST_AGREEMENT:
        return []
    listed = (found < AGREEMENT * typical) & (losses > LOSS * losses.median())
    rows = [(row, float(found[row])) for row in found.argsort().tolist() if listed[row]]
    return [] if len(rows) == 1 and rows[0][1] >= 0 else rows


def suspicion(train: Any, losses: Any) -> Any:
    """Return a score of every row from 0 to 1: the mean of its ranks by disagreement and by loss."""
    return (_ranks(-agreement(train)) + _ranks(losses)) / 2


def agreement(train: Any) -> Any:
    """Return each row's mean cosine with the ``LIKE`` other rows most like it: ``[rows]``."""
    count = train.shape[1]
    some = torch.randperm(count, generator=torch.Generator().manual_seed(0))[:REFERENCES]
    found = []
    for start in range(0, count, AT_ONCE):
        rows = torch.arange(start, min(start + AT_ONCE, count))
        cosines = torch.stack([unit[rows].float() @ unit[some].float().T for unit in train]).mean(0)
        cosines[rows[:, None] == some[None, :]] = 0  # itself
        like = cosines.abs().topk(min(LIKE, len(some)), 1).indices
        found.append(cosines.gather(1, like).mean(1))
    return torch.cat(found)


def _ranks(values: Any) -> Any:
    """Return each value's rank as a share of all, from 0 to 1."""
    return values.argsort().argsort().float() / max(1, len(values) - 1)
