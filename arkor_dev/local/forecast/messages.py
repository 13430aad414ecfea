"""Messages to and from the process that measures a job's settings."""

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
