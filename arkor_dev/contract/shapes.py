"""The wire contract's words: what Studio, the local backend and the page all have to agree on.

The only module that both sides of the seam import. It holds names and shapes, no behaviour; the page's
TypeScript types are generated from the ``TypedDict`` classes below (``scripts/generate.py``).
Unknown fields pass through everywhere, so each shape lists what is known and tolerates more.
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
    """Where the rows come from; ``file`` (or a folder) and ``list`` are known to the local backend only.

    ``form`` and ``columns`` say how rows are to be read where that cannot be seen from them: ``columns`` has
    the row's own key for each of ours. ``group`` is the key that tells which rows belong together, such as
    those of one document: they are held out together or not at all. ``exclude`` lists rows that are not
    trained on (`arkor_dev.data.exclusions`).
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
    exclude: NotRequired[list[str]]


class EvaluationSet(TypedDict):
    """Rows of one's own that a job is evaluated on: those of ``path``, a file or folder of the project.

    ``metric`` is ``loss``, ``exact_match``, ``contains``, ``regex`` (``pattern``, else each row's answer),
    ``json_schema`` (``schema``), or ``module:function`` of the project.
    """

    name: str
    path: str
    metric: NotRequired[str]
    pattern: NotRequired[str]
    schema: NotRequired[object]


class JobConfig(TypedDict):
    """What a job is asked to do: its data, and any setting of ``contract/settings/`` by its field."""

    model: str
    datasetSource: DatasetSource
    evalDatasetSource: NotRequired[DatasetSource]
    evaluations: NotRequired[list[EvaluationSet]]
    datasetFormat: NotRequired[object]
    setByHand: NotRequired[list[str]]
    """The fields that somebody set for this job alone, in another way than the file says."""
    cluster: NotRequired[str]
    """The address of the Ray cluster on which it runs."""
    insecureCluster: NotRequired[bool]
    """Whether that may be one on another machine that asks for no token."""
    storage: NotRequired[str]
    """A folder or a store's address that its machines share, for what the job goes on from."""


class JobMetrics(TypedDict):
    """How far a job has come. The local backend adds it to each job; others may not.

    ``peakBytes`` is the most memory that its training took, of one that has completed.
    """

    step: NotRequired[int]
    totalSteps: NotRequired[int]
    loss: NotRequired[float | None]
    evalLoss: NotRequired[float | None]
    bestEvalLoss: NotRequired[float | None]
    peakBytes: NotRequired[int]


class QueuedBehind(TypedDict):
    """The job that a queued one waits for first."""

    id: str
    name: str


class QueuePlace(TypedDict):
    """Where a queued job stands: ``position`` 1 is the next one to start, unless the queue is ``held``.

    ``reason`` says why it lets others pass: where it is to run there is no place for it now.
    """

    position: int
    behind: QueuedBehind | None
    held: NotRequired[bool]
    reason: NotRequired[str]


class JobPhase(TypedDict):
    """The phase that a running job is in, as in ``training.phase``, and since when.

    ``secondsLeft`` is the newest estimate of the time until the job ends, counted from ``estimatedAt`` on.
    """

    name: str
    since: str
    secondsLeft: NotRequired[float]
    estimatedAt: NotRequired[str]


class Job(TypedDict):
    """One training job. Times are ISO 8601 in UTC; ``queue`` is there while it waits, where it is known.

    ``config`` is what was asked. ``settings`` is what it runs with, where the backend says so: every setting
    by its field, defaults and corrections included, from its start on. ``forecast`` is what was forecast when
    it was made, where that was known. ``pause`` is there while it is paused; ``resumable`` is the step after
    which a job that is over could go on, where it could. ``phase`` is there while it runs, where it is known.
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
    """A file set that a job left behind; ``kind`` is ``adapter``, ``model`` or ``checkpoint``.

    ``name`` is ``final``, or ``best`` for the checkpoint whose evaluation loss was lowest, where that is
    another. ``path`` is its folder, where it lies on this machine.
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
    """A trained adapter: a job's final one, or the checkpoint of one step."""

    kind: Literal["final", "checkpoint"]
    jobId: str
    step: NotRequired[int]


class ChatRequest(TypedDict):
    """``adapter`` or ``baseModel`` says who answers; ``stream`` is true unless said otherwise.

    ``adapterStrength``, 0 to 1.5, is how much of the adapter counts: 1 unless said otherwise. Feature
    ``strength``. From ``topK`` to ``topLogprobs`` they are of the feature ``sampling``; ``responseFormat``
    is OpenAI's, of the feature ``formats``. ``engine`` says what is to compute the answer: feature
    ``engines``.
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
    """``GET /api/credentials``: who is signed in where; ``token`` is a masked preview."""

    mode: str
    orgSlug: str | None
    projectSlug: str | None
    baseUrl: str
    token: str
    signIn: NotRequired[str]
    """The command that signs in with an account, where this identity is none and its backend has accounts."""


class UnmappedColumns(TypedDict):
    """A data file whose columns match none of the known forms of rows.

    It belongs to the source number ``part`` of the trainer's data set, from 0. ``rows`` are its first few,
    their values as short texts; ``suggested`` are the columns that look like a prompt and its completion.
    """

    part: int
    file: str
    columns: list[str]
    rows: list[dict[str, str]]
    suggested: NotRequired[dict[str, str]]


class Trainer(TypedDict):
    """One trainer that the project declares, with the settings a person reads before pressing Run.

    ``problem`` says why it cannot be run: its table or its data file is invalid. With ``needsData``,
    choosing another data set is enough.
    ``rows`` can be trained on and ``unreadable`` ones cannot, as far as a quick look went; ``flaw`` is the
    reason of the first of those, unless they are to be skipped.
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
    """The single trainer of a TypeScript project, or the first of ``arkor.toml``."""

    name: str


class Manifest(TypedDict):
    """``GET /api/manifest``. ``revision`` stands for what it was read from, and changes with it."""

    trainer: TrainerName | None
    trainers: list[Trainer]
    source: NotRequired[Literal["arkor.toml", "typescript"]]
    revision: NotRequired[str]


class SettingsWritten(TypedDict):
    """``POST /api/manifest/settings``: the unified diff, and the file's revision once it is written."""

    diff: str
    revision: str


class Capabilities(TypedDict):
    """``GET /api/capabilities``: the optional features that the backend names.

    ``baseModels`` are those that it answers with in any project, its default first; ``methods`` are its
    training methods, for the setting ``method``.
    """

    features: list[str]
    baseModels: NotRequired[list[str]]
    methods: NotRequired[list[TrainingMethod]]


class TrainingMethod(TypedDict):
    """A training method: its ``name`` in a config, and its ``label`` for a person."""

    name: str
    label: str


class TrainRequest(TypedDict):
    """``POST /api/train``. With a ``revision`` that is no longer the project's, nothing is started (409)."""

    file: NotRequired[str]
    trainer: NotRequired[str]
    dryRun: NotRequired[bool]
    revision: NotRequired[str]
    settings: NotRequired[dict[str, object]]
    """Settings by field that go before those of the file; null takes one away."""
    like: NotRequired[str]
    """The id of a job whose settings and data are taken; ``settings`` go before them."""
    seeds: NotRequired[int]
    """Train so many times, with seeds that follow one another; the job ``like`` is the first of them."""
    parent: NotRequired[JobParent]
    """The checkpoint whose adapter the job begins with."""
    on: NotRequired[str]
    """The cluster on which it runs, or ``here``; as the launch and the file say where it is left out."""


class TrainingRun(TypedDict):
    """One child process that this launch of Studio has started (``GET /api/train``).

    ``state`` is ``running`` until the child has ended; ``exitCode`` is null until then, and
    128 + n for signal n. ``jobId`` is the id found in the child's output.
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
