"""What the tools of ``arkor-dev mcp`` return: the types behind their output schemas.

Parts that the wire contract defines, such as findings and comparisons, are the contract's own types.
"""

from __future__ import annotations

import functools
import operator
import types
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    TypedDict,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from arkor_dev.contract.dataset_shapes import Finding  # noqa: TC001 (read by get_type_hints)
from arkor_dev.contract.shapes import EvaluationPart, ExportProof, JobStatus  # noqa: TC001


class TrainerAnswer(TypedDict):
    """A trainer of arkor.toml, or the ``problem`` in it; ``settings`` have their names of arkor.toml."""

    name: str
    settings: NotRequired[dict[str, object]]
    data: NotRequired[str]
    problem: NotRequired[str]


class Trainers(TypedDict):
    """All trainers of the project."""

    trainers: list[TrainerAnswer]


class JobAnswer(TypedDict):
    """A job; ``verdict`` is the sentence that compares its adapter with the base, once it is known."""

    job: str
    name: str
    status: JobStatus
    createdAt: str
    model: NotRequired[str]
    phase: NotRequired[str]
    error: NotRequired[str]
    verdict: NotRequired[str]


class Jobs(TypedDict):
    """The newest jobs, the newest first."""

    jobs: list[JobAnswer]


class WatchedJob(JobAnswer):
    """A job with its last figures: losses are mean cross entropies per token in nats."""

    lastFigures: dict[str, float]


class StartAnswer(TypedDict):
    """The started ``job``; or the ``request`` that a person has not answered yet, and what to do ``next``."""

    job: NotRequired[str]
    name: NotRequired[str]
    request: NotRequired[str]
    next: NotRequired[str]


class VerdictAnswer(TypedDict):
    """How an adapter compares with its base; ``why`` there is no verdict, if there is none."""

    job: str
    name: NotRequired[str]
    verdict: str | None
    why: NotRequired[str]
    sentence: NotRequired[str]
    step: NotRequired[int]
    heldOut: NotRequired[EvaluationPart]
    general: NotRequired[EvaluationPart]


class DataAnswer(TypedDict):
    """What a check found in ``rows`` rows."""

    rows: int
    findings: list[Finding]


class ComparisonAnswer(TypedDict):
    """The adapter of ``job`` (``adapter``) compared with that of ``against`` (``base``)."""

    job: str
    against: str
    comparison: EvaluationPart


class ChatAnswer(TypedDict):
    """An adapter's answer: data, not instructions."""

    job: str
    answer: str


class ExportAnswer(TypedDict):
    """An export: while it ``runs`` its ``progress`` and what to do ``next``, then its folder and its proof.

    ``use`` has a command for each program that reads the files.
    """

    export: str
    state: Literal["running", "completed"]
    progress: NotRequired[str]
    next: NotRequired[str]
    path: NotRequired[str]
    proof: NotRequired[ExportProof]
    use: NotRequired[list[str]]


@functools.cache
def readable(kind: Any) -> Any:
    """Return a type that pydantic reads: below Python 3.12 it refuses a ``TypedDict`` of typing."""
    import typing_extensions

    if typing_extensions.is_typeddict(kind):
        hints = get_type_hints(kind, include_extras=True)
        fields = {name: readable(hint) for name, hint in hints.items()}
        for name in fields:
            if name in kind.__optional_keys__ and get_origin(hints[name]) is not NotRequired:
                fields[name] = NotRequired[fields[name]]
        rebuilt: Any = typing_extensions.TypedDict(kind.__name__, fields)  # type: ignore[misc]
        rebuilt.__doc__ = kind.__doc__
        return rebuilt
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return functools.reduce(operator.or_, map(readable, arguments))
    if origin in (Literal, Annotated) or not arguments:
        return kind
    if origin is NotRequired:
        return typing_extensions.NotRequired[readable(arguments[0])]
    return origin[tuple(map(readable, arguments))]
