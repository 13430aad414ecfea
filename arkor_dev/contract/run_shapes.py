"""Shapes of the features ``pause``, ``resume``, ``extend``, ``evaluation`` and ``votes``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NotRequired, TypedDict

if TYPE_CHECKING:
    from .shapes import ChatMessage

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


class ResumeRequest(TypedDict):
    """``POST /v1/jobs/:id/resume``; ``force`` accepts changed data or a changed model.

    ``on`` is the new target: a cluster's address, or ``here``; ``workers`` is the number of its processes.
    """

    force: NotRequired[bool]
    on: NotRequired[str]
    workers: NotRequired[int]


class ExtendRequest(TypedDict):
    """``POST /v1/jobs/:id/extend``: the new end, counted from the job's first step; exactly one of the two.

    ``schedule`` is ``continue`` (the learning rate as if the job had had this length from the start; the
    default) or ``restart`` (a new warmup and decay to the new end).
    """

    maxSteps: NotRequired[int]
    numTrainEpochs: NotRequired[float]
    schedule: NotRequired[Literal["continue", "restart"]]
    force: NotRequired[bool]


class EvaluationDifference(TypedDict):
    """Base loss minus adapter loss, mean per token, with its interval: above zero the adapter is better."""

    mean: float
    low: float
    high: float


class AnswerRates(TypedDict):
    """Statistics of a model's answers: mean length in ``tokens``, and shares truncated, repetitive and
    refusing.

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
    ``unclear``. ``of`` is the full number of rows if only some were measured to save time. If ``metric`` is
    present and not ``loss``, ``base`` and ``adapter`` are mean scores (higher is better); a positive
    difference always favours the adapter. ``answers`` is present for general questions that were answered.
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


class EvaluationSplit(TypedDict):
    """How the held-out rows were separated from the training rows.

    ``rows`` of ``groups`` are held out; rows of a group share the value of ``column``, have the same prompt,
    or are near duplicates. From a separate evaluation set, ``leftOut`` rows are skipped because they were
    trained on; ``trainedOn`` says that this applies to all. ``notCompared``: there were too many rows to
    search for near duplicates. ``sentence`` describes anything unusual, or is empty.
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

    ``verdict`` combines the task and general ability: ``better``, ``mixed`` (better at the task, worse in
    general), ``same``, ``unclear`` or ``worse``; ``sentence`` says it in words for display. ``margin`` is the
    smallest difference in mean loss per token that matters: ``verdictMargin`` of the config, or
    ``noiseFloor`` if larger, which is how far repeated measurements move the base's mean. ``heldOut`` covers
    the held-out rows, ``general`` questions unrelated to the data, ``sets`` the job's own ``evaluations``.
    ``bestStep`` is the step with the lowest evaluation loss, and ``bestSentence`` says whether the final
    adapter is as good. If it is not the final step, ``bestVerdict`` says whether it is better, and
    ``bestKept`` whether its checkpoint exists. ``step`` is a checkpoint's, absent for the final adapter;
    ``data`` is the file of the rows, unless they are the held-out ones. ``split`` describes the separation.
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
    """One held-out row: its mean losses per token over ``tokens`` learned tokens, its prompt and wanted
    answer.

    ``where`` is its location in the data for a person; ``group`` is the number of its group. Long texts are
    shortened. ``messages`` has everything before the answer if that is more than the prompt, and is empty if
    too long.
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


class EvaluationProgress(TypedDict):
    """Progress of an evaluation; ``total`` is null while unknown."""

    label: str
    done: float
    total: float | None
    unit: str


class JobEvaluating(TypedDict):
    """A requested evaluation that is not done: waiting for training to end, running, or failed."""

    state: Literal["waiting", "running", "failed"]
    step: NotRequired[int]
    data: NotRequired[str]
    progress: NotRequired[EvaluationProgress]
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
