"""Every event by name, one class each: its fields, their units, and who sends it.

A job's stream is a series of frames, ``event:`` the name and ``data:`` the class as JSON, whose ``type`` says
the name again. Senders and readers use the names below. An event that is not here passes through untouched
and is shown in the log, and so does a field: a backend may send more than is known today.

Losses are means of the cross entropy a token (natural logarithm), times ISO 8601 in UTC, steps count from 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NotRequired, TypedDict

if TYPE_CHECKING:
    from .shapes import Artifact

TRAINING_STARTED: Final = "training.started"
TRAINING_LOG: Final = "training.log"
TRAINING_MESSAGE: Final = "training.message"
TRAINING_COMPLETED: Final = "training.completed"
TRAINING_FAILED: Final = "training.failed"
TRAINING_CANCELLED: Final = "training.cancelled"
CHECKPOINT_SAVED: Final = "checkpoint.saved"
CHECKPOINT_REMOVED: Final = "checkpoint.removed"
MODEL_PROGRESS: Final = "model.progress"
PING: Final = "ping"
END: Final = "end"

STREAM_CONNECTED: Final = "connected"
"""A comment in Studio's stream to the page: the backend is there."""
STREAM_RECONNECTING: Final = "reconnecting"
"""A comment in Studio's stream to the page: the backend is away and is being called again."""

CHAT_PROGRESS: Final = "progress"
CHAT_ERROR: Final = "error"
CHAT_DONE: Final = "[DONE]"
"""The data of an answer's last frame, which has no name."""

ENDINGS: Final = {"completed": TRAINING_COMPLETED, "failed": TRAINING_FAILED, "cancelled": TRAINING_CANCELLED}
"""The last event of a job by its final status."""


class AnyEvent(TypedDict):
    """What every event of a job has."""

    jobId: str
    timestamp: str


class RunMetadata(TypedDict):
    """What a backend says of a run when it begins; the local one says all of it.

    ``settings`` is the whole effective config, defaults included, by field of the wire.
    """

    totalSteps: NotRequired[int]
    epochs: NotRequired[float]
    device: NotRequired[str]
    dtype: NotRequired[str]
    dtypeReason: NotRequired[str]
    trainRows: NotRequired[int]
    evalRows: NotRequired[int]
    trainableParameters: NotRequired[int]
    model: NotRequired[str]
    modelNote: NotRequired[str]
    settings: NotRequired[dict[str, object]]


class RunMetrics(TypedDict):
    """What a run came to, in all; null where nothing was measured.

    ``peakBytes`` is the most resident memory of the training process since its model was loaded.
    """

    loss: NotRequired[float | None]
    evalLoss: NotRequired[float | None]
    bestEvalLoss: NotRequired[float | None]
    steps: NotRequired[int]
    seconds: NotRequired[float]
    peakBytes: NotRequired[int]


class TrainingStarted(AnyEvent):
    """The first step is about to be made; sent again when a run is resumed. From the trainer."""

    type: Literal["training.started"]
    metadata: NotRequired[RunMetadata]


class TrainingLog(AnyEvent):
    """One row of figures, of training or (then without ``loss``) of an evaluation. From the trainer.

    ``loss`` is the mean since the last row. Samples and tokens, padding left out, are counted a second of
    training. Each figure may be null, or out of a number's range (``1e309``), which is no point.
    """

    type: Literal["training.log"]
    step: int
    loss: NotRequired[float | None]
    evalLoss: NotRequired[float | None]
    learningRate: NotRequired[float | None]
    epoch: NotRequired[float | None]
    samplesPerSecond: NotRequired[float | None]
    tokensPerSecond: NotRequired[float | None]


class TrainingMessage(AnyEvent):
    """A sentence for the log. From the local backend's trainer."""

    type: Literal["training.message"]
    message: str


class CheckpointSaved(AnyEvent):
    """The adapter as it is after ``step`` has been written and can be talked to. From the trainer."""

    type: Literal["checkpoint.saved"]
    step: int
    artifacts: NotRequired[list[Artifact]]


class CheckpointRemoved(AnyEvent):
    """The checkpoint of ``step`` is gone, as ``saveTotalLimit`` says. From the local backend's trainer."""

    type: Literal["checkpoint.removed"]
    step: int


class ModelProgress(AnyEvent):
    """How far a preparation has come, in ``unit``; ``total`` is null while unknown. From the local backend.

    ``unit`` is ``B`` for bytes, ``s`` for seconds, or a word such as ``rows``. Each ``label`` stands for one
    piece of work, and its newest event replaces the ones before.
    """

    type: Literal["model.progress"]
    label: str
    done: float
    total: float | None
    unit: str


class TrainingCompleted(AnyEvent):
    """The job has ended well. From the backend, and nothing but ``end`` follows."""

    type: Literal["training.completed"]
    metrics: NotRequired[RunMetrics]
    artifacts: NotRequired[list[Artifact]]


class TrainingFailed(AnyEvent):
    """The job has ended without its result; ``error`` is the reason for a person. From the backend.

    ``outOfMemory`` is there, and true, where memory was the reason, or most likely was.
    """

    type: Literal["training.failed"]
    error: str
    step: NotRequired[int]
    outOfMemory: NotRequired[bool]


class TrainingCancelled(AnyEvent):
    """Somebody has cancelled the job; ``step`` is the last that was reported. From the local backend."""

    type: Literal["training.cancelled"]
    step: NotRequired[int]


class Ping(AnyEvent):
    """Keep-alive without an id, no progress. From the backend's stream, and it goes no further."""

    type: Literal["ping"]


class End(AnyEvent):
    """The stream is over: close, and do not reconnect. From the backend's stream, without an id."""

    type: Literal["end"]


class ChatProgress(TypedDict):
    """In a chat's stream: how far loading the model has come (``ModelProgress``). From the local backend."""

    label: str
    done: float
    total: float | None
    unit: NotRequired[str]


class ChatError(TypedDict):
    """In a chat's stream: why the answer ends here. From the local backend, or from Studio at a cut."""

    error: str
