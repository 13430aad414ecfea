"""Measures classifiers against transformers' ``Trainer`` with PEFT: the same rows, settings and seed.

Three data sets that packages ship (``labeled_texts``). Both sides take all cores, in turns, and compute in
the number format that is faster here, by our measurement. Their steps are compared by the clock and by
processor time, and on the same held-out rows by accuracy, paired by row. What the two draw differs: the new
head, the adapter, and the order of the rows. So each is trained with several seeds, and a row counts by the
share of them with which it is labeled right. Last comes how long a trained one takes for one short text.
"""

from __future__ import annotations

import sys
from statistics import mean
from typing import TYPE_CHECKING, Final

from arkor_dev.local.evaluation.rates import compare_rates

from .figures import Figure
from .labeled_texts import SETS
from .sides import in_a_process

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROWS, STEPS = 100, 25
"""Training rows, and as many held-out ones; steps of 8 rows."""
SEEDS: Final = (1, 2)
QUICK: Final = 2
TARGET: Final = 0.7
"""Maximum time of a step by the clock, relative to the Trainer's, on a quiet machine."""
P50: Final = 15.0
"""Maximum milliseconds for one short text over HTTP, on a quiet machine."""
TEXTS: Final = 50
"""Number of times that a text is labeled."""
ONE_THREAD: Final = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def measure(*, quick: bool, cases: Sequence[str] = ()) -> Iterator[Figure]:
    """Yield the figures of each data set and of a short text, or those of some data sets (``cases``)."""
    if unknown := set(cases) - {*SETS}:
        sys.exit(f"no such case: {', '.join(sorted(unknown))}; there are {', '.join(SETS)}")
    for name in cases or SETS:
        yield from _of_set(name, quick=quick)
    if not cases:
        yield from _of_one_text(quick=quick)


def _of_set(name: str, *, quick: bool) -> Iterator[Figure]:
    """Yield times and accuracy of both sides for a data set; with ``quick``, after two steps."""
    rows, steps, seeds = (QUICK * 8, QUICK, SEEDS[:1]) if quick else (ROWS, STEPS, SEEDS)
    by_seed = []
    for seed in seeds:
        own = in_a_process("classifiers", "ours", name, rows, steps, seed, "auto")
        by_seed.append((own, in_a_process("classifiers", "trainer", name, rows, steps, seed, own["format"])))
    ours, theirs = zip(*by_seed, strict=True)
    for clock, label, most in (("step", "time", TARGET), ("processor", "processor time", None)):
        yield Figure(
            f"{name}: {label} per step in {ours[0]['format']}, Trainer's beside",
            mean(run[clock] for run in ours),
            "s",
            mean(run[clock] for run in theirs),
            most=None if quick else most,
        )
    for seed, (own, other) in zip(seeds, by_seed, strict=True):
        yield Figure(f"  accuracy with seed {seed}, Trainer's beside", own["accuracy"], "", other["accuracy"])
    compared = compare_rates(
        [right for run in theirs for right in run["right"]],
        [right for run in ours for right in run["right"]],
        [row for run in ours for row in range(len(run["right"]))],
    )
    yield Figure(f"  the difference's interval, from ({compared.confidence} %)", compared.low, "")
    yield Figure("  to; it must not be below zero", compared.high, "", least=None if quick else 0)
    yield Figure("  accuracy of the most frequent label", ours[0]["majority"], "")


def _of_one_text(*, quick: bool) -> Iterator[Figure]:
    """Yield how long a trained classifier takes for one short text."""
    times = QUICK if quick else TEXTS
    text = in_a_process("one_text", "engine", times, settings=ONE_THREAD)
    yield Figure(
        f"processor time to label a text of {text['tokens']} tokens (p50), transformers and PEFT beside",
        1000 * text["ours"],
        "ms",
        1000 * text["theirs"],
    )
    yield Figure("  at best", 1000 * text["best"], "ms", 1000 * text["theirBest"])
    yield Figure("  largest difference of a probability", text["apart"], "", most=0.02)
    endpoint = in_a_process("one_text", "endpoint", times)
    yield Figure(
        "/v1/classify for that text (p50)", 1000 * endpoint["p50"], "ms", most=None if quick else P50
    )
    yield Figure("  at best", 1000 * endpoint["best"], "ms")
