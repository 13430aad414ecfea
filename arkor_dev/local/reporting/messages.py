"""Messages to and from the process that reports one job to one program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypedDict

from arkor_dev.contract.events import SystemMetrics, TrainingLog, TrainingResumed, TrainingStarted
from arkor_dev.local.workers.codec import Codec, Message, Others

ReportedEvent = TrainingStarted | Annotated[TrainingLog, Others(object)] | TrainingResumed | SystemMetrics


class NamedJob(TypedDict):
    """A job's id and name."""

    id: str
    name: str


class ReportedFields(NamedJob):
    """The fields of a ``ReportedJob``."""

    project: str


class JobToReport(TypedDict):
    """A job and where to report it from; see `BeginReport`."""

    job: ReportedFields
    folder: str
    state: str


@dataclass(frozen=True)
class BeginReport(Message):
    """Report ``job`` to the program ``to``, from the project's ``folder``.

    The file ``state`` records the last reported step.
    """

    to: str
    job: ReportedFields
    folder: str
    state: str


@dataclass(frozen=True)
class ReportEvents(Message):
    """Report these events."""

    events: list[ReportedEvent]


@dataclass(frozen=True)
class EndReport(Message):
    """The job has this status: finish."""

    status: str


@dataclass(frozen=True)
class Accepted(Message):
    """The last message is done; ``location`` says where the run is, once that is known."""

    location: str | None = None


@dataclass(frozen=True)
class ReportFault(Message):
    """Nothing more can be reported, for this reason."""

    reason: str


ORDERS = Codec[ReportEvents | EndReport](ReportEvents, EndReport)
ANSWERS = Codec[Accepted | ReportFault](Accepted, ReportFault)
