"""The shapes of optional features: forecasts, endpoints with their keys, exports, and jobs kept in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NotRequired, TypedDict

if TYPE_CHECKING:
    from .shapes import AdapterRef


class ForecastMemory(TypedDict):
    """Memory of the training process, or of its device, in bytes; null where the system does not say."""

    name: NotRequired[str]
    peakBytes: int
    freeBytes: int | None
    totalBytes: int | None


class ForecastFix(TypedDict):
    """Settings, by field, with which a job fits; ``words`` say what changes, ``peakBytes`` what it takes."""

    settings: dict[str, object]
    words: str
    peakBytes: NotRequired[int]


class ForecastProgress(TypedDict):
    """How far a measurement has come; ``total`` is null while unknown."""

    label: str
    done: float
    total: float | None
    unit: str


class Forecast(TypedDict):
    """What a job will take, where a backend measures it: docs/contract.md#forecasts.

    All but ``id`` and ``state`` is there once it is ``measured``, ``error`` when it ``failed``.
    """

    id: NotRequired[str]
    state: NotRequired[Literal["measured", "measuring", "waiting", "failed"]]
    progress: NotRequired[ForecastProgress]
    error: NotRequired[str]
    seconds: NotRequired[float]
    loadingSeconds: NotRequired[float]
    trainingSeconds: NotRequired[float]
    evaluationSeconds: NotRequired[float]
    savingSeconds: NotRequired[float]
    samplesSeconds: NotRequired[float]
    steps: NotRequired[int]
    memory: NotRequired[ForecastMemory]
    device: NotRequired[ForecastMemory]
    rows: NotRequired[int]
    lookedAtRows: NotRequired[int]
    cutRows: NotRequired[int]
    tokens: NotRequired[int]
    learnedTokens: NotRequired[int]
    diskBytes: NotRequired[int]
    freeDiskBytes: NotRequired[int | None]
    checkpoints: NotRequired[int]
    fits: NotRequired[bool]
    fixes: NotRequired[list[ForecastFix]]


class DeploymentTarget(TypedDict):
    """What a deployment serves."""

    kind: Literal["adapter", "base_model"]
    adapter: NotRequired[AdapterRef]
    baseModel: NotRequired[str]


class AnsweredBy(TypedDict):
    """What computes answers: a library, the number format of its weights, and a short name of these.

    ``why`` says why it was chosen, where another one would be quicker.
    """

    engine: str
    precision: str
    weights: NotRequired[str]
    why: NotRequired[str]


class Deployment(TypedDict):
    """An OpenAI-compatible endpoint.

    ``engine`` and ``answeredBy`` are there with the features ``serving`` and ``engines``: who is to answer,
    and who has answered since the first answer, null before it. ``trouble`` is why what it serves cannot
    answer now, in the answer about this one deployment.
    """

    id: str
    slug: str
    orgId: str
    projectId: str
    target: DeploymentTarget
    authMode: Literal["none", "fixed_api_key"]
    urlFormat: str
    enabled: bool
    customDomain: NotRequired[str | None]
    runRetentionMode: NotRequired[str | None]
    runRetentionDays: NotRequired[int | None]
    createdAt: str
    updatedAt: str
    engine: NotRequired[Literal["auto", "exact", "llama.cpp"]]
    answeredBy: NotRequired[AnsweredBy | None]
    trouble: NotRequired[str]


class DeploymentKey(TypedDict):
    """An API key of a deployment; ``plaintext`` is in the answer to its creation alone."""

    id: str
    label: str
    prefix: str
    enabled: bool
    createdAt: str
    lastUsedAt: str | None
    plaintext: NotRequired[str]


class JobChanges(TypedDict):
    """``PATCH /v1/jobs/:id``: any of what a person says of a job. ``notes`` is Markdown. Feature ``edit``."""

    name: NotRequired[str]
    notes: NotRequired[str]
    tags: NotRequired[list[str]]
    starred: NotRequired[bool]


class Queue(TypedDict):
    """The jobs that wait, the next one first; while it is ``held`` none of them starts. Feature ``queue``."""

    held: bool
    order: list[str]


class QueueChanges(TypedDict):
    """``PATCH /v1/queue``: jobs that are not named in ``order`` stay in theirs, behind those that are."""

    order: NotRequired[list[str]]
    held: NotRequired[bool]


class ModelCard(TypedDict):
    """``GET /v1/jobs/:id/card``: the ``README.md`` of what a job made. Feature ``card``."""

    card: str


class JobOnDisk(TypedDict):
    """What a job's files take on the disk, in bytes."""

    id: str
    name: str
    bytes: int


class ModelOnDisk(TypedDict):
    """What a base model takes on the disk, in bytes.

    ``used``: some job asks for it. ``shared``: it lies where other programs use it as well.
    """

    name: str
    bytes: int
    used: NotRequired[bool]
    shared: NotRequired[bool]


class Disk(TypedDict):
    """``GET /v1/disk``, in bytes: what each job and base model takes. Feature ``delete``.

    ``leftovers`` is what belongs to no job, ``database`` the jobs' records and events, of which ``unused``
    belongs to none any more and is worth giving back; ``free`` is what the disk has left.
    """

    jobs: list[JobOnDisk]
    models: list[ModelOnDisk]
    leftovers: int
    database: int
    free: int
    unused: NotRequired[int]


class ExportFile(TypedDict):
    """One file of an export; ``sha256`` in hexadecimal."""

    name: str
    bytes: int
    sha256: str


class ExportProof(TypedDict):
    """How an exported model answers beside the trained one and the base: docs/contract.md#exports.

    ``verdict`` is ``same`` or ``differs``; ``faults`` are sentences on what is wrong besides the weights.
    ``divergence`` is in nats a token, ``firstChoices`` and ``sureChoices`` are shares, ``loss`` is a mean a
    token of each model.
    """

    verdict: str
    sentence: str
    faults: list[str]
    prompts: int
    agreeingTokens: int
    answerTokens: int
    texts: int
    tokens: int
    firstChoices: float
    sureChoices: NotRequired[float]
    divergence: float
    divergenceOfBase: float
    loss: dict[str, float]
    allowed: dict[str, float]


class ExportProgress(TypedDict):
    """How far an export has come; ``total`` is null while unknown.

    ``secondsLeft`` is how long what ``label`` says will go on, once that can be told.
    """

    label: str
    done: float
    total: float | None
    unit: str
    secondsLeft: NotRequired[float]


class ExportFormat(TypedDict):
    """A format that a job's result can be exported as, or the ``problem`` that it can't.

    ``install`` is the command, for a shell of the backend's machine, that installs what is missing.
    """

    format: str
    problem: NotRequired[str]
    install: NotRequired[str]


class Export(TypedDict):
    """What a job has made, written for other programs.

    ``format`` is ``adapter`` or ``merged``, with the feature ``gguf`` also ``gguf``, ``gguf-lora`` or
    ``ollama``; ``quantization`` is the number format of a GGUF file's weights, ``strength`` how much of the
    adapter is in it.

    It waits for a training to end. ``files`` and ``bytes`` are there from ``verifying`` on, ``proof`` once it
    is ``completed``, and ``error`` when it ``failed``. ``step`` is that of a checkpoint, and left out for the
    final adapter.
    """

    id: str
    format: str
    state: Literal["waiting", "running", "verifying", "completed", "failed"]
    createdAt: str
    step: NotRequired[int]
    quantization: NotRequired[str]
    strength: NotRequired[float]
    progress: NotRequired[ExportProgress]
    error: NotRequired[str]
    bytes: NotRequired[int]
    files: NotRequired[list[ExportFile]]
    proof: NotRequired[ExportProof]
