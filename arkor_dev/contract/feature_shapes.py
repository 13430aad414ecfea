"""Shapes of optional features: forecasts, endpoints and keys, exports, and the job queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NotRequired, TypedDict

if TYPE_CHECKING:
    from .shapes import AdapterRef


class ForecastMemory(TypedDict):
    """Memory of the training process or its device, in bytes; null if the system does not report it."""

    name: NotRequired[str]
    peakBytes: int
    freeBytes: int | None
    totalBytes: int | None


class ForecastFix(TypedDict):
    """Settings, by field, with which a job would fit; ``words`` describes them, ``peakBytes`` is their
    peak.
    """

    settings: dict[str, object]
    words: str
    peakBytes: NotRequired[int]


class ForecastProgress(TypedDict):
    """Progress of a measurement; ``total`` is null while unknown."""

    label: str
    done: float
    total: float | None
    unit: str


class Forecast(TypedDict):
    """Estimated time and memory of a job: docs/contract.md#forecasts.

    All fields but ``id`` and ``state`` are present once it is ``measured``; ``error`` if it ``failed``.
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
    """What computes answers: a library, the precision of its weights, and a short name for both.

    ``why`` explains the choice if a faster one exists.
    """

    engine: str
    precision: str
    weights: NotRequired[str]
    why: NotRequired[str]


class Deployment(TypedDict):
    """An OpenAI-compatible endpoint.

    ``engine`` and ``answeredBy`` come with the features ``serving`` and ``engines``: the requested engine,
    and the one that has answered, null before the first answer. ``trouble`` says why the target cannot answer
    now; only the response about this single deployment has it.
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
    """An API key of a deployment; ``plaintext`` is only in the response to its creation."""

    id: str
    label: str
    prefix: str
    enabled: bool
    createdAt: str
    lastUsedAt: str | None
    plaintext: NotRequired[str]


class JobChanges(TypedDict):
    """``PATCH /v1/jobs/:id``: any of a job's details. ``notes`` is Markdown. Feature ``edit``."""

    name: NotRequired[str]
    notes: NotRequired[str]
    tags: NotRequired[list[str]]
    starred: NotRequired[bool]


class Queue(TypedDict):
    """The waiting jobs, next one first; while ``held``, none of them starts. Feature ``queue``."""

    held: bool
    order: list[str]


class QueueChanges(TypedDict):
    """``PATCH /v1/queue``: jobs missing from ``order`` keep their order behind the listed ones."""

    order: NotRequired[list[str]]
    held: NotRequired[bool]


class ModelCard(TypedDict):
    """``GET /v1/jobs/:id/card``: the model card (``README.md``) of a job's result. Feature ``card``."""

    card: str


class JobOnDisk(TypedDict):
    """Disk usage of a job's files, in bytes."""

    id: str
    name: str
    bytes: int


class ModelOnDisk(TypedDict):
    """Disk usage of a base model, in bytes.

    ``used``: at least one job needs it. ``shared``: it lies in a cache that other programs use, too.
    """

    name: str
    bytes: int
    used: NotRequired[bool]
    shared: NotRequired[bool]


class Disk(TypedDict):
    """``GET /v1/disk``, in bytes: usage of each job and base model. Feature ``delete``.

    ``leftovers`` belongs to no job. ``database`` is the size of jobs' records and events; ``unused`` of it
    can be reclaimed. ``free`` is the free space on the disk.
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
    """How an exported model compares with the trained one and the base: docs/contract.md#exports.

    ``verdict`` is ``same`` or ``differs``; ``faults`` are sentences on other problems. ``divergence`` is in
    nats per token, ``firstChoices`` and ``sureChoices`` are shares, ``loss`` is the mean per token of each
    model.
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
    """Progress of an export; ``total`` is null while unknown.

    ``secondsLeft`` estimates the rest of the step ``label``, if known.
    """

    label: str
    done: float
    total: float | None
    unit: str
    secondsLeft: NotRequired[float]


class ExportFormat(TypedDict):
    """A format for exporting a job's result, or the ``problem`` that prevents it.

    ``install`` is a shell command for the backend's machine that installs what is missing.
    """

    format: str
    problem: NotRequired[str]
    install: NotRequired[str]


class Export(TypedDict):
    """A job's result in a format for other programs.

    ``format`` is ``adapter`` or ``merged``, with the feature ``gguf`` also ``gguf``, ``gguf-lora`` or
    ``ollama``; ``quantization`` is the GGUF quantization type, ``strength`` the adapter's scale in it.

    An export waits for training to end. ``files`` and ``bytes`` are present from ``verifying`` on, ``proof``
    once it is ``completed``, and ``error`` if it ``failed``. ``step`` is a checkpoint's, absent for the final
    adapter.
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
