"""Designs that estimate which source of a data set helps: runs in which each source is in or out.

The matrices are those of Plackett and Burman, The Design of Optimum Multifactorial Experiments, 1946: each
column is in half of the runs, and any two columns are together in a quarter of them, so that every run says
something about every source. Their rows are mixtures here: all runs have the same steps, and a source that is
alone gets all of them. Runs of few sources lie far from the whole mixture, where losses are no longer linear.
So, of the columns and of the ways to name their two levels, those are taken whose smallest run has most
sources; of equal ones, those in which single sources are mixed up least with pairs (aliasing).
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations
from typing import Final

GENERATORS: Final = {8: "+++-+--", 12: "++-+++---+-", 16: "++++-+-++--+---"}
"""The first row of each matrix; further rows are its rotations, and the last is all minus."""
RUNS: Final = tuple(GENERATORS)
FEWEST_SOURCES: Final = 3
FEWEST_DEGREES: Final = 4
"""Runs beyond the number of sources, by which the error is estimated: with fewer, intervals are too wide."""
MOST_SOURCES: Final = RUNS[-1] - FEWEST_DEGREES
CHOICES: Final = 100
"""Choices of columns that are tried, from those with the least aliasing to those with most."""


def sizes(sources: int) -> list[int]:
    """Return the numbers of runs that a design for so many sources may have, in ascending order."""
    return [runs for runs in RUNS if runs - sources >= FEWEST_DEGREES and design(sources, runs)]


@lru_cache(maxsize=64)
def design(sources: int, runs: int) -> tuple[tuple[bool, ...], ...]:
    """Return for each of ``runs`` runs which of ``sources`` it trains on; empty if there is no such design.

    Each source is in half of the runs, any two in a quarter of them, and each run has at least one.
    """
    rows = _matrix(runs)
    columns = [sum(row[place] << run for run, row in enumerate(rows)) for place in range(runs - 1)]
    mixed = {
        (one, two, three): (runs - 2 * (columns[one] ^ columns[two] ^ columns[three]).bit_count()) ** 2
        for one, two, three in combinations(range(runs - 1), 3)
    }  # how far the effect of each of three columns is mixed up with that of the other two; 0 if not at all
    choices = sorted(
        combinations(range(runs - 1), sources),
        key=lambda chosen: sum(map(mixed.__getitem__, combinations(chosen, 3))),
    )
    best, most = None, (0, 0)
    for chosen in choices[:: max(1, len(choices) // CHOICES)]:
        packed = [sum(row[place] << bit for bit, place in enumerate(chosen)) for row in rows]
        for swaps in range(1 << sources):
            least = most[0]
            for row in packed:  # nearly every way ends here, at one of its first rows
                if (row ^ swaps).bit_count() < least:
                    break
            else:
                counts = [(row ^ swaps).bit_count() for row in packed]
                if (size := (min(counts), -max(counts))) > most:
                    best, most = [row ^ swaps for row in packed], size
    return tuple(tuple(bool(row >> bit & 1) for bit in range(sources)) for row in best or ())


def _matrix(runs: int) -> list[list[bool]]:
    first = [level == "+" for level in GENERATORS[runs]]
    return [*(first[-turn:] + first[:-turn] for turn in range(runs - 1)), [False] * (runs - 1)]
