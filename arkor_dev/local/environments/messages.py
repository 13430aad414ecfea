"""Messages between a training worker and the process of an episode."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from arkor_dev.local.workers.codec import Message

Row = dict[str, object]
"""A row's other columns, its ``prompt`` (messages), and its wanted ``answer``, which may be empty."""

BROKEN: Final = "error: the arguments are not a JSON object"


@dataclass(frozen=True)
class EnvironmentLimits:
    """What an environment may use.

    Args:
        start: Seconds to import the project's file.
        call: Seconds for each call of a method.
        processor: Seconds of processor time for an episode.
        memory: Bytes of private memory, in each of its processes.
        processes: Processes of an episode at once.
        characters: Characters of a result; the rest is cut.
    """

    start: float = 120.0
    call: float = 30.0
    processor: int = 120
    memory: int = 2 * 2**30
    processes: int = 16
    characters: int = 32_000


@dataclass(frozen=True)
class EnvironmentCall:
    """A tool call of the model; ``arguments`` is None if they are not a JSON object."""

    name: str
    arguments: dict[str, object] | None


@dataclass(frozen=True)
class Result:
    """What a tool says. ``error``: the model called it wrongly, or it raised an exception."""

    text: str
    error: bool = False


@dataclass(frozen=True)
class Host(Message):
    """The first message to a host: load ``environment``, ``module:name``, of ``project``."""

    environment: str
    project: str
    limits: EnvironmentLimits


@dataclass(frozen=True)
class Ready(Message):
    """A host can begin episodes."""


@dataclass(frozen=True)
class Begin(Message):
    """Begin an episode on a row. ``seed`` is for the standard library's and numpy's random numbers."""

    row: Row
    seed: int


@dataclass(frozen=True)
class EpisodeBegun(Message):
    """An episode has begun, with a first ``observation`` for the model, or none.

    ``tools`` are functions in OpenAI's form; ``done``: it is over before the first answer.
    """

    observation: str | None
    tools: list[dict[str, object]]
    done: bool


@dataclass(frozen=True)
class Step(Message):
    """Make the calls of one answer, in their order."""

    calls: list[EnvironmentCall]


@dataclass(frozen=True)
class Stepped(Message):
    """What the tools said, one result for each call; ``done``: the episode is over."""

    results: list[Result]
    done: bool


@dataclass(frozen=True)
class Finish(Message):
    """The episode is over; ``answer`` is the model's last one, empty if it was cut."""

    answer: str


@dataclass(frozen=True)
class Finished(Message):
    """The environment's reward; None if it has none."""

    reward: float | None


@dataclass(frozen=True)
class EpisodeFault(Message):
    """The episode cannot continue; ``reason`` is for the user."""

    reason: str = field(default="")
