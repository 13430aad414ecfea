"""Messages between the backend and a training worker, on this machine or elsewhere.

A worker gets a `JobRequest`, then the model (``models.catalog.Model``), then perhaps `Cancel` or `Pause`. It
sends `TrainingEvent`, `ProgressReport` and `ResumePoint`, and finally `Ended`. A worker that exits without
`Ended` has crashed, and the job resumes from its last saved state.

Workers of some executions continue without the backend. They put their messages into `Marked`. The backend
stores the mark with the message, confirms that by `Stored`, and passes it to the next worker, which continues
after that message. `Detach` ends only the backend's part. A worker that attaches to such a job begins with
`Attached`; any other sends `ModelWanted` and then receives the model.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, TypedDict

from arkor_dev.contract.events import (
    STATUSES,
    CheckpointRemoved,
    CheckpointSaved,
    EvaluationCompleted,
    RolloutsCreated,
    SampleCreated,
    SystemMetrics,
    TrainingCancelled,
    TrainingCompleted,
    TrainingFailed,
    TrainingLog,
    TrainingMessage,
    TrainingPaused,
    TrainingPhase,
    TrainingResumed,
    TrainingStarted,
)
from arkor_dev.contract.placement import Cluster
from arkor_dev.contract.shapes import Evaluation, JobConfig
from arkor_dev.local.workers.codec import Bounds, Codec, Message, Others, Trusted
from arkor_dev.local.workers.messages import ProgressReport

WorkerEvent = (
    TrainingStarted
    | TrainingPhase
    | Annotated[TrainingLog, Others(float | None)]
    | TrainingMessage
    | TrainingResumed
    | EvaluationCompleted
    | CheckpointSaved
    | CheckpointRemoved
    | RolloutsCreated
    | SampleCreated
    | SystemMetrics
)
"""Events that a worker may send; a method adds its own figures to the log. Only the backend may report that a
job or a stream has ended."""

STEPS = Bounds(0, (1 << 62) - 1)
PORTS = Bounds(1, (1 << 16) - 1)


@dataclass(frozen=True)
class GroupMember:
    """Worker ``rank`` (from 0) of a job's ``count`` workers, on the machine ``host``, empty for this one.

    Ranks above 0 have the ``address`` of rank 0 and its ``port``, or its Unix socket. On a cluster a
    ``token`` admits a worker.
    """

    rank: int
    count: int
    host: str = ""
    token: str = field(default="", repr=False)
    address: str = ""
    port: int = 0


@dataclass(frozen=True)
class SavedModel:
    """What an evaluation measures: the adapter or model in ``folder``.

    ``step`` is its checkpoint's step, or None for the final model; ``data`` is the file to evaluate on, or
    None for the held-out rows. ``general`` also measures the general questions if ``data`` is given;
    ``strengths`` measures several strengths of a final adapter instead.
    """

    folder: str
    step: int | None = None
    data: str | None = None
    strengths: bool = False
    general: bool = False


class ResumeOptions(TypedDict, total=False):
    """How an interrupted job resumes. Without ``why``, a sentence for the user, it starts from the beginning.

    ``kept`` is the newest step from which it can resume with every earlier event stored, ``sampled`` lists
    the steps whose prompts have been answered. ``force`` accepts changed data or a changed model. ``further``
    is the last step before the job was extended, ``restart`` the step after which its schedule restarted.
    ``auto`` marks an automatic resume, ``unasked`` one that waits in a held queue, and with ``stand`` a
    job of a cluster that is still training is paused. ``crashes`` are the
    furthest step at which the worker crashed, and how often. ``mark`` identifies a worker that keeps training
    without the backend.
    """

    why: str
    kept: int
    sampled: list[int]
    force: bool
    further: int
    restart: int
    auto: bool
    unasked: bool
    crashes: list[int]
    mark: str
    stand: bool


@dataclass(frozen=True)
class JobRequest(Message):
    """The first message to a worker. ``data`` and ``project`` are folders on this machine.

    ``resume`` describes how an interrupted job resumes (``checkpoints.continuation``). ``device`` is the name
    of a GPU in ``CUDA_VISIBLE_DEVICES``, or the names of several over which the model is spread; ``devices``
    are those of several GPUs that share each batch. A job that keeps training without the backend has
    ``attaches`` and its ``mark``. With ``evaluate`` nothing is trained. ``streams``: the forecast says that
    the job fits only if the layers of its model are streamed.
    """

    id: str
    config: Annotated[JobConfig, Trusted()]
    data: str
    project: str
    resume: Annotated[ResumeOptions, Trusted()] | None = None
    device: str | None = None
    devices: list[str] | None = None
    attaches: bool = False
    mark: str | None = None
    group: GroupMember | None = None
    evaluate: SavedModel | None = None
    streams: bool = False


@dataclass(frozen=True)
class Cancel(Message):
    """Cancel the job."""


@dataclass(frozen=True)
class Pause(Message):
    """Pause after the current step; ``reason`` as in ``training.paused``."""

    reason: str


@dataclass(frozen=True)
class Stored(Message):
    """All messages up to ``mark`` are stored."""

    mark: str


@dataclass(frozen=True)
class Detach(Message):
    """Leave the job training without the backend."""


@dataclass(frozen=True)
class Leave(Message):
    """Remove the job from the cluster; ``hold`` its actor briefly for the next job."""

    hold: bool


@dataclass(frozen=True)
class TrainingEvent(Message):
    """An event of the job's stream."""

    event: WorkerEvent


@dataclass(frozen=True)
class ResumePoint(Message):
    """A step from which the job can resume; its files are already in the backend's data folder."""

    step: Annotated[int, STEPS]


@dataclass(frozen=True)
class Ended(Message):
    """The final message: the job's last event, or its pause."""

    event: TrainingCompleted | TrainingFailed | TrainingCancelled | TrainingPaused

    @property
    def status(self) -> str:
        """The job's status from now on."""
        return STATUSES[self.event["type"]]


@dataclass(frozen=True)
class PausedAtResumePoint(Message):
    """The job is paused, and no worker has said at which step; fields as in ``training.paused``."""

    reason: str
    message: str = ""


@dataclass(frozen=True)
class Evaluated(Message):
    """How an adapter compares with its base: the final message if nothing was trained."""

    evaluation: Evaluation


@dataclass(frozen=True)
class Meeting(Message):
    """Where the job's workers meet: a port of rank 0's machine, or a Unix socket. From rank 0."""

    address: str | Annotated[int, PORTS]


@dataclass(frozen=True)
class Lost(Message):
    """The worker has crashed, or its node is gone; ``reason`` is a sentence."""

    reason: str


@dataclass(frozen=True)
class Waits(Message):
    """The job must wait: no resources are free, or its cluster does not respond. ``reason`` is a sentence."""

    reason: str


@dataclass(frozen=True)
class Attached(Message):
    """The job was already training, and its messages follow."""


@dataclass(frozen=True)
class ModelWanted(Message):
    """The job must start anew, and needs its model."""


@dataclass(frozen=True)
class Marked(Message):
    """A message of a worker that continues without the backend."""

    mark: str
    message: TrainingEvent | ProgressReport | ResumePoint


@dataclass(frozen=True)
class Seeking(Message):
    """Whether this driver waits for free resources. From a driver."""

    seeks: bool


@dataclass(frozen=True)
class Free(Message):
    """This driver can take another job."""


@dataclass(frozen=True)
class DescribeCluster(Message):
    """Describe the cluster at ``address``; ``cache`` is a folder for the code that it needs."""

    address: str
    insecure: bool
    cache: str


@dataclass(frozen=True)
class ClusterDescribed(Message):
    """The contract's ``Cluster``; an unusable one has a ``problem``."""

    cluster: Annotated[Cluster, Trusted()]


@dataclass(frozen=True)
class FindCapacity(Message):
    """Find out whether a job with ``config`` could start now."""

    config: Annotated[JobConfig, Trusted()]


@dataclass(frozen=True)
class CapacityFound(Message):
    """Whether it could."""

    room: bool


@dataclass(frozen=True)
class RemoveJobs(Message):
    """Remove jobs from a cluster: ``actors`` are the actors' names by the names of their jobs."""

    address: str
    insecure: bool
    actors: dict[str, str]


@dataclass(frozen=True)
class JobsRemoved(Message):
    """The names of the jobs that are completely removed; the backend tries the others again later."""

    gone: list[str]


ClusterTask = DescribeCluster | FindCapacity | RemoveJobs
Command = Cancel | Pause
Report = TrainingEvent | ProgressReport | ResumePoint | Ended
"""What a training worker sends."""
WorkerMessage = Report | Marked | Lost | Waits | PausedAtResumePoint | Attached | ModelWanted | Seeking
"""What the backend reads."""

COMMANDS = Codec[Command](Cancel, Pause)
REPORTS = Codec[Report | Meeting](TrainingEvent, ProgressReport, ResumePoint, Ended, Meeting)
FROM_DRIVER = Codec[WorkerMessage | Free](
    TrainingEvent,
    ProgressReport,
    ResumePoint,
    Ended,
    Marked,
    Lost,
    Waits,
    PausedAtResumePoint,
    Attached,
    ModelWanted,
    Seeking,
    Free,
)
