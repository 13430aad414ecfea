"""Every event by name, one class each: its fields, their units, and who sends it.

A job's stream is a series of frames, ``event:`` the name and ``data:`` the class as JSON, whose ``type`` says
the name again. Senders and readers use the names below. An event that is not here passes through untouched
and is shown in the log, and so does a field: a backend may send more than is known today.

Losses are means of the cross entropy a token (natural logarithm), times ISO 8601 in UTC, steps count from 1.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, NotRequired, TypedDict

if TYPE_CHECKING:
    from .shapes import Artifact, ChatMessage, Evaluation

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
SYSTEM_METRICS: Final = "system.metrics"
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


FIGURE_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")
MOST_FIGURES: Final = 20
"""More than a person can read."""


class AnyEvent(TypedDict):
    """What every event of a job has."""

    jobId: str
    timestamp: str


class RunMetadata(TypedDict):
    """What a backend says of a run when it begins; the local one says all of it.

    ``settings`` is the whole effective config, defaults included, by field of the wire. What the result's
    bits depend on besides: ``dataHash`` and ``modelHash`` (SHA-256, in hexadecimal), ``versions`` of the
    libraries by their names, ``threads`` of the processor, and what ``processor`` that is.
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
    dataHash: NotRequired[str]
    modelHash: NotRequired[str]
    versions: NotRequired[dict[str, str]]
    threads: NotRequired[int]
    processor: NotRequired[str]


class RunMetrics(TypedDict):
    """What a run came to, in all; null where nothing was measured.

    ``peakBytes`` is the most resident memory of the training process since its model was loaded.
    ``secondsIn`` says where the time went: ``data``, ``forward``, ``backward``, ``optimizer``, ``eval``,
    ``save``, ``other``.
    """

    loss: NotRequired[float | None]
    evalLoss: NotRequired[float | None]
    bestEvalLoss: NotRequired[float | None]
    steps: NotRequired[int]
    seconds: NotRequired[float]
    secondsIn: NotRequired[dict[str, float]]
    peakBytes: NotRequired[int]


class Figure(TypedDict):
    """A number of the training method's own in ``training.log``.

    ``name`` is its field there; that of the held-out rows begins with ``eval`` (``rewardMargin``,
    ``evalRewardMargin``). ``label`` is for a person, ``unit`` follows the values.
    """

    name: str
    label: str
    unit: str


def figure_fields(metadata: object) -> dict[str, str]:
    """Return the fields of a training method's own figures in ``training.log``, and a tag for each.

    ``{"rewardMargin": "train/rewardMargin", "evalRewardMargin": "eval/rewardMargin"}``. ``metadata`` is that
    of ``training.started``; names that could not be a field are left out.
    """
    listed = metadata.get("figures") if isinstance(metadata, dict) else None
    found: dict[str, str] = {}
    for figure in listed[:MOST_FIGURES] if isinstance(listed, list) else []:
        name = figure.get("name") if isinstance(figure, dict) else None
        if isinstance(name, str) and FIGURE_NAME.fullmatch(name):
            found[name] = f"train/{name}"
            found[f"eval{name[0].upper()}{name[1:]}"] = f"eval/{name}"
    return found


class TrainingStarted(AnyEvent):
    """The first step is about to be made; sent again when a run is resumed. From the trainer."""

    type: Literal["training.started"]
    metadata: NotRequired[RunMetadata]


class TrainingPhase(AnyEvent):
    """The job enters a phase: docs/contract.md#phases-and-time-left. From the local backend's trainer.

    ``phase`` is ``loading`` (data and model), ``sampling`` (answers to the sample prompts), ``training``,
    ``evaluating`` (the held-out rows, or the final comparison with the base) or ``saving``. ``secondsLeft``
    is the estimated time from this event to the end of the job. The same phase may be sent again with a
    newer estimate.
    """

    type: Literal["training.phase"]
    phase: str
    secondsLeft: NotRequired[float]


class TrainingLog(AnyEvent):
    """One row of figures, of training or (then without ``loss``) of an evaluation. From the trainer.

    ``loss`` is the mean since the last row. Samples and tokens, padding left out, are counted a second of
    training. Each figure may be null, or out of a number's range (``1e309``), which is no point. The figures
    of the run's training method stand here too; ``training.started`` names them. ``secondsLeft`` as in
    ``training.phase``: it includes everything that follows the last step.
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

    ``code`` says what it is about where a program wants to know: ``non-finite`` (a loss was not finite, and
    the run went back) or ``diverging`` (the loss rises); ``step`` is where.
    """

    type: Literal["training.message"]
    message: str
    code: NotRequired[str]
    step: NotRequired[int]


class TrainingPaused(AnyEvent):
    """The job stands after ``step`` and gave its memory back; ``message`` says why, for a person.

    ``reason`` is ``asked`` (somebody paused it), ``ended`` (the backend was ended), ``disk`` (too little
    room to save) or ``battery``. From the local backend.
    """

    type: Literal["training.paused"]
    step: int
    reason: str
    message: NotRequired[str]
    needs: NotRequired[int]


class TrainingResumed(AnyEvent):
    """The job goes on after ``step``: what was said of later steps, and of an end, counts no more.

    ``message`` says for a person why it goes on, and what may differ from a run that nothing interrupted.
    From the local backend.
    """

    type: Literal["training.resumed"]
    step: int
    message: NotRequired[str]


class SystemMetrics(AnyEvent):
    """How the machine is doing while it trains, every two seconds. From the local backend.

    ``cpu`` is the share of all processors that the whole machine uses, ``processCpu`` that of the training
    process, both 0 to 1; ``memory`` its resident bytes, ``memoryFree`` what the machine has left; ``disk``
    the bytes a second that it reads and writes. A GPU has ``gpu`` (0 to 1), ``gpuMemory`` in bytes,
    ``gpuWatts`` and ``gpuCelsius``. Each is left out where the system does not say.
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
    """An adapter was measured against its base: docs/contract.md#evaluation. From the local backend."""

    type: Literal["evaluation.completed"]
    evaluation: Evaluation


class SampleCreated(AnyEvent):
    """One of a job's fixed prompts, answered greedily after ``step``. From the trainer.

    docs/contract.md#samples has when. Step 0 is the base model. ``number`` is the prompt's place among them,
    from 1 on, and ``prompt`` the last thing that is asked. ``messages`` are there where the model was given
    more than that, and empty where that is too much to tell. Of a held-out row come its number, as in
    ``EvaluationRow``, and the answer that is ``wanted``. ``truncated`` is there, and true, where the answer
    was cut for its length. Of long texts the beginning is there.
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

    ``outOfMemory`` is there, and true, where memory was the reason, or most likely was; ``nonFinite`` where
    a loss or a weight was no longer finite.
    """

    type: Literal["training.failed"]
    error: str
    step: NotRequired[int]
    outOfMemory: NotRequired[bool]
    nonFinite: NotRequired[bool]


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
