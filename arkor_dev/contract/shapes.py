"""The wire contract's words: what Studio, the local backend and the page all have to agree on.

The only module that both sides of the seam import. It holds names and shapes, no behaviour; the page's
TypeScript types are generated from the ``TypedDict`` classes below (``scripts/generate.py``).
Unknown fields pass through everywhere, so each shape lists what is known and tolerates more.
"""

from __future__ import annotations

from typing import Final, Literal, NotRequired, TypedDict

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


NON_FINITE: Final = "non-finite"
DIVERGING: Final = "diverging"
"""What a ``training.message`` may be about, as its ``code``."""


class JobPause(TypedDict):
    """The step and reason of a pause; the fields are those of ``training.paused``."""

    step: int
    reason: str
    message: NotRequired[str]
    needs: NotRequired[int]


class JobParent(TypedDict):
    """The checkpoint that a job began from: after ``step`` of another job, which may be deleted by now."""

    jobId: str
    step: int
    name: NotRequired[str]


class ResumeRequest(TypedDict):
    """``POST /v1/jobs/:id/resume``; with ``force`` also where its data or model has changed since.

    ``on`` is where it runs from now on: a cluster's address, or ``here``; ``workers``, in how many processes
    of its cluster.
    """

    force: NotRequired[bool]
    on: NotRequired[str]
    workers: NotRequired[int]


class ExtendRequest(TypedDict):
    """``POST /v1/jobs/:id/extend``: the new end, counted from the job's first step; one of the two.

    ``schedule`` is ``continue`` (the learning rate as if the job had been so long from the start; the
    default) or ``restart`` (warmed up again and down to the new end).
    """

    maxSteps: NotRequired[int]
    numTrainEpochs: NotRequired[float]
    schedule: NotRequired[Literal["continue", "restart"]]
    force: NotRequired[bool]


class EvaluationDifference(TypedDict):
    """Base less adapter in mean loss per token, with its interval: above zero the adapter is better."""

    mean: float
    low: float
    high: float


class AnswerRates(TypedDict):
    """Of one model's answers the mean length in ``tokens``, and how many were cut, repeat themselves, refuse.

    A refusal is told by how an answer begins, in English.
    """

    tokens: float
    truncated: int
    repeating: int
    refusing: int


class EvaluationAnswers(TypedDict):
    """How base and adapter answer ``count`` general questions, greedily, in ``longest`` tokens at most."""

    count: int
    longest: int
    base: AnswerRates
    adapter: AnswerRates
    sentence: str


class EvaluationPart(TypedDict):
    """Base and adapter on one set of ``rows``.

    ``verdict`` is ``better`` or ``worse`` (the whole interval lies beyond the margin), ``same`` (all of it
    lies within the margin: no difference that matters) or ``unclear`` (neither, or too few rows);
    ``sentence`` has the figures. ``confidence`` is that of the interval, in percent, and ``rowsToSettle`` how
    many rows would settle what is unclear. ``of`` is how many rows there would have been, where so many would
    have taken too long. Where ``metric`` is there and is not ``loss``, ``base`` and ``adapter`` are mean
    scores, of which more is better; the difference is above zero where the adapter is better in any case.
    ``answers`` are there of general questions, where some of them were answered. ``measure`` is what the
    training method calls its loss on held-out rows; less is better.
    """

    name: str
    rows: int
    base: float
    adapter: float
    difference: EvaluationDifference
    confidence: int
    verdict: str
    sentence: str
    rowsToSettle: NotRequired[int]
    of: NotRequired[int]
    metric: NotRequired[str]
    answers: NotRequired[EvaluationAnswers]
    measure: NotRequired[EvaluationMeasure]


class EvaluationMeasure(TypedDict):
    """What base and adapter are measured by: its ``label`` for a person, and the ``unit`` of its values."""

    label: str
    unit: str


class EvaluationSplit(TypedDict):
    """How the held-out rows were kept apart from those that were trained on.

    ``rows`` of ``groups`` are held out; rows of one group share the value of ``column``, ask the same, or are
    nearly the same. Of an evaluation set of its own, ``leftOut`` rows are not measured since they were
    trained on, or ``trainedOn`` says that this is all of them. ``notCompared``: there were too many rows to
    look for near duplicates. ``sentence`` says what is not as usual, and may be empty.
    """

    rows: int
    groups: int
    column: NotRequired[str]
    leftOut: NotRequired[int]
    trainedOn: NotRequired[int]
    notCompared: NotRequired[bool]
    sentence: str


class Evaluation(TypedDict):
    """``evaluation.completed``, and ``evaluation`` of a job: how an adapter compares with its base.

    ``verdict`` takes the task and the general questions together: ``better``, ``mixed`` (better at the task,
    worse in general), ``same`` (no difference that matters), ``unclear`` or ``worse``; ``sentence`` says it
    in words, for every reader to show. ``margin`` is the least difference in mean loss per token that counts:
    ``verdictMargin`` of the config, or ``noiseFloor`` where that is larger, which is how far measuring again
    moves the base's own mean. ``heldOut`` is on the held-out rows, ``general`` on questions that have nothing
    to do with the data, ``sets`` are the parts of the job's own ``evaluations``. ``bestStep`` is the step
    whose evaluation loss was lowest in the run, and ``bestSentence`` says whether the final adapter is as
    good. Where it is another step than the final one, ``bestVerdict`` says whether it is better, and
    ``bestKept`` whether there is a checkpoint of it. ``step`` is the checkpoint's, and left out for the final
    one; ``data`` is the file of the project that the rows are from, where they are not the held-out ones.
    ``split`` is how these came about.
    """

    verdict: str
    sentence: str
    margin: NotRequired[float]
    noiseFloor: NotRequired[float]
    split: NotRequired[EvaluationSplit]
    heldOut: NotRequired[EvaluationPart]
    general: NotRequired[EvaluationPart]
    sets: NotRequired[list[EvaluationPart]]
    bestStep: NotRequired[int]
    bestSentence: NotRequired[str]
    bestVerdict: NotRequired[str]
    bestKept: NotRequired[bool]
    step: NotRequired[int]
    data: NotRequired[str]
    seconds: NotRequired[float]


class EvaluationRow(TypedDict):
    """One held-out row: its mean losses a token over ``tokens`` learned ones, and what it asks and wants.

    ``where`` is its place in the data, for a person, and ``group`` the number of the rows that it belongs
    to. Of long texts the beginning is there. ``messages`` are
    all up to the answer where that is more than the question, and empty where it is too much to tell.
    """

    row: int
    where: NotRequired[str]
    group: NotRequired[int]
    tokens: int
    base: float
    adapter: float
    question: str
    wanted: str
    messages: NotRequired[list[ChatMessage]]


class EvaluationAnswer(TypedDict):
    """What base and adapter have answered to a general question; an answer that was cut ends so."""

    question: str
    base: str
    adapter: str


class EvaluationResult(TypedDict):
    """``GET /v1/jobs/:id/evaluation``; of very many rows those that changed most are there.

    ``answers`` are those to general questions that ``evaluation.general.answers`` has the figures of.
    """

    evaluation: Evaluation
    rows: list[EvaluationRow]
    answers: NotRequired[list[EvaluationAnswer]]


class EvaluationComparison(TypedDict):
    """``GET /v1/jobs/:id/evaluation?against=``: this adapter as ``adapter``, the other one as ``base``."""

    comparison: EvaluationPart


class Progress(TypedDict):
    """How far a piece of work has come; ``total`` is null while unknown."""

    label: str
    done: float
    total: float | None
    unit: str


class JobEvaluating(TypedDict):
    """An evaluation that was asked for and is not done: it waits for a training to end, runs, or failed."""

    state: Literal["waiting", "running", "failed"]
    step: NotRequired[int]
    data: NotRequired[str]
    progress: NotRequired[Progress]
    error: NotRequired[str]


class Ballot(TypedDict):
    """``POST /v1/jobs/:id/votes``: which of two answers a person preferred without knowing whose they were.

    ``one`` and ``other`` name who answered, in a reader's own words; ``left`` is whose stood on the left.
    """

    voter: str
    one: str
    other: str
    choice: Literal["one", "other", "tie"]
    left: Literal["one", "other"]
    question: str


class Vote(Ballot):
    """A ballot as it is kept with the job; ``at`` is ISO 8601 in UTC."""

    id: str
    at: str


class Votes(TypedDict):
    """``GET /v1/jobs/:id/votes``, in the order in which they were given."""

    votes: list[Vote]


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


class Forecast(TypedDict):
    """What a job will take, where a backend measures it: docs/contract.md#forecasts.

    All but ``id`` and ``state`` is there once it is ``measured``, ``error`` when it ``failed``.
    """

    id: NotRequired[str]
    state: NotRequired[Literal["measured", "measuring", "waiting", "failed"]]
    progress: NotRequired[Progress]
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


class ExportProgress(Progress):
    """How far an export has come; ``secondsLeft`` is how long its ``label`` will go on, once known."""

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

    It waits for a training to end. ``files`` and ``bytes`` are there from ``verifying`` on, ``proof`` and
    ``usage`` once it is ``completed``, and ``error`` when it ``failed``. ``step`` is that of a checkpoint,
    and left out for the final adapter. ``usage`` has ``[program, line]`` for each program that reads it, with
    FOLDER and NAME where a person puts theirs.
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
    usage: NotRequired[list[list[str]]]
