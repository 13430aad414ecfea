"""The content of a notice: docs/notices.md."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

Figure = Literal["loss", "evalLoss", "bestEvalLoss", "steps", "seconds"]


class NoticeJob(TypedDict):
    """The job, or the sweep in its place, with the figures of its end."""

    id: str
    name: str
    status: str
    step: NotRequired[int]
    loss: NotRequired[float]
    evalLoss: NotRequired[float]
    bestEvalLoss: NotRequired[float]
    steps: NotRequired[float]
    seconds: NotRequired[float]


class NoticeVerdict(TypedDict):
    """How the adapter compares with its base, or the best trial of a sweep with its start."""

    verdict: str
    sentence: str


class NoticeFacts(TypedDict):
    """What the webhook and the command get: plain texts and figures, nothing of the job's config."""

    event: str
    message: str
    timestamp: str
    project: str
    job: NoticeJob
    verdict: NotRequired[NoticeVerdict]
