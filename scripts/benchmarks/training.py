"""Compares training on this processor with TRL's SFTTrainer, in turns: the same model, rows, batches and
adapter.

Both train the starter model, in bfloat16 if the product's own measurement chooses it, else in float32,
without evaluation. Each runs in a separate process, so that its peak memory is separate, with threads that
wait like those of a worker. Two data sets: the example project's, and rows of 16 to 900 tokens. Then the
parts of our steps' time, compared with the matrix products that no code can avoid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .figures import Figure
from .sides import in_a_process

if TYPE_CHECKING:
    from collections.abc import Iterator

FASTER = {"example": 1.7, "mixed": 2.0}
ABOVE = {"bfloat16": 1.4, "float32": 1.25}
"""Maximum time of a step, as a multiple of the time of its matrix products."""
NAMES = {"example": "the example", "mixed": "rows of 16 to 900 tokens"}


def measure(*, quick: bool) -> Iterator[Figure]:
    """Yield both sides' seconds per step and peak memory, and the parts of our step."""
    steps, rounds = (2, 1) if quick else (12, 2)
    for rows, least in FASTER.items():
        turns = []
        for _ in range(rounds):
            ours = in_a_process("trainers", "ours", rows, steps)
            turns.append((ours, in_a_process("trainers", "trl", rows, steps, ours["format"])))
        quick, slow = (min(turn[side]["seconds"] for turn in turns) for side in (0, 1))
        number = turns[0][0]["format"]
        yield Figure(f"steps of {NAMES[rows]}, TRL beside, {number}", 1 / quick, "/s", 1 / slow, least=least)
        less, more = (min(turn[side]["peak"] for turn in turns) for side in (0, 1))
        yield Figure("  peak memory, TRL beside", less, "MiB", more, most=1)
        parts = min((turn[0] for turn in turns), key=lambda turn: turn["seconds"])
        floor = parts["floor"]
        step = 1000 * parts["seconds"]
        yield Figure("  a step, its products alone beside", step, "ms", 1000 * floor, most=ABOVE[number])
        for name in ("forward", "backward", "optimizer", "rest"):
            yield Figure(f"  of which {name}", 1000 * parts[name], "ms")
