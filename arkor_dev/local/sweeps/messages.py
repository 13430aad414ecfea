"""Messages to and from the process of a sweep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypedDict

from arkor_dev.contract.shapes import JobConfig, SourceEffect, SweepImportance, SweepVerdict, ValueRange
from arkor_dev.local.evaluation.results import Scores
from arkor_dev.local.workers.codec import Message, Trusted


class HeldOutRows(TypedDict):
    """``groups`` independent rows are held out. ``share`` would hold out enough; None if no share would.

    ``rows`` counts those of each source, held-out ones included.
    """

    groups: int
    share: float | None
    rows: list[int]


@dataclass(frozen=True)
class Observation:
    """The settings of a trial and its loss; None if unknown, or if the trial failed."""

    settings: dict[str, object]
    loss: float | None


@dataclass(frozen=True)
class HoldOut(Message):
    """Count the rows that a job with ``config`` would hold out."""

    config: Annotated[JobConfig, Trusted()]
    project: str


@dataclass(frozen=True)
class HeldOut(Message):
    """What is held out; None if the job downloads its data."""

    held_out: HeldOutRows | None


@dataclass(frozen=True)
class SuggestTrial(Message):
    """Suggest the settings of the next trial."""

    space: dict[str, list[object] | ValueRange]
    config: Annotated[JobConfig, Trusted()]
    seed: int
    trials: list[Observation]


@dataclass(frozen=True)
class Suggested(Message):
    """The settings; None if every combination was tried."""

    settings: dict[str, object] | None


@dataclass(frozen=True)
class JudgeSweep(Message):
    """Rank the settings by importance; compare the winner's scores with those of the ``start``, by seed.

    `results.is_score` has checked the scores, which have ``keys``.
    """

    space: dict[str, list[object] | ValueRange]
    seed: int
    trials: list[Observation]
    measure: str
    start: list[Annotated[Scores, Trusted()]]
    winner: list[Annotated[Scores, Trusted()]]


@dataclass(frozen=True)
class SweepJudged(Message):
    """The importances, and the verdict if there were scores to compare."""

    importances: list[SweepImportance]
    verdict: SweepVerdict | None = None


@dataclass(frozen=True)
class JudgeSources(Message):
    """Say what each source does. ``shares`` are those of the sources in each run.

    ``mixture`` are those of the present mixture; weight 0 counts as 1 there, as in the runs.
    ``losses`` are those of the rows in each run, and ``groups`` their groups. ``general`` has each run's
    mean loss on general questions, None without. ``names`` and ``weights`` are those of the sources.
    """

    shares: list[list[float]]
    mixture: list[float]
    losses: list[list[float]]
    groups: list[int]
    general: list[float] | None
    names: list[str]
    weights: list[float]


@dataclass(frozen=True)
class SourcesJudged(Message):
    """The sources' effects, and a verdict that states them."""

    effects: list[SourceEffect]
    verdict: SweepVerdict
