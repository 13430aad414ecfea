"""Messages to and from the processes that measure a job's settings, and fill the cache for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from arkor_dev.local.execution.messages import JobRequest
from arkor_dev.local.workers.codec import Message


@dataclass(frozen=True)
class MeasurementRequest(Message):
    """Measure steps of ``job`` for ``seconds`` from ``requested_at``, a time of this machine's clock.

    ``scratch`` is a folder for its files, ``free`` the available bytes of memory, if known. The model
    follows.
    """

    job: JobRequest
    scratch: str
    requested_at: float
    seconds: float
    free: int | None


@dataclass(frozen=True)
class Measured(Message):
    """The cost of the job, as ``Measurement.as_json``."""

    measurement: dict[str, Any]


@dataclass(frozen=True)
class WarmCache(Message):
    """Compute what ``job`` needs of its base model, whose place follows unless the job was just measured."""

    job: JobRequest


@dataclass(frozen=True)
class Warmed(Message):
    """Whether nothing is missing."""

    complete: bool
