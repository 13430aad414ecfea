"""Core shapes of the wire contract between Studio, the local backend and the page.

Names and shapes without behaviour; ``scripts/generate.py`` generates the page's TypeScript types from these
``TypedDict`` classes. Unknown fields pass through everywhere, so a shape lists only the known ones.
"""

from __future__ import annotations

from typing import Final, Literal, NotRequired, TypedDict

from .job_settings import JobSettings

CLIENT_HEADER: Final = "X-Arkor-Client"
STUDIO_TOKEN_HEADER: Final = "X-Arkor-Studio-Token"  # noqa: S105 (a name, no secret)
STUDIO_TOKEN_QUERY: Final = "studioToken"  # noqa: S105
STALE_HEADER: Final = "X-Arkor-Stale"
STALE_WHY_HEADER: Final = "X-Arkor-Stale-Why"
STALE_STATUS_HEADER: Final = "X-Arkor-Stale-Status"
CURSOR_HEADER: Final = "X-Arkor-Cursor"
FROM_HEADER: Final = "X-Arkor-From"
REQUESTS_HEADER: Final = "X-Arkor-Start-Requests"

JobStatus = Literal["queued", "running", "paused", "completed", "failed", "cancelled"]
TERMINAL: Final[frozenset[str]] = frozenset({"completed", "failed", "cancelled"})


class DatasetSource(TypedDict):
    """Source of the rows; only the local backend knows ``file`` (or a folder) and ``list``.

    ``form`` and ``columns`` say how to read rows whose form cannot be detected: ``columns`` maps our keys to
    the file's. ``group`` is the key that marks rows that belong together, such as those of one document: they
    are held out together or not at all. ``exclude`` lists rows that are not trained on
    (`arkor_dev.data.exclusions`). ``only`` says which rows are trained on by their judgements
    (`arkor_dev.data.reviews`), of which the first ``reviewed`` bytes count. ``weight`` is how often an epoch
    uses each training row of the source (1): 0.5 is half of them, 0 none; held-out rows are not weighted.
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
    only: NotRequired[Literal["accepted", "all"]]
    reviewed: NotRequired[int]
    weight: NotRequired[float]


class Judge(TypedDict):
    """A model that scores answers by a rubric: the address ``teacher`` of a server with OpenAI's API.

    ``keyEnv`` names the environment variable of the key, never its value. The budget is that of a job.
    """

    teacher: str
    model: str
    keyEnv: NotRequired[str]
    budgetRequests: NotRequired[int]
    budgetTokens: NotRequired[int]


class EvaluationSet(TypedDict):
    """A custom evaluation set: the rows of ``path``, a file or folder of the project.

    ``metric`` is ``loss``, ``exact_match``, ``contains``, ``regex`` (``pattern``, else each row's answer),
    ``json_schema`` (``schema``), ``tool_call``, ``rubric`` (a text by which ``judge`` gives a score within
    ``range``), or a ``module:function`` of the project.
    """

    name: str
    path: str
    metric: NotRequired[str]
    pattern: NotRequired[str]
    schema: NotRequired[object]
    rubric: NotRequired[str]
    range: NotRequired[list[float]]
    judge: NotRequired[Judge]


class Adjustment(TypedDict):
    """Settings that were changed after ``step`` of a job that continued: ``[old, new]`` by field."""

    step: int
    settings: dict[str, list[object]]


class Forgotten(TypedDict):
    """An earlier job of one that deletes rows: its ``rows`` that were left out already, by their places.

    ``weights`` is the hash of its adapter.
    """

    job: str
    name: str
    rows: list[str]
    weights: str | None


class LeftOut(TypedDict):
    """Where rows are, and the ``hash`` of all rows of the original job."""

    rows: list[str]
    hash: str


class JobConfig(JobSettings, TypedDict):
    """A job's request: its data, and settings of ``contract/settings/`` by field."""

    model: str
    datasetSource: DatasetSource
    evalDatasetSource: NotRequired[DatasetSource]
    evaluations: NotRequired[list[EvaluationSet]]
    datasetFormat: NotRequired[object]
    setByHand: NotRequired[list[str]]
    """Fields changed only for this job, different from the file."""
    adjusted: NotRequired[list[Adjustment]]
    """Written by the backend."""
    leftOut: NotRequired[LeftOut]
    """Rows of a repeated job that are not trained on."""
    forgets: NotRequired[list[Forgotten]]
    """Written by the backend: the jobs that it may continue instead of starting anew, newest first."""
    cluster: NotRequired[str]
    """Address of the Ray cluster that runs it."""
    insecureCluster: NotRequired[bool]
    """Whether a remote cluster without a token is acceptable."""
    storage: NotRequired[str]
    """Folder or storage URL that the machines share, for the training state."""
    reported: NotRequired[bool]
    """Whether another program runs it and only reports (docs/contract.md#reported-runs)."""


class JobMetrics(TypedDict):
    """A job's progress. The local backend adds it to each job; others may not.

    ``peakBytes`` is the peak memory of a completed training, ``gpuPeakBytes`` that of each of its GPUs.
    """

    step: NotRequired[int]
    totalSteps: NotRequired[int]
    loss: NotRequired[float | None]
    evalLoss: NotRequired[float | None]
    bestEvalLoss: NotRequired[float | None]
    peakBytes: NotRequired[int]
    gpuPeakBytes: NotRequired[list[int]]


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


class SweepResult(TypedDict):
    """A trial's mean ``loss`` after ``step``, on the half of the held-out rows that is used for selection.

    For a measure where higher is better, it is the negative of the measure.
    """

    step: int
    loss: float
    at: str


class SweepTrial(TypedDict):
    """One run of a sweep. ``settings`` are those that differ from the sweep's config, by field.

    ``number`` counts the trials of the search from 0, the starting settings; that of other runs is higher.

    ``role`` is ``search``, or for runs with a fresh ``seed`` that confirm, ``winner`` or ``start`` (the
    starting settings). ``error`` says why it was dropped; ``underWay`` is true until its job has reached its
    rung. ``sources`` are the numbers of those that it trains on, in a design over sources.
    """

    number: int
    role: Literal["search", "winner", "start"]
    settings: dict[str, object]
    sources: NotRequired[list[int]]
    jobId: str
    results: list[SweepResult]
    seed: NotRequired[int]
    error: NotRequired[str]
    underWay: NotRequired[bool]


class SweepVerdict(TypedDict):
    """Whether the best trial is better than the starting settings, on rows that took no part in the choice.

    ``verdict`` is ``better`` or ``none``; ``sentence`` describes it. ``start`` and ``winner`` are mean
    losses, or rewards, over ``seeds`` fresh seeds each, and ``difference`` is by how much the winner is
    better. ``settings`` turn the config into that of ``trial``, the winner; null removes one. That of a
    design over sources is ``effects``, which the sweep lists, or ``none``.
    """

    verdict: Literal["better", "none", "effects"]
    sentence: str
    rows: NotRequired[int]
    groups: NotRequired[int]
    seeds: NotRequired[int]
    start: NotRequired[float]
    winner: NotRequired[float]
    difference: NotRequired[EvaluationDifference]
    margin: NotRequired[float]
    trial: NotRequired[int]
    settings: NotRequired[dict[str, object]]


class SweepImportance(TypedDict):
    """How much a setting mattered, as a share of all; ``low`` and ``high`` bound the middle 90 %."""

    setting: str
    mean: float
    low: float
    high: float


class SourceEffect(TypedDict):
    """What source number ``source``, from 0, of a data set does: ``helps``, ``harms`` or ``unclear``.

    ``task`` is by how much the loss on the held-out rows would be higher without it at the same number of
    steps, ``general`` the same on general questions. ``weight`` is its present weight, and
    ``proposed`` the one to try next.
    """

    source: int
    name: str
    effect: Literal["helps", "harms", "unclear"]
    task: EvaluationDifference
    general: NotRequired[EvaluationDifference]
    weight: float
    proposed: float


class ValueRange(TypedDict):
    """A range of a setting's values, both ends included; ``log``: it is searched on a logarithmic scale."""

    low: float
    high: float
    log: NotRequired[bool]


class SweepPlan(TypedDict):
    """The estimated number of trials, and the estimated end of the sweep once a job of it was timed."""

    trials: int
    endsAt: NotRequired[str]


class Sweep(TypedDict):
    """A search for better settings: feature ``sweeps``.

    ``space`` has a list of values or a range for each setting. ``rungs`` are the steps after which trials are
    compared, known once a run is estimated. ``best`` is the number of the best trial so far. ``measure`` is
    what held-out rows are measured by, if that is not the usual loss; if higher is better, the trials' losses
    are its negative. ``held`` says why a running sweep starts no trial, and what continues it. ``runs`` is
    the number of runs of a design over sources, whose ``space`` is empty; ``effects`` is its result.
    """

    id: str
    name: str
    state: Literal["running", "completed", "stopped", "failed"]
    createdAt: str
    config: JobConfig
    space: dict[str, list[object] | ValueRange]
    trials: list[SweepTrial]
    deadline: NotRequired[str]
    jobs: NotRequired[int]
    endedAt: NotRequired[str]
    error: NotRequired[str]
    held: NotRequired[str]
    rungs: NotRequired[list[int]]
    plan: NotRequired[SweepPlan]
    best: NotRequired[int]
    measure: NotRequired[EvaluationMeasure]
    importances: NotRequired[list[SweepImportance]]
    runs: NotRequired[int]
    effects: NotRequired[list[SourceEffect]]
    verdict: NotRequired[SweepVerdict]


class SourcesRequest(TypedDict):
    """A design over the sources of a data set: its number of runs, and their steps."""

    runs: NotRequired[int | None]
    steps: NotRequired[int | None]


class NewSweep(TypedDict):
    """A requested sweep: docs/contract.md#sweeps."""

    name: str
    config: dict[str, object]
    space: NotRequired[dict[str, list[object] | ValueRange] | None]
    deadline: NotRequired[str | None]
    jobs: NotRequired[int | None]
    sources: NotRequired[SourcesRequest | None]


class JobSweep(TypedDict):
    """The sweep that a job is part of, and the number of its trial: feature ``sweeps``."""

    id: str
    name: str
    trial: int


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
    sweep: NotRequired[JobSweep]
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
    ``thinkingBudget`` belong to the feature ``sampling``; ``responseFormat`` is OpenAI's, feature
    ``formats``. ``engine`` selects what computes the answer: feature ``engines``.
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
    enableThinking: NotRequired[bool]
    thinkingBudget: NotRequired[int]
    stream: NotRequired[bool]
    tools: NotRequired[list[object]]
    toolChoice: NotRequired[object]
    parallelToolCalls: NotRequired[bool]
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
    another data set suffices; ``install`` is a command that suffices. A quick look found ``rows`` trainable
    rows and ``unreadable`` invalid ones; ``flaw`` is the reason for the first of those, unless they are to be
    skipped.
    """

    name: str
    config: NotRequired[JobConfig]
    rows: NotRequired[int]
    unreadable: NotRequired[int]
    problem: NotRequired[str]
    needsData: NotRequired[bool]
    install: NotRequired[str]
    flaw: NotRequired[str]
    unmapped: NotRequired[UnmappedColumns]


class TrainerName(TypedDict):
    """The only trainer of a TypeScript project, or the first of ``arkor.toml``."""

    name: str


class ManifestSweep(TypedDict):
    """``[sweep]`` of arkor.toml: ``space`` by field, and the rest as it is written there."""

    trainer: NotRequired[str]
    until: NotRequired[str]
    hours: NotRequired[float]
    jobs: NotRequired[int]
    space: NotRequired[dict[str, object]]


class Manifest(TypedDict):
    """``GET /api/manifest``. ``revision`` identifies the state of the source files."""

    trainer: TrainerName | None
    trainers: list[Trainer]
    source: NotRequired[Literal["arkor.toml", "typescript"]]
    revision: NotRequired[str]
    sweep: NotRequired[ManifestSweep]


class NoticeConsent(TypedDict):
    """What a project's ``[notify]`` does that nobody has agreed to yet; ``mark`` identifies its content."""

    mark: str
    does: list[str]


class SettingsWritten(TypedDict):
    """``POST /api/manifest/settings``: the unified diff, and the file's new revision once written."""

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
    """A training method: its ``name`` in a config, and its ``label`` for the user.

    ``preference`` is what it learns preferences from: pairs of answers, or rated answers.
    """

    name: str
    label: str
    preference: NotRequired[Literal["pair", "rating"]]


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
    data: NotRequired[list[str]]
    """Files of the project to train on instead of the trainer's data set."""
    parent: NotRequired[RequestedParent]
    """The job whose adapter is the starting point, or a checkpoint of it."""
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


CANCELLED_ERROR: Final = "Job cancelled"
"""The ``error`` of the managed backend's ``training.failed`` for a cancelled job."""
NON_FINITE: Final = "non-finite"
DIVERGING: Final = "diverging"
"""A ``code`` of ``training.message``."""


class JobPause(TypedDict):
    """Step and reason of a pause; the fields are those of ``training.paused``."""

    step: int
    reason: str
    message: NotRequired[str]
    needs: NotRequired[int]


class JobParent(TypedDict):
    """The checkpoint from which a job started: after ``step`` of another job, which may be deleted by now."""

    jobId: str
    step: int
    name: NotRequired[str]


class RequestedParent(TypedDict):
    """The job to start from: after ``step``, or from its final adapter."""

    jobId: str
    step: NotRequired[int]


class EvaluationDifference(TypedDict):
    """Base loss minus adapter loss, mean per token, with its interval: above zero the adapter is better."""

    mean: float
    low: float
    high: float


class AnswerRates(TypedDict):
    """Statistics of a model's answers: mean length in ``tokens``, shares truncated, repetitive, refusing.

    Refusals are detected by an answer's first words, in English.
    """

    tokens: float
    truncated: int
    repeating: int
    refusing: int


class EvaluationAnswers(TypedDict):
    """Greedy answers of base and adapter to ``count`` general questions, of at most ``longest`` tokens."""

    count: int
    longest: int
    base: AnswerRates
    adapter: AnswerRates
    sentence: str


class EvaluationPart(TypedDict):
    """Base and adapter compared on one set of ``rows``.

    ``verdict`` is ``better`` or ``worse`` (the whole interval lies beyond the margin), ``same`` (all of it
    lies within the margin) or ``unclear`` (neither, or too few rows); ``sentence`` has the figures.
    ``confidence`` is the interval's level in percent; ``rowsToSettle`` estimates the rows needed to settle
    ``unclear``. ``tooFew``: there are too few independent rows for a verdict, and the interval means nothing.
    ``of`` is the full number of rows if only some were measured to save time. If ``metric`` is
    present and not ``loss``, ``base`` and ``adapter`` are mean scores (higher is better); a positive
    difference always favours the adapter. ``answers`` is present for general questions that were answered.
    ``measure`` is the training method's loss on held-out rows; lower is better unless it says otherwise. With
    ``preferred``, the verdict is that of preferences, and the difference that of their mean reward margins.
    With ``classified``, ``base`` is the accuracy of always answering the most frequent label; ``retrieved``
    is present for an embedder that was measured by search, ``reranked`` for a reranker, whose ``base`` is the
    order of the rows.
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
    tooFew: NotRequired[bool]
    of: NotRequired[int]
    metric: NotRequired[str]
    answers: NotRequired[EvaluationAnswers]
    measure: NotRequired[EvaluationMeasure]
    preferred: NotRequired[EvaluationPreferred]
    classified: NotRequired[EvaluationClassified]
    retrieved: NotRequired[EvaluationRetrieved]
    reranked: NotRequired[EvaluationReranked]


class EvaluationRetrieved(TypedDict):
    """How well an embedder and its base find the right ones among ``documents``: means over rows, of which
    ``queries`` are distinct.

    ``mrr`` is the mean reciprocal rank among the first 10.
    """

    queries: int
    documents: int
    mrr: EvaluationBoth
    recall: list[EvaluationRecall]


class EvaluationReranked(TypedDict):
    """A reranker's order of each query's documents, beside that of the rows (``base``): ``mrr`` as in
    :class:`EvaluationRetrieved`.
    """

    queries: int
    mrr: EvaluationBoth


class EvaluationBoth(TypedDict):
    """One figure of ``base`` and ``adapter``."""

    base: float
    adapter: float


class EvaluationRecall(TypedDict):
    """The share of right documents among the first ``k``."""

    k: int
    base: float
    adapter: float


class EvaluationClassified(TypedDict):
    """A classifier's results on held-out rows, beside always answering ``majority``, the label with the most
    training rows: the base has no classifier to compare with.

    There are so many ``labels``. ``confusion`` counts rows by label and predicted label, the most frequent
    combinations first; of very many, only those. ``baselines`` are others that it is compared with, and
    ``sentences`` describe them and the calibration. If rows may have several labels, a label here is a
    combination of them, such as ``a + b``, and there is ``microF1``.
    """

    majority: str
    accuracy: EvaluationShare
    majorityAccuracy: float
    macroF1: EvaluationShare
    microF1: NotRequired[EvaluationShare]
    majorityMacroF1: float
    labels: int
    confusion: list[EvaluationConfusion]
    baselines: list[EvaluationBaseline]
    sentences: list[str]
    calibration: NotRequired[EvaluationCalibration]


class ClassifiedText(TypedDict):
    """``POST /v1/inference/classify``: the probability of each of ``labels``, after calibration."""

    labels: list[str]
    probabilities: list[float]


class FoundText(TypedDict):
    """The number of a text in the request, from 0, and its ``score``: by an embedder its cosine with the
    query, from -1 to 1; by a reranker its relevance, from 0 to 1.
    """

    index: int
    score: float


class SearchResult(TypedDict):
    """``POST /v1/inference/search``: up to 50 of the texts, the best first."""

    results: list[FoundText]


class EvaluationBaseline(TypedDict):
    """Another way to label held-out rows: ``zeroShot`` is the label that the base finds most likely after a
    prompt with the text, ``tfidf`` a logistic regression on TF-IDF features.

    ``accuracy`` is its own and ``classifier`` the classifier's, on the same ``rows``; the ``difference`` is
    positive if the classifier is better. ``verdict`` is as in `EvaluationPart`.
    """

    kind: Literal["zeroShot", "tfidf"]
    rows: int
    accuracy: float
    classifier: float
    difference: EvaluationDifference
    confidence: int
    verdict: str


class EvaluationCalibration(TypedDict):
    """The ``temperature`` by which a classifier's logits are divided, with the expected calibration error and
    the log loss of the held-out rows with it (by cross-fitting) and before.
    """

    temperature: float
    errorBefore: float
    error: float
    logLossBefore: float
    logLoss: float


class EvaluationConfusion(TypedDict):
    """The number of ``rows`` with this ``label`` for which another one, or the same, was ``predicted``."""

    label: str
    predicted: str
    rows: int


class EvaluationPreferred(TypedDict):
    """Preferences that the adapter follows more than its start: ``won`` ``of`` the independent held-out ones.

    ``kind`` is ``pair`` or ``rating``; ``low`` and ``high`` bound the share. ``equalLength`` estimates the
    share if both answers of each pair were equally long.
    """

    kind: str
    won: float
    of: int
    low: float
    high: float
    equalLength: NotRequired[EvaluationShare]


class EvaluationShare(TypedDict):
    """A share between 0 and 1, with its interval."""

    share: float
    low: float
    high: float


class EvaluationMeasure(TypedDict):
    """What base and adapter are measured by: a display ``label``, and the ``unit`` of the values.

    ``higher`` is true if more is better, as of rewards. ``rate``: each row has 0 or 1, so the means are
    success rates.
    """

    label: str
    unit: str
    higher: NotRequired[bool]
    rate: NotRequired[bool]


class EvaluationWarning(TypedDict):
    """Why a better result may not be one, with answers of both as examples.

    The reward rose while something else got worse, training taught the adapter not to stop, or its answers
    began to repeat themselves.
    """

    sentence: str
    examples: list[EvaluationAnswer]


class EvaluationStopping(TypedDict):
    """How likely ``base`` and ``adapter`` stop where an answer is complete: geometric means of probabilities.

    ``ended`` of ``rows`` training examples end with an end mark, which teaches a model to stop. ``cause``
    says why others don't, if the adapter stops less often beyond doubt.
    """

    base: float
    adapter: float
    rows: int
    ended: int
    sentence: str
    cause: NotRequired[str]


class EvaluationRate(TypedDict):
    """A share or a mean length of ``count`` answers of each model; ``low`` and ``high`` bound the difference
    ``adapter`` - ``base``.
    """

    base: float
    adapter: float
    low: float
    high: float
    count: int


class EvaluationThinking(TypedDict):
    """The share of answers with thoughts, with ``enable_thinking`` ``on`` and ``off``, by base and adapter.

    With the switch on, ``tokens`` is the mean length of the thoughts, zero for answers without any, and
    ``ended`` the share that ended within ``longest`` tokens, of the questions on which both models think;
    absent without any. ``confidence`` is the intervals' level in percent.
    """

    on: EvaluationRate
    off: EvaluationRate
    tokens: EvaluationRate
    ended: NotRequired[EvaluationRate]
    longest: int
    confidence: int
    sentence: str


class EvaluationSplit(TypedDict):
    """How the held-out rows were separated from the training rows.

    ``rows`` of ``groups`` are held out; rows of a group share the value of ``column`` or a passage that they
    were made from, have the same prompt, or are near duplicates. From a separate evaluation set, ``leftOut``
    rows are skipped because they were trained on; ``trainedOn`` says that this applies to all.
    ``notCompared``: there were too many rows to search for near duplicates. ``sentence`` describes anything
    unusual, or is empty.
    """

    rows: int
    groups: int
    column: NotRequired[str]
    leftOut: NotRequired[int]
    trainedOn: NotRequired[int]
    notCompared: NotRequired[bool]
    sentence: str


class EvaluationChoice(TypedDict):
    """How the adapter was chosen from a run's ``evaluations``: by early stopping, or as a checkpoint.

    ``chose`` held-out rows are for choosing, so only the ``judged`` others count in the verdict. If they are
    too few to halve, all choose, ``judged`` is 0, and there is no verdict.
    """

    evaluations: int
    chose: int
    judged: int
    sentence: str


class EvaluationWatched(TypedDict):
    """The run could end at any of its ``planned`` evaluations (``stopWhen``), or it is a checkpoint's.

    This is the adapter of evaluation ``number``. The interval on the held-out rows is one of a sequence, all
    of which hold together: docs/live-verdict.md.
    """

    number: int
    planned: int
    sentence: str


class EvaluationBudget(TypedDict):
    """How the step and the strength of the final adapter were chosen by ``maxHarm``, in nats per token.

    ``harm`` is the mean difference of the adapter's and the base's losses on ``questions`` general questions
    at this ``strength``, and ``most`` its upper bound, with 95 % confidence, absent with too few questions.
    ``kept``: that bound is below the limit, and the next strength's is not, unless this is 1. ``step`` is one
    of ``steps`` whose adapters were tried; both are absent if only the last one's was. ``cost`` is the
    difference of the held-out rows' losses from those of the last step at strength 1, absent if it is that;
    ``divergence`` is the KL divergence from the base at the tokens of held-out answers. Both are absent
    without held-out rows.
    """

    maxHarm: float
    kept: bool
    strength: float
    step: NotRequired[int]
    steps: NotRequired[int]
    harm: float
    most: NotRequired[float]
    questions: int
    cost: NotRequired[EvaluationDifference]
    divergence: NotRequired[float]
    sentence: str


class EvaluationStrength(TypedDict):
    """An adapter's mean losses on the rows of its verdict at a ``strength`` between 0 (its base) and 1."""

    strength: float
    heldOut: float
    general: float


class Evaluation(TypedDict):
    """``evaluation.completed``, and ``evaluation`` of a job: how an adapter compares with its base.

    ``verdict`` combines the task and general ability: ``better``, ``mixed`` (better at the task, worse in
    general), ``same``, ``unclear`` or ``worse``; ``sentence`` describes it for display. ``margin`` is the
    smallest difference in mean loss per token that matters: ``verdictMargin`` of the config, or
    ``noiseFloor`` if larger, which is how far repeated measurements move the base's mean. ``heldOut`` covers
    the held-out rows, ``general`` questions unrelated to the data, ``sets`` the job's own ``evaluations``.
    ``bestStep`` is the step with the lowest loss on the rows that choose, and ``bestSentence`` says whether
    the final adapter is as good on those that judge. If it is not the final step, ``bestVerdict`` says
    whether it is better, and ``bestKept`` whether its checkpoint exists. ``step`` is a checkpoint's, absent
    for the final adapter; ``data`` is the file of the rows, unless they are the held-out ones. ``split``
    describes the separation, ``choice`` how the adapter was chosen, if it was, ``watched`` that the run could
    end at any evaluation, and ``stopping`` whether answers still end. ``thinking`` is present for models
    with a thinking switch, ``strengths`` once they were requested, ``budget`` if ``maxHarm`` chose the
    final adapter's strength.
    """

    verdict: str
    sentence: str
    margin: NotRequired[float]
    noiseFloor: NotRequired[float]
    split: NotRequired[EvaluationSplit]
    choice: NotRequired[EvaluationChoice]
    watched: NotRequired[EvaluationWatched]
    heldOut: NotRequired[EvaluationPart]
    general: NotRequired[EvaluationPart]
    sets: NotRequired[list[EvaluationPart]]
    stopping: NotRequired[EvaluationStopping]
    thinking: NotRequired[EvaluationThinking]
    strengths: NotRequired[list[EvaluationStrength]]
    budget: NotRequired[EvaluationBudget]
    warning: NotRequired[EvaluationWarning]
    bestStep: NotRequired[int]
    bestSentence: NotRequired[str]
    bestVerdict: NotRequired[str]
    bestKept: NotRequired[bool]
    extendTo: NotRequired[int]
    """Steps to extend the job to: the held-out loss was still falling at its end."""
    step: NotRequired[int]
    data: NotRequired[str]
    seconds: NotRequired[float]


class EvaluationRow(TypedDict):
    """One held-out row: its mean losses per token over ``tokens`` learned tokens, prompt and wanted answer.

    ``where`` is its location in the data for the user; ``group`` is the number of its group. Long texts are
    shortened. ``messages`` has everything before the answer if that is more than the prompt, and is empty if
    too long. For a measure of answers, ``baseAnswer`` and ``adapterAnswer`` are those that were measured.
    ``confidence`` is the probability of a classifier's likeliest label.
    ``chose``: the adapter was chosen by this row, among others, so it does not count in the verdict.
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
    baseAnswer: NotRequired[str]
    adapterAnswer: NotRequired[str]
    confidence: NotRequired[float]
    chose: NotRequired[bool]


class EvaluationAnswer(TypedDict):
    """Answers of base and adapter to a general question; a truncated answer is marked."""

    question: str
    base: str
    adapter: str


class EvaluationResult(TypedDict):
    """``GET /v1/jobs/:id/evaluation``; of very many rows, those that changed most.

    ``answers`` are those behind the figures in ``evaluation.general.answers``.
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
    """A requested evaluation that is not done: waiting for training to end, running, or failed."""

    state: Literal["waiting", "running", "failed"]
    step: NotRequired[int]
    data: NotRequired[str]
    progress: NotRequired[Progress]
    error: NotRequired[str]


class Ballot(TypedDict):
    """``POST /v1/jobs/:id/votes``: a blind preference between two answers.

    ``one`` and ``other`` name the models in a reader's own words; ``left`` is the one shown on the left.
    """

    voter: str
    one: str
    other: str
    choice: Literal["one", "other", "tie"]
    left: Literal["one", "other"]
    question: str


class Vote(Ballot):
    """A stored ballot; ``at`` is ISO 8601 in UTC."""

    id: str
    at: str


class Votes(TypedDict):
    """``GET /v1/jobs/:id/votes``, in chronological order."""

    votes: list[Vote]


class ForecastMemory(TypedDict):
    """Memory of the training process or its device, in bytes; null if the system does not report it."""

    name: NotRequired[str]
    peakBytes: int
    freeBytes: int | None
    totalBytes: int | None


class ForecastGpu(TypedDict):
    """Memory of one of the GPUs over which a model is spread, in bytes."""

    peakBytes: int
    totalBytes: int


class ForecastFix(TypedDict):
    """Settings, by field, with which a job would fit; ``words`` describes them, ``peakBytes`` is the peak."""

    settings: dict[str, object]
    words: str
    peakBytes: NotRequired[int]


class ForecastStreaming(TypedDict):
    """A job fits because the layers of its model are read from their files as they are used.

    Its steps take ``slower`` times as long as in memory; missing if they were not measured there.
    """

    slower: NotRequired[float]


class Forecast(TypedDict):
    """Estimated time and memory of a job: docs/contract.md#forecasts.

    All fields but ``id`` and ``state`` are present once it is ``measured``; ``error`` if it ``failed``.
    ``notes`` are phrases about what the time includes at most, or leaves out.
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
    gpus: NotRequired[list[ForecastGpu]]
    streaming: NotRequired[ForecastStreaming]
    rows: NotRequired[int]
    lookedAtRows: NotRequired[int]
    cutRows: NotRequired[int]
    tokens: NotRequired[int]
    learnedTokens: NotRequired[int]
    diskBytes: NotRequired[int]
    freeDiskBytes: NotRequired[int | None]
    checkpoints: NotRequired[int]
    notes: NotRequired[list[str]]
    fits: NotRequired[bool]
    fixes: NotRequired[list[ForecastFix]]


AuthMode = Literal["none", "fixed_api_key"]
EngineName = Literal["auto", "exact", "llama.cpp"]


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
    now; only the response about this single deployment has it. ``expiresAt``: when the managed backend
    deletes it, if it does.
    """

    id: str
    slug: str
    orgId: str
    projectId: str
    target: DeploymentTarget
    authMode: AuthMode
    urlFormat: str
    enabled: bool
    customDomain: NotRequired[str | None]
    runRetentionMode: NotRequired[str | None]
    runRetentionDays: NotRequired[int | None]
    expiresAt: NotRequired[str | None]
    createdAt: str
    updatedAt: str
    engine: NotRequired[EngineName]
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

    ``used``: at least one job needs it. ``shared``: it is in a cache that other programs use, too.
    """

    name: str
    bytes: int
    used: NotRequired[bool]
    shared: NotRequired[bool]


class Disk(TypedDict):
    """``GET /v1/disk``, in bytes: usage of each job and base model. Feature ``delete``.

    ``leftovers`` belongs to no job, ``embeddings`` of rows can be made again. ``database`` is the size of
    jobs' records and events; ``unused`` of it can be reclaimed. ``free`` is the free space on the disk.
    """

    jobs: list[JobOnDisk]
    models: list[ModelOnDisk]
    leftovers: int
    embeddings: NotRequired[int]
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
    nats per token, ``firstChoices`` and ``sureChoices`` are shares, ``loss`` each model's mean per token. An
    embedder or a reranker has none of these, but a ``distance``: the largest difference of a number of its
    vectors, or of its logits.
    """

    verdict: str
    sentence: str
    faults: list[str]
    texts: int
    allowed: dict[str, float]
    prompts: NotRequired[int]
    agreeingTokens: NotRequired[int]
    answerTokens: NotRequired[int]
    tokens: NotRequired[int]
    firstChoices: NotRequired[float]
    sureChoices: NotRequired[float]
    divergence: NotRequired[float]
    divergenceOfBase: NotRequired[float]
    loss: NotRequired[dict[str, float]]
    distance: NotRequired[float]
    distanceOfBase: NotRequired[float]


class ExportProgress(Progress):
    """How far an export has come; ``secondsLeft`` is the remaining time of its ``label``, once known."""

    secondsLeft: NotRequired[float]


class ExportFormat(TypedDict):
    """A format for exporting a job's result, or the ``problem`` that prevents it.

    ``label`` is its name for people, and ``hint`` says what it is for. ``install`` is a shell command for the
    backend's machine that installs what is missing.
    """

    format: str
    label: NotRequired[str]
    hint: NotRequired[str]
    problem: NotRequired[str]
    install: NotRequired[str]


class NewExport(TypedDict):
    """A requested export: docs/contract.md#exports.

    ``attended``: it is cancelled when its client no longer asks for it.
    """

    format: str
    step: NotRequired[int | None]
    quantization: NotRequired[str | None]
    strength: NotRequired[float]
    attended: NotRequired[bool | None]


class Export(TypedDict):
    """A job's result in a format for other programs.

    ``format`` is ``adapter``, ``merged`` or ``onnx``, with the feature ``gguf`` also ``gguf``, ``gguf-lora``
    or ``ollama``; ``quantization`` is the GGUF quantization type, ``strength`` the adapter's scale in it.

    It waits until no job is training. ``files`` and ``bytes`` are there from ``verifying`` on, ``proof`` and
    ``usage`` once it is ``completed``, and ``error`` when it ``failed``. ``step`` is that of a checkpoint,
    and left out for the final adapter. ``usage`` has ``[program, line]`` for each program that reads it, with
    the placeholders FOLDER and NAME; ``hubUsage`` has the same for its files in a repository on the Hub, with
    REPOSITORY and NAME.
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
    hubUsage: NotRequired[list[list[str]]]


class StartRequest(TypedDict):
    """A run that a program wants to start, such as an assistant through ``arkor-dev mcp``.

    ``changes`` are the settings that differ from the trainer's, ``expiresAt`` a Unix time in seconds.
    """

    id: str
    client: str
    name: str
    model: str
    data: str
    changes: list[list[str]]
    dryRun: bool
    expiresAt: int


class EnginePlan(TypedDict):
    """What would be installed where: ``folder``, its disk's ``free`` bytes, and PyTorch's version.

    ``fetch`` and ``disk`` are bytes to download and on the disk, null for a build that was never measured;
    ``words`` say the same in sentences.
    """

    folder: str
    free: int
    pytorch: str | None
    fetch: int | None
    disk: int | None
    words: list[str]


class EngineProgress(TypedDict):
    """An installation so far: ``fetched`` and ``unpacked`` are bytes, ``now`` is its current activity."""

    seconds: float
    fetched: int
    unpacked: int
    now: str


class EngineSetup(TypedDict):
    """The engine for training on this machine.

    ``next`` is the command that uses it once it is installed; null if this Studio waits for it and continues.
    """

    state: Literal["missing", "looking", "planned", "installing", "installed", "failed"]
    next: str | None
    plan: EnginePlan | None
    progress: EngineProgress | None
    error: str | None
