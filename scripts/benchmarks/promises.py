"""The proofs of what this project promises, as docs/claims.md lists them; one module each.

Each proof says how often a promise is broken in null cases, and the target is the promised share.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from . import budget, budget_seeds, deletion, live, sources

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .figures import Figure

PROOFS = {
    "deletion": deletion.measure,
    "live": live.measure,
    "budget": budget.measure,
    "seeds": budget_seeds.measure,
    "sources": sources.measure,
}
"""Each proof by its case."""


def measure(*, quick: bool, cases: Sequence[str] = ()) -> Iterator[Figure]:
    """Yield the figures of the proofs in ``cases``, by default of all."""
    if unknown := set(cases) - PROOFS.keys():
        sys.exit(f"no such case: {', '.join(sorted(unknown))}; there are {', '.join(PROOFS)}")
    for case in cases or PROOFS:
        yield from PROOFS[case](quick=quick)
