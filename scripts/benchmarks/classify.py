"""Measures classifiers against transformers' ``Trainer`` with PEFT: the same rows, settings and seed.

Three data sets that packages ship (``labeled_texts``). Both sides take a thread, in turns, and are compared
by processor time, and on the same held-out rows by accuracy, paired by row. What the two draw differs: the
new head, the adapter, and the order of the rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from arkor_dev.local.evaluation.rates import compare_rates

from .figures import Figure
from .labeled_texts import SETS
from .sides import in_a_process

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS, STEPS = 100, 25
"""Training rows, and as many held-out ones; steps of 8 rows."""
QUICK: Final = 2
TARGET: Final = 0.7
"""Maximum processor time of a step, relative to the Trainer's."""
ONE_THREAD: Final = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def measure(*, quick: bool) -> Iterator[Figure]:
    """Yield processor time and accuracy of both sides for each data set; with ``quick``, after two steps."""
    for name in SETS:
        ours, theirs = (
            in_a_process(
                "classifiers", side, name, QUICK * 8 if quick else ROWS, QUICK if quick else STEPS,
                settings=ONE_THREAD,
            )
            for side in ("ours", "trainer")
        )  # fmt: skip
        yield Figure(
            f"{name}: processor time per step, Trainer's beside", ours["step"], "s", theirs["step"],
            most=None if quick else TARGET,
        )  # fmt: skip
        yield Figure(f"{name}: accuracy, Trainer's beside", ours["accuracy"], "", theirs["accuracy"])
        compared = compare_rates(theirs["right"], ours["right"], range(len(ours["right"])))
        yield Figure(f"  the difference's interval, from ({compared.confidence} %)", compared.low, "")
        yield Figure("  to; it must not be below zero", compared.high, "", least=None if quick else 0)
        yield Figure("  accuracy of the most frequent label", ours["majority"], "")
