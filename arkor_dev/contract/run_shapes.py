"""The shapes of the features ``pause``, ``resume``, ``extend``, ``evaluation`` and ``votes``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NotRequired, TypedDict

if TYPE_CHECKING:
    from .shapes import ChatMessage

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


class EvaluationProgress(TypedDict):
    """How far an evaluation has come; ``total`` is null while unknown."""

    label: str
    done: float
    total: float | None
    unit: str


class JobEvaluating(TypedDict):
    """An evaluation that was asked for and is not done: it waits for a training to end, runs, or failed."""

    state: Literal["waiting", "running", "failed"]
    step: NotRequired[int]
    data: NotRequired[str]
    progress: NotRequired[EvaluationProgress]
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
