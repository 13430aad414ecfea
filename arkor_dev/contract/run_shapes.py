"""The shapes of the features ``pause``, ``resume``, ``extend`` and ``evaluation``."""

from __future__ import annotations

from typing import Final, Literal, NotRequired, TypedDict

NON_FINITE: Final = "non-finite"
DIVERGING: Final = "diverging"
"""What a ``training.message`` may be about, as its ``code``."""


class JobPause(TypedDict):
    """Where a paused job stands, and why; ``reason`` as in ``training.paused``."""

    step: int
    reason: str
    message: NotRequired[str]


class JobParent(TypedDict):
    """The checkpoint that a job began from: after ``step`` of another job, which may be deleted by now."""

    jobId: str
    step: int
    name: NotRequired[str]


class ResumeRequest(TypedDict):
    """``POST /v1/jobs/:id/resume``; with ``force`` also where its data or model has changed since."""

    force: NotRequired[bool]


class ExtendRequest(TypedDict):
    """``POST /v1/jobs/:id/extend``: the new end, counted from the job's first step; one of the two.

    ``schedule`` is ``continue`` (the learning rate as if the job had been so long from the start; the
    default) or ``restart`` (warmed up again and down to the new end).
    """

    maxSteps: NotRequired[int]
    numTrainEpochs: NotRequired[float]
    schedule: NotRequired[Literal["continue", "restart"]]
    force: NotRequired[bool]


class EvaluationDifference(TypedDict):
    """Base less adapter in mean loss a token, with its 95 % interval: above zero the adapter is better."""

    mean: float
    low: float
    high: float


class EvaluationPart(TypedDict):
    """Base and adapter on one set of ``rows``. ``verdict`` as in :class:`Evaluation`."""

    name: str
    rows: int
    base: float
    adapter: float
    difference: EvaluationDifference
    verdict: str
    sentence: str
    rowsToSettle: NotRequired[int]


class Evaluation(TypedDict):
    """``evaluation.completed``, and ``evaluation`` of a job: how an adapter compares with its base.

    ``verdict`` is ``better``, ``same`` (no difference that so few rows can show), ``worse`` or ``unknown``
    (too few rows to say anything); ``sentence`` has its figures. ``heldOut`` is on the held-out rows,
    ``general`` on questions that have nothing to do with the data. ``step`` is the checkpoint's, and left out
    for the final one.
    """

    verdict: str
    sentence: str
    heldOut: NotRequired[EvaluationPart]
    general: NotRequired[EvaluationPart]
    bestStep: NotRequired[int]
    bestSentence: NotRequired[str]
    step: NotRequired[int]
    seconds: NotRequired[float]
