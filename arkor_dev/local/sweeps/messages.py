"""Messages to and from the process of a sweep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from arkor_dev.contract.shapes import SourceEffect, SweepImportance, SweepVerdict
from arkor_dev.local.workers.codec import Message


@dataclass(frozen=True)
class HoldOut(Message):
    """Count the rows that a job with ``config`` would hold out."""

    config: dict[str, Any]
    project: str


@dataclass(frozen=True)
class HeldOut(Message):
    """What is held out, as ``held_out`` returns it."""

    held_out: Any


@dataclass(frozen=True)
class SuggestTrial(Message):
    """Suggest the settings of the next trial."""

    space: dict[str, object]
    config: dict[str, Any]
    seed: int
    trials: list[list[Any]]


@dataclass(frozen=True)
class Suggested(Message):
    """The settings; None if every combination was tried."""

    settings: dict[str, Any] | None


@dataclass(frozen=True)
class JudgeSweep(Message):
    """Rank the settings by importance; compare the winner's scores with those of the ``start``, by seed."""

    space: dict[str, object]
    seed: int
    trials: list[list[Any]]
    measure: str
    start: list[dict[str, Any]]
    winner: list[dict[str, Any]]


@dataclass(frozen=True)
class Judged(Message):
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
