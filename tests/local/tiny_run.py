"""A training of the tiny model in this process, for what no job on the wire may ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from arkor_dev.local.training.number_format import Choice
    from arkor_dev.local.training.plan import Plan
    from arkor_dev.local.training.run import Run

ROWS = 6


def tiny_run(tiny: Path, data: Path, plan: Plan, choice: Choice, emit: Callable[..., None]) -> Run:
    """A run of ``plan`` on ``ROWS`` rows of made-up tokens; ``emit`` gets its events."""
    from arkor_dev.local.modeling.base_model import load_base
    from arkor_dev.local.training.encoding import Example
    from arkor_dev.local.training.run import Run

    rows = [Example(list(range(10 + n, 30 + n)), list(range(10 + n, 30 + n))) for n in range(ROWS)]
    facts: dict[str, Any] = {"base_name": "tiny", "base_note": None, "job_id": choice.name, "settings": {}}
    return Run(
        base=load_base(tiny),
        plan=plan,
        train=rows,
        held_out=[],
        data=data,
        four_bit=False,
        seed=1,
        emit=emit,
        cancelled=lambda: False,
        choice=choice,
        **facts,
    )
