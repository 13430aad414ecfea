"""Core shapes of the wire contract between Studio, the local backend and the page.

Names and shapes without behaviour; ``scripts/generate.py`` generates the page's TypeScript types from these
``TypedDict`` classes. Unknown fields pass through everywhere, so a shape lists known fields and tolerates
more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NotRequired, TypedDict

if TYPE_CHECKING:
    from .feature_shapes import Forecast
    from .run_shapes import Evaluation, JobEvaluating, JobParent, JobPause

CLIENT_HEADER: Final = "X-Arkor-Client"
STUDIO_TOKEN_HEADER: Final = "X-Arkor-Studio-Token"  # noqa: S105 (a name, no secret)
STUDIO_TOKEN_QUERY: Final = "studioToken"  # noqa: S105
STALE_HEADER: Final = "X-Arkor-Stale"
STALE_WHY_HEADER: Final = "X-Arkor-Stale-Why"
STALE_STATUS_HEADER: Final = "X-Arkor-Stale-Status"
CURSOR_HEADER: Final = "X-Arkor-Cursor"
FROM_HEADER: Final = "X-Arkor-From"

JobStatus = Literal["queued", "running", "paused", "completed", "failed", "cancelled"]
TERMINAL: Final[frozenset[str]] = frozenset({"completed", "failed", "cancelled"})


class DatasetSource(TypedDict):
    """Source of the rows; only the local backend knows ``file`` (or a folder) and ``list``.

    ``form`` and ``columns`` say how to read rows whose form cannot be detected: ``columns`` maps our keys to
    the file's. ``group`` is the key that marks rows that belong together, such as those of one document: they
    are held out together or not at all.
    """

    type: Literal["huggingface", "blob", "file", "list"]
    name: NotRequired[str]
    split: NotRequired[str]
    subset: NotRequired[str]
    url: NotRequired[str]
    token: NotRequired[str]
    path: NotRequired[str]
    sources: NotRequired[list[DatasetSource]]
    form: NotRequired[str]
    columns: NotRequired[dict[str, str]]
    group: NotRequired[str]


class EvaluationSet(TypedDict):
    """A custom evaluation set: the rows of ``path``, a file or folder of the project.

    ``metric`` is ``loss``, ``exact_match``, ``contains``, ``regex`` (``pattern``, else each row's answer),
    ``json_schema`` (``schema``), or a ``module:function`` of the project.
    """

    name: str
    path: str
    metric: NotRequired[str]
    pattern: NotRequired[str]
    schema: NotRequired[object]


class JobConfig(TypedDict):
    """A job's request: its data, and settings of ``contract/settings/`` by field."""

    model: str
    datasetSource: DatasetSource
    evalDatasetSource: NotRequired[DatasetSource]
    evaluations: NotRequired[list[EvaluationSet]]
    datasetFormat: NotRequired[object]
    setByHand: NotRequired[list[str]]
    """Fields changed for this job alone, different from the file."""
    cluster: NotRequired[str]
    """Address of the Ray cluster that runs it."""
    insecureCluster: NotRequired[bool]
    """Whether a remote cluster without a token is acceptable."""
    storage: NotRequired[str]
    """Folder or storage URL that the machines share, for the training state."""


class JobMetrics(TypedDict):
    """A job's progress. The local backend adds it to each job; others may not.

    ``peakBytes`` is the peak memory of a completed training.
    """

    step: NotRequired[int]
    totalSteps: NotRequired[int]
    loss: NotRequired[float | None]
    evalLoss: NotRequired[float | None]
    bestEvalLoss: NotRequired[float | None]
    peakBytes: NotRequired[int]


class QueuedBehind(TypedDict):
    """The job that a queued one waits for."""

    id: str
    name: str


class QueuePlace(TypedDict):
    """Queue position of a job: ``position`` 1 starts next, unless the queue is ``held``.

    ``reason`` says why others pass it: its target has no room at the moment.
    """

    position: int
    behind: QueuedBehind | None
    held: NotRequired[bool]
    reason: NotRequired[str]


class JobPhase(TypedDict):
    """The phase of a running job, as in ``training.phase``, and its start.

    ``secondsLeft`` is the newest estimate of the time to the job's end, counted from ``estimatedAt``.
    """

    name: str
    since: str
    secondsLeft: NotRequired[float]
    estimatedAt: NotRequired[str]


class Job(TypedDict):
    """One training job. Times are ISO 8601 in UTC; ``queue`` is present while it waits, if known.

    ``config`` is the request. ``settings`` has the effective settings by field from its start on, with
    defaults and corrections, if the backend reports them. ``forecast`` is the estimate made before its
    creation, if any. ``pause`` is present while it is paused; ``resumable`` is the step after which an ended
    job can be resumed, if it can. ``phase`` is present while it runs, if known.
    """

    id: str
    orgId: str
    projectId: str
    name: str
    status: JobStatus
    config: JobConfig
    createdAt: str
    startedAt: NotRequired[str | None]
    completedAt: NotRequired[str | None]
    error: NotRequired[str | None]
    settings: NotRequired[dict[str, object]]
    metrics: NotRequired[JobMetrics]
    queue: NotRequired[QueuePlace]
    notes: NotRequired[str]
    tags: NotRequired[list[str]]
    starred: NotRequired[bool]
    forecast: NotRequired[Forecast]
    pause: NotRequired[JobPause]
    phase: NotRequired[JobPhase]
    resumable: NotRequired[int]
    parent: NotRequired[JobParent]
    evaluation: NotRequired[Evaluation]
    evaluating: NotRequired[JobEvaluating]


class Artifact(TypedDict):
    """A set of files that a job produced; ``kind`` is ``adapter``, ``model`` or ``checkpoint``.

    ``name`` is ``final``, or ``best`` for the checkpoint with the lowest evaluation loss, if that is another.
    ``path`` is its folder, if it is on this machine.
    """

    kind: str
    name: NotRequired[str]
    step: NotRequired[int]
    bytes: NotRequired[int]
    path: NotRequired[str]


class ChatMessage(TypedDict):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    tool_calls: NotRequired[list[object]]
    tool_call_id: NotRequired[str]


class AdapterRef(TypedDict):
    """A trained adapter: a job's final one, or the checkpoint of a step."""

    kind: Literal["final", "checkpoint"]
    jobId: str
    step: NotRequired[int]


class ChatRequest(TypedDict):
    """``adapter`` or ``baseModel`` selects the model; ``stream`` defaults to true.

    ``adapterStrength``, 0 to 1.5, scales the adapter; the default is 1. Feature ``strength``. ``topK`` to
    ``topLogprobs`` belong to the feature ``sampling``; ``responseFormat`` is OpenAI's, feature ``formats``.
    ``engine`` selects what computes the answer: feature ``engines``.
    """

    messages: list[ChatMessage]
    adapter: NotRequired[AdapterRef]
    adapterStrength: NotRequired[float]
    baseModel: NotRequired[str]
    temperature: NotRequired[float]
    topP: NotRequired[float]
    maxTokens: NotRequired[int]
    topK: NotRequired[int]
    minP: NotRequired[float]
    repetitionPenalty: NotRequired[float]
    frequencyPenalty: NotRequired[float]
    presencePenalty: NotRequired[float]
    seed: NotRequired[int]
    stop: NotRequired[list[str]]
    logprobs: NotRequired[bool]
    topLogprobs: NotRequired[int]
    stream: NotRequired[bool]
    tools: NotRequired[list[object]]
    toolChoice: NotRequired[object]
    responseFormat: NotRequired[object]
    structuredOutputs: NotRequired[object]
    engine: NotRequired[Literal["auto", "exact", "llama.cpp"]]


class CredentialsView(TypedDict):
    """``GET /api/credentials``: who is signed in; ``token`` is a masked preview."""

    mode: str
    orgSlug: str | None
    projectSlug: str | None
    baseUrl: str
    token: str
    signIn: NotRequired[str]
    """The command that signs in with an account, if this identity has none and its backend has accounts."""


class UnmappedColumns(TypedDict):
    """A data file whose columns match no known form of rows.

    It is source number ``part`` of the trainer's data set, from 0. ``rows`` are its first few, with values
    shortened; ``suggested`` are the columns that look like a prompt and its completion.
    """

    part: int
    file: str
    columns: list[str]
    rows: list[dict[str, str]]
    suggested: NotRequired[dict[str, str]]


class Trainer(TypedDict):
    """A trainer of the project, with the settings shown before Run.

    ``problem`` says why it cannot run: its table or its data file is invalid. With ``needsData``, choosing
    another data set suffices. A quick look found ``rows`` trainable rows and ``unreadable`` invalid ones;
    ``flaw`` is the reason for the first of those, unless they are to be skipped.
    """

    name: str
    config: NotRequired[JobConfig]
    rows: NotRequired[int]
    unreadable: NotRequired[int]
    problem: NotRequired[str]
    needsData: NotRequired[bool]
    flaw: NotRequired[str]
    unmapped: NotRequired[UnmappedColumns]


class TrainerName(TypedDict):
    """The only trainer of a TypeScript project, or the first of ``arkor.toml``."""

    name: str


class Manifest(TypedDict):
    """``GET /api/manifest``. ``revision`` identifies the state of the source files."""

    trainer: TrainerName | None
    trainers: list[Trainer]
    source: NotRequired[Literal["arkor.toml", "typescript"]]
    revision: NotRequired[str]


class SettingsWritten(TypedDict):
    """``POST /api/manifest/settings``: the unified diff, and the file's new revision once written."""

    diff: str
    revision: str


class Capabilities(TypedDict):
    """``GET /api/capabilities``: the backend's optional features.

    ``baseModels`` can answer in any project; the default comes first.
    """

    features: list[str]
    baseModels: NotRequired[list[str]]


class TrainRequest(TypedDict):
    """``POST /api/train``. An outdated ``revision`` starts nothing (409)."""

    file: NotRequired[str]
    trainer: NotRequired[str]
    dryRun: NotRequired[bool]
    revision: NotRequired[str]
    settings: NotRequired[dict[str, object]]
    """Settings by field that override the file's; null removes one."""
    like: NotRequired[str]
    """Id of a job whose settings and data are reused; ``settings`` override them."""
    seeds: NotRequired[int]
    """Train this many times with consecutive seeds; the job ``like`` counts as the first."""
    parent: NotRequired[JobParent]
    """The checkpoint whose adapter is the starting point."""
    on: NotRequired[str]
    """The cluster to run on, or ``here``; by default the launch's or the file's."""


class TrainingRun(TypedDict):
    """A child process that this launch of Studio started (``GET /api/train``).

    ``state`` is ``running`` until the child has ended; ``exitCode`` is null until then, and 128 + n for
    signal n. ``jobId`` is parsed from the child's output.
    """

    id: str
    command: list[str]
    trainer: str | None
    file: str | None
    dryRun: bool
    started: str
    ended: str | None
    state: Literal["running", "stopping", "ended"]
    exitCode: int | None
    jobId: str | None
