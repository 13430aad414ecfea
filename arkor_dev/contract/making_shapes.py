"""Shapes of making rows with a teacher (docs/contract.md#making-rows)."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

MakingState = Literal["reading", "running", "pausing", "done", "paused", "budget", "failed"]


class MakingOptions(TypedDict):
    """The options of a making run; ``keyEnv`` names the environment variable of the key, never its value.

    ``paths`` are documents or folders, or else ``rows`` are numbers of rows (none for all) of the file
    ``of``, or of the data of ``trainer``. ``teacher`` is an address, or ``base``. ``price`` is per million
    tokens of input and of output.
    """

    kind: str
    teacher: str
    model: str
    paths: NotRequired[list[str]]
    of: NotRequired[str]
    trainer: NotRequired[str]
    rows: NotRequired[list[int]]
    name: NotRequired[str | None]
    keyEnv: NotRequired[str | None]
    perPassage: NotRequired[int | None]
    voice: NotRequired[str | None]
    schema: NotRequired[dict[str, object] | None]
    budgetTokens: NotRequired[int | None]
    budgetRequests: NotRequired[int | None]
    budgetMoney: NotRequired[float | None]
    price: NotRequired[list[float] | None]


class MakingEstimate(TypedDict):
    """The estimate of a making run: ``tokens`` is a guess, ``mostTokens`` a bound; ``kept`` answers cost
    nothing.

    ``money`` is the price of ``tokens``. ``leftOut`` lists in sentences what is left out.
    """

    name: str
    documents: int
    passages: int
    requests: int
    kept: int
    tokens: int
    mostTokens: int
    money: float
    leftOut: list[str]


class Making(TypedDict):
    """The current state of a making run.

    ``state``: ``pausing`` waits for the requests under way; ``budget`` was stopped by its budget, ``paused``
    by a person, ``failed`` by the ``error``, and each of these can be resumed. ``passages`` is how many there
    are, ``done`` how many were answered readably, ``kept`` how many of those had been answered before.
    ``dropped`` counts items that are not rows, by the reason: ``quote`` (not in the source), ``duplicate``,
    ``held-out``, ``schema``, ``unreadable``. ``waiting`` says why no request is sent at the moment.
    """

    name: str
    file: str
    state: MakingState
    kind: str
    model: str
    host: str
    passages: int
    done: int
    kept: int
    rows: int
    dropped: dict[str, int]
    requests: int
    inputTokens: int
    outputTokens: int
    money: float
    budgetTokens: int | None
    budgetRequests: int | None
    budgetMoney: float | None
    waiting: str | None
    error: str | None
    leftOut: list[str]


class KnownMaking(TypedDict):
    """A past making run, with the options of its last start."""

    name: str
    file: str
    at: str
    options: MakingOptions


class Makings(TypedDict):
    """``current`` is this launch's current or latest making run; ``model`` is the first trainer's."""

    current: Making | None
    known: list[KnownMaking]
    model: str | None
