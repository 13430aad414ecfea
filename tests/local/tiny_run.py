"""Trainings of the tiny model in this process: quick enough for one a setting, and open to look into."""

from __future__ import annotations

import copy
import functools
import random
from typing import TYPE_CHECKING, Any

from arkor_dev.data.rows import Row
from arkor_dev.local.training.run_events import RunEvents

from .tiny_model import PHRASE, QUESTIONS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from arkor_dev.contract.events import Event, RunMetrics, TrainingPaused
    from arkor_dev.local.execution.messages import Ended
    from arkor_dev.local.modeling.base_model import Base
    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.modeling.number_format import DtypeChoice
    from arkor_dev.local.training.plan import Plan
    from arkor_dev.local.training.run import TrainingLoop

ROWS = 6


def made_up(count: int, answers_only: bool = True) -> list[Example]:
    """Rows of unlike lengths, whose second half is the answer; the same ones whenever they are asked for."""
    from arkor_dev.local.modeling.example import IGNORED, Example

    chance = random.Random(7)
    rows = []
    for _ in range(count):
        ids = [chance.randrange(3, 1024) for _ in range(chance.randrange(8, 20))]
        asked = len(ids) // 2 if answers_only else 0
        rows.append(Example(ids, [IGNORED] * asked + ids[asked:]))
    return rows


@functools.cache
def _read(model: Path) -> Base:
    from arkor_dev.local.modeling.base_model import load_base

    return load_base(model, as_stored=True)


def read(model: Path) -> Base:
    """The model of that folder, to do with as one likes. To read it takes six times as long as to copy it."""
    from arkor_dev.local.modeling.base_model import pick_device

    return copy.deepcopy(_read(model)) if pick_device()[0] == "cpu" else _read.__wrapped__(model)


def tiny_run(
    tiny: Path,
    data: Path,
    plan: Plan,
    choice: DtypeChoice,
    emit: RunEvents,
    train: Sequence[Example] | None = None,
    held_out: Sequence[Example] = (),
    **facts: Any,
) -> TrainingLoop:
    """A run of ``plan`` on ``train``, else on ``ROWS`` rows of made-up tokens; ``emit`` gets its events."""
    from arkor_dev.local.training.methods import method
    from arkor_dev.local.training.run import ModelSource, TrainingLoop

    named: dict[str, Any] = {
        "method": method("sft"),
        "job_id": choice.name,
        "settings": {},
        "seed": 1,
    }
    return TrainingLoop(
        source=ModelSource("tiny", four_bit=facts.pop("four_bit", False)),
        base=facts.pop("base", None) or read(tiny),
        plan=plan,
        train=made_up(ROWS, answers_only=False) if train is None else train,
        held_out=held_out,
        data=data,
        emit=emit,
        choice=choice,
        **{**named, **facts},
    )


def set_up(tiny: Path, data: Path, config: dict[str, Any], held_out: int = 0, **more: Any) -> TrainingLoop:
    """A run of a job's ``config`` in float32 on 12 rows; its events lie in ``run.emit.calls``, in order."""
    import torch

    from arkor_dev.local.modeling.number_format import DtypeChoice
    from arkor_dev.local.training.job_settings import EffectiveSettings
    from arkor_dev.local.training.plan import Plan

    rows = more.pop("train", None) or made_up(12)
    plan = Plan.of(EffectiveSettings({"saveSteps": 0, "warmupSteps": 0, **config}), len(rows), held_out)
    choice = more.pop("choice", DtypeChoice(torch.float32, "of the test"))
    run = tiny_run(
        tiny, data, plan, choice, Events(), train=rows, held_out=made_up(12 + held_out)[12:], **more
    )
    from arkor_dev.local.training.replay.rows import Replay

    run.replay = Replay.of(plan, run.base, replayed_rows() if config.get("replayDataset") else ())
    return run


def replayed_rows() -> list[Row]:
    """The rows of a replay data set: every second one has an answer."""
    answers = [PHRASE, ""] * 6
    return [
        Row([{"role": "user", "content": asked}, {"role": "assistant", "content": answer}], f"row {number}")
        for number, (asked, answer) in enumerate(zip(QUESTIONS, answers, strict=False), 1)
    ]


class Events(RunEvents):
    """Takes a run's events."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        super().__init__(self._take)

    def _take(self, event: Event) -> None:
        fields: dict[str, Any] = {**event}
        self.calls.append((fields.pop("type"), fields))

    def figures(self, field: str) -> list[float]:
        """That figure of every row of the log that has it."""
        return [fields[field] for name, fields in self.calls if name == "training.log" and field in fields]


def metrics_of(end: Ended) -> RunMetrics:
    """The totals of a completed run."""
    assert end.event["type"] == "training.completed"
    return end.event["metrics"]


def pause_of(end: Ended) -> TrainingPaused:
    """The event of a paused run."""
    assert end.event["type"] == "training.paused"
    return end.event


def losses_of(run: TrainingLoop) -> list[float]:
    """Run it to its end; the loss of each step."""
    run.run()
    return events_of(run).figures("loss")


def events_of(run: TrainingLoop) -> Events:
    """What a run of `set_up` has sent."""
    assert isinstance(run.emit, Events)
    return run.emit
