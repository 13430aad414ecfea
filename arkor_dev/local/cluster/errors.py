"""Errors that end a job on a cluster, and their messages to the backend."""

from __future__ import annotations

import traceback

from arkor_dev.contract.events import TRAINING_FAILED, TrainingFailed
from arkor_dev.local.execution.messages import Ended, Lost, PausedAtResumePoint, Waits
from arkor_dev.local.workers.errors import JobFailure


class RequeueError(Exception):
    """The job must wait: the cluster has no capacity, or does not respond now. ``str()`` says why."""


class NodeLostError(Exception):
    """The node or cluster does not respond: if ``gone``, for good. ``node`` is its address, if known."""

    node: str | None = None

    def __init__(self, text: str, *, gone: bool = False) -> None:
        super().__init__(text)
        self.gone = gone


class WorkerEndedError(NodeLostError):
    """A worker ended without a final message, or its node is gone. ``str()`` is a full sentence."""


class PausedError(Exception):
    """The job could only continue on the actor where it trained, which is lost. ``str()`` says why."""


class ProtocolError(Exception):
    """A node has sent something that no worker sends. ``str()`` describes it."""


def final_message(error: Exception) -> Ended | Lost | Waits | PausedAtResumePoint:
    """Return the final message of a job that ``error`` ended; unexpected errors are logged, too."""
    if isinstance(error, RequeueError):
        return Waits(str(error))
    if isinstance(error, PausedError):
        return PausedAtResumePoint("ended", str(error))
    if isinstance(error, NodeLostError):
        return Lost(str(error))
    text = str(error)
    if not isinstance(error, JobFailure):
        traceback.print_exception(error)
        text = f"{type(error).__name__}: {error}"
    if isinstance(error, ProtocolError):
        text = f"The cluster's node sent {error}: do not use it"
    return Ended(TrainingFailed(type=TRAINING_FAILED, error=text))
