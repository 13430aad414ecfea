"""The proofs of what this project promises, as docs/claims.md lists them; one module each.

Each proof says how often a promise is broken in null cases, and the target is the promised share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import budget, budget_seeds, deletion, live, sources

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .figures import Figure

PROOFS = (deletion.measure, live.measure, budget.measure, budget_seeds.measure, sources.measure)


def measure(*, quick: bool) -> Iterator[Figure]:
    """Yield the figures of every proof."""
    for proof in PROOFS:
        yield from proof(quick=quick)
