"""Training on this processor against TRL's SFTTrainer: the same model, rows, batches and adapter, by turns.

Both train the starter model in bfloat16 where the product's own measurement takes it, else in float32, and
evaluate nothing. Each has a process of its own, so that its peak memory is its own, and threads that wait as
a worker's do. Two data sets: the example project's, and rows of 16 to 900 tokens. Then where our time goes,
beside the products that no code can leave out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .figures import Figure
from .sides import in_a_process

if TYPE_CHECKING:
    from collections.abc import Iterator

FASTER = {"example": 1.7, "mixed": 2.0}
ABOVE = {"bfloat16": 1.4, "float32": 1.25}
"""How many times the time of its products a step may take."""
NAMES = {"example": "the example", "mixed": "rows of 16 to 900 tokens"}


def measure(*, quick: bool) -> Iterator[Figure]:
    """Seconds a step and peak memory of both, and the parts of our step."""
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
