"""What a training method gets of its run, besides the model and the rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from arkor_dev.contract.shapes import EvaluationSet
    from arkor_dev.local.modeling.base_model import Base
    from arkor_dev.local.modeling.example import Example

    from .plan import Plan
    from .replay.rows import Replay
    from .run_events import RunEvents
    from .stop import Stop


@dataclass(frozen=True, slots=True)
class RunContext:
    """The parts of a run that an objective may use.

    Args:
        base: The base model, with its tokenizer.
        plan: The settings with every default resolved.
        seed: The seed of all randomness.
        emit: Sends an event.
        stop: Whether the run must stop, for what takes longer than a step.
        train: The encoded training rows.
        project: The project's folder.
        data: The backend's data folder.
        job_id: The job's id.
        sets: The job's custom evaluation sets, whose metrics may reward answers.
        replay: The rows that are replayed, if any.
        second: The model that the method needs besides the one that learns, if any.
        second_adapter: The folder of the adapter that it needs on the same base instead, if any.
    """

    base: Base
    plan: Plan
    seed: int
    emit: RunEvents
    stop: Stop
    train: Sequence[Example]
    project: Path
    data: Path
    job_id: str
    sets: Sequence[EvaluationSet]
    replay: Replay | None
    second: Base | None
    second_adapter: Path | None
