"""All events by name, one class each: fields, units and sender.

A job's stream is a series of frames: ``event:`` is the name and ``data:`` the class as JSON, whose ``type``
repeats the name. Senders and readers use the names below. Unknown events pass through unchanged and appear in
the log, and so do unknown fields: a backend may send more than this version knows.

Losses are mean cross entropies per token (natural logarithm), times are ISO 8601 in UTC, steps count from 1.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, NotRequired, TypedDict, cast

from .shapes import Artifact, ChatMessage, Evaluation  # noqa: TC001 - messages are decoded by these

if TYPE_CHECKING:
    from collections.abc import Mapping

TRAINING_STARTED: Final = "training.started"
TRAINING_PHASE: Final = "training.phase"
TRAINING_LOG: Final = "training.log"
TRAINING_MESSAGE: Final = "training.message"
TRAINING_PAUSED: Final = "training.paused"
TRAINING_RESUMED: Final = "training.resumed"
TRAINING_COMPLETED: Final = "training.completed"
TRAINING_FAILED: Final = "training.failed"
TRAINING_CANCELLED: Final = "training.cancelled"
CHECKPOINT_SAVED: Final = "checkpoint.saved"
CHECKPOINT_REMOVED: Final = "checkpoint.removed"
MODEL_PROGRESS: Final = "model.progress"
EVALUATION_COMPLETED: Final = "evaluation.completed"
SAMPLE_CREATED: Final = "sample.created"
ROLLOUTS_CREATED: Final = "rollouts.created"
SYSTEM_METRICS: Final = "system.metrics"
PING: Final = "ping"
END: Final = "end"

STREAM_CONNECTED: Final = "connected"
"""Comment in Studio's stream to the page: the backend is connected."""
STREAM_RECONNECTING: Final = "reconnecting"
"""Comment in Studio's stream to the page: the backend is unreachable and is being retried."""

CHAT_PROGRESS: Final = "progress"
CHAT_ERROR: Final = "error"
CHAT_DONE: Final = "[DONE]"
"""Data of the last frame of an answer, which has no event name."""

ENDINGS: Final = {"completed": TRAINING_COMPLETED, "failed": TRAINING_FAILED, "cancelled": TRAINING_CANCELLED}
"""The last event of a job, by final status."""
STATUSES: Final = {event: status for status, event in ENDINGS.items()} | {TRAINING_PAUSED: "paused"}
"""The status of a job after its last event, or after a pause."""
MANAGED_METRICS: Final = {"finalLoss": "loss", "totalSteps": "steps", "totalTime": "seconds"}
"""The managed backend's names in `RunMetrics`."""


FIGURE_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")
MOST_FIGURES: Final = 20
"""Maximum number of figures that a method may report: more than a person can read."""


class AnyEvent(TypedDict):
    """Fields of every job event; the local backend adds them when it stores one."""

    jobId: NotRequired[str]
    timestamp: NotRequired[str]


class RunMetadata(TypedDict):
    """Facts about a run that the backend reports at its start; the local backend reports all.

    ``settings`` is the complete effective config, defaults included, by wire field. ``measure`` names the
    training method's loss, if that is not the usual cross entropy; one of ``figures`` is what the method is
    judged by instead. The rest also determines the result's bits: ``dataHash``, ``modelHash`` and, for a
    method that needs a second model, ``secondModelHash`` (SHA-256, hexadecimal), ``versions`` of libraries by
    name, the number of ``threads``, and the ``processor``'s name.
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
    figures: NotRequired[list[Figure]]
    measure: NotRequired[Figure]
    dataHash: NotRequired[str]
    modelHash: NotRequired[str]
    secondModelHash: NotRequired[str]
    versions: NotRequired[dict[str, str]]
    threads: NotRequired[int]
    processor: NotRequired[str]


class RunMetrics(TypedDict):
    """Totals of a run; null for what was not measured.

    ``peakBytes`` is the peak resident memory of the training process after loading its model,
    ``gpuPeakBytes`` what it allocated at most on each of its GPUs. ``secondsIn`` divides the time into
    ``data``, ``forward``, ``backward``, ``optimizer``, ``eval``, ``save`` and ``other``. The managed backend
    sends ``finalLoss``, ``totalSteps`` and ``totalTime`` for ``loss``, ``steps`` and ``seconds``.
    """

    loss: NotRequired[float | None]
    evalLoss: NotRequired[float | None]
    bestEvalLoss: NotRequired[float | None]
    steps: NotRequired[int]
    seconds: NotRequired[float]
    secondsIn: NotRequired[dict[str, float]]
    peakBytes: NotRequired[int]
    gpuPeakBytes: NotRequired[list[int]]


class Figure(TypedDict):
    """A figure that the training method adds to ``training.log``.

    ``name`` is its field there; held-out figures begin with ``eval`` (``rewardMargin``,
    ``evalRewardMargin``). ``label`` is for display; ``unit`` follows the values.
    """

    name: str
    label: str
    unit: str


def figure_fields(metadata: object) -> dict[str, str]:
    """Return the fields of a training method's own figures in ``training.log``, with a tag for each.

    ``{"rewardMargin": "train/rewardMargin", "evalRewardMargin": "eval/rewardMargin"}``. ``metadata`` comes
    from ``training.started``; invalid field names are left out.
    """
    listed = metadata.get("figures") if isinstance(metadata, dict) else None
    names: dict[str, str] = {}
    for figure in listed[:MOST_FIGURES] if isinstance(listed, list) else []:
        name = figure.get("name") if isinstance(figure, dict) else None
        if isinstance(name, str) and FIGURE_NAME.fullmatch(name):
            names[name] = f"train/{name}"
            names[f"eval{name[0].upper()}{name[1:]}"] = f"eval/{name}"
    return names


class TrainingStarted(AnyEvent):
    """The first step follows; sent again after a resume. From the trainer."""

    type: Literal["training.started"]
    metadata: NotRequired[RunMetadata]


class TrainingPhase(AnyEvent):
    """The job enters a phase: docs/contract.md#phases-and-time-left. From the local backend.

    ``phase`` is ``fetching`` (a model that is not on the machine yet), ``loading`` (data and model),
    ``sampling`` (answers to prompts), ``training``, ``evaluating`` (held-out rows, or the final comparison
    with the base) or ``saving``. ``secondsLeft`` is the estimated time to the end of the job. A phase may be
    sent again with a newer estimate.
    """

    type: Literal["training.phase"]
    phase: str
    secondsLeft: NotRequired[float]


class TrainingLog(AnyEvent):
    """Figures of training, or, without ``loss``, of an evaluation. From the trainer.

    ``loss`` is the mean since the previous row. Samples and tokens, without padding, are per second of
    training time. Figures may be null or not finite (``1e309``); such values are not plotted. The training
    method's own figures are included; ``training.started`` lists them. ``secondsLeft`` as in
    ``training.phase``: it includes everything after the last step.
    """

    type: Literal["training.log"]
    step: int
    loss: NotRequired[float | None]
    evalLoss: NotRequired[float | None]
    learningRate: NotRequired[float | None]
    epoch: NotRequired[float | None]
    samplesPerSecond: NotRequired[float | None]
    tokensPerSecond: NotRequired[float | None]
    secondsLeft: NotRequired[float]


class TrainingMessage(AnyEvent):
    """A sentence for the log. From the local backend's trainer.

    ``code`` identifies the subject for programs: ``non-finite`` (non-finite loss; the run was rolled back) or
    ``diverging`` (the loss rises); ``step`` says when.
    """

    type: Literal["training.message"]
    message: str
    code: NotRequired[str]
    step: NotRequired[int]


class TrainingPaused(AnyEvent):
    """The job is paused after ``step`` and has released its memory; ``message`` explains why.

    ``reason`` is ``asked`` (a person paused it), ``ended`` (the backend ended), ``killed`` (its process was
    killed three times at one step), ``disk`` (too little space to save), ``weights`` (a file of the model
    changed or became unreadable), ``judge`` (a rubric's judge gives no scores), ``environment`` (every
    episode of a step failed), ``battery`` or ``adjusting`` (it continues at once with changed settings).
    From the local backend.
    """

    type: Literal["training.paused"]
    step: int
    reason: str
    message: NotRequired[str]
    needs: NotRequired[int]


class TrainingResumed(AnyEvent):
    """The job resumes after ``step``; what earlier events said about later steps or an end is void.

    ``message`` explains why, and what may differ from an uninterrupted run. From the local backend.
    """

    type: Literal["training.resumed"]
    step: int
    message: NotRequired[str]


class SystemMetrics(AnyEvent):
    """Machine metrics during training, every two seconds. From the local backend.

    ``cpu`` is the utilisation of the whole machine, ``processCpu`` that of the training process, both from 0
    to 1; ``memory`` is its resident bytes, ``memoryFree`` the available bytes; ``disk`` is read and written
    bytes per second. A GPU adds ``gpu`` (0 to 1), ``gpuMemory`` in bytes, ``gpuWatts`` and ``gpuCelsius``.
    Fields that the system does not report are left out.
    """

    type: Literal["system.metrics"]
    step: NotRequired[int]
    cpu: NotRequired[float]
    processCpu: NotRequired[float]
    memory: NotRequired[int]
    memoryFree: NotRequired[int]
    disk: NotRequired[float]
    gpu: NotRequired[float]
    gpuMemory: NotRequired[int]
    gpuWatts: NotRequired[float]
    gpuCelsius: NotRequired[float]


class EvaluationCompleted(AnyEvent):
    """An adapter was measured against its base: docs/contract.md#evaluation. From the local backend.

    It comes again once both have answered general questions; the last one counts.
    """

    type: Literal["evaluation.completed"]
    evaluation: Evaluation


class SampleCreated(AnyEvent):
    """A fixed prompt of the job, answered greedily after ``step``. From the trainer.

    See docs/contract.md#samples. Step 0 is the base model. ``number`` is the prompt's number from 1, and
    ``prompt`` its last user message. ``messages`` is included if the model saw more than that, and empty if
    it is too long. For a held-out row, its number (as in ``EvaluationRow``) and its ``wanted`` answer are
    included. ``truncated`` is true if the answer reached its length limit. Long texts are truncated.
    """

    type: Literal["sample.created"]
    step: int
    number: int
    prompt: str
    answer: str
    messages: NotRequired[list[ChatMessage]]
    row: NotRequired[int]
    wanted: NotRequired[str]
    truncated: NotRequired[bool]


class RolloutCall(TypedDict):
    """A tool call, its ``arguments`` as JSON text, and what the tool said; ``error``: it was called wrongly.

    The texts are shortened to their beginnings.
    """

    name: str
    arguments: str
    result: str
    error: NotRequired[bool]


class RolloutTurn(TypedDict):
    """An answer in an episode without its calls, shortened to its beginning, and its ``calls``."""

    answer: str
    calls: list[RolloutCall]


class Rollout(TypedDict):
    """An answer that the model sampled during training by rewards, shortened to its beginning.

    ``where`` is the row's location, ``prompt`` its last user message. ``rewards`` has the scores by name,
    ``reward`` their weighted sum. ``truncated`` is true if the answer reached its length limit.

    An episode of an environment has ``turns``, of which the last ``omitted`` are left out if they are long,
    and ``answer`` is the last one. ``failure`` says why the environment failed: there is no reward then.
    """

    where: str
    prompt: str
    answer: str
    reward: float
    rewards: dict[str, float]
    truncated: NotRequired[bool]
    turns: NotRequired[list[RolloutTurn]]
    omitted: NotRequired[int]
    failure: NotRequired[str]


class RolloutsCreated(AnyEvent):
    """Some of the answers that ``step`` learned from, from the lowest to the highest reward.

    Failed episodes, from which nothing is learned, come first. For the first step and every logged one.
    From the local backend's trainer.
    """

    type: Literal["rollouts.created"]
    step: int
    rollouts: list[Rollout]


class CheckpointSaved(AnyEvent):
    """The adapter after ``step`` has been written and can answer. From the trainer."""

    type: Literal["checkpoint.saved"]
    step: int
    artifacts: NotRequired[list[Artifact]]


class CheckpointRemoved(AnyEvent):
    """The checkpoint of ``step`` was deleted because of ``saveTotalLimit``. From the local trainer."""

    type: Literal["checkpoint.removed"]
    step: int


class ModelProgress(AnyEvent):
    """Progress of a preparation, in ``unit``; ``total`` is null while unknown. From the local backend.

    ``unit`` is ``B`` for bytes, ``s`` for seconds, or a word such as ``rows``. Each ``label`` is one piece of
    work, whose newest event replaces earlier ones.
    """

    type: Literal["model.progress"]
    label: str
    done: float
    total: float | None
    unit: str


class TrainingCompleted(AnyEvent):
    """The job completed. From the backend; only ``end`` follows."""

    type: Literal["training.completed"]
    metrics: NotRequired[RunMetrics]
    artifacts: NotRequired[list[Artifact]]


class TrainingFailed(AnyEvent):
    """The job ended without a result; ``error`` explains why. From the backend.

    ``outOfMemory`` is true if memory ran out, or most likely did; ``nonFinite`` if a loss or a weight was not
    finite. The error ``Job cancelled`` is the managed backend's way to say that a person cancelled the job.
    """

    type: Literal["training.failed"]
    error: str
    step: NotRequired[int]
    outOfMemory: NotRequired[bool]
    nonFinite: NotRequired[bool]


class TrainingCancelled(AnyEvent):
    """A person cancelled the job; ``step`` is the last one reported. From the local backend.

    The managed backend sends ``training.failed`` instead.
    """

    type: Literal["training.cancelled"]
    step: NotRequired[int]


class Ping(AnyEvent):
    """Keep-alive without an id. From the backend's stream; Studio does not forward it.

    ``trouble`` says why the backend can store nothing now, so that no event follows, and what helps.
    """

    type: Literal["ping"]
    trouble: NotRequired[str]


class End(AnyEvent):
    """The stream is over: close it, and do not reconnect. From the backend's stream, without an id."""

    type: Literal["end"]


Event = (
    TrainingStarted
    | TrainingPhase
    | TrainingLog
    | TrainingMessage
    | TrainingPaused
    | TrainingResumed
    | TrainingCompleted
    | TrainingFailed
    | TrainingCancelled
    | CheckpointSaved
    | CheckpointRemoved
    | ModelProgress
    | EvaluationCompleted
    | SampleCreated
    | RolloutsCreated
    | SystemMetrics
)
"""An event that the local backend stores; ``type`` identifies its class."""


LastEvent = TrainingCompleted | TrainingFailed | TrainingCancelled


def log_with(event: TrainingLog, figures: Mapping[str, float | None]) -> TrainingLog:
    """Return ``event`` with the training method's own figures, which the class cannot list."""
    return cast("TrainingLog", {**figures, **event})


class ChatProgress(TypedDict):
    """Progress of loading the model, in a chat's stream (``ModelProgress``). From the local backend."""

    label: str
    done: float
    total: float | None
    unit: NotRequired[str]


class ChatError(TypedDict):
    """Why the answer ends here, in a chat's stream. From the local backend, or from Studio if cut off."""

    error: str
