"""Shapes of data sets: findings in rows, and the feature ``datasets`` (docs/contract.md#data-sets)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NotRequired, TypedDict

if TYPE_CHECKING:
    from .shapes import ChatMessage


class FindingRow(TypedDict):
    """A row of a finding: its number from 1, its location for the user, and an excerpt.

    ``excerpt`` is one line without control characters, with secrets masked.
    """

    row: int
    where: str
    excerpt: str


class Finding(TypedDict):
    """A problem or an oddity in the rows of a data set.

    ``code`` identifies the check; ``title`` is one line that includes the count, ``why`` describes the effect
    on the model and ``fix`` the remedy. It affects ``count`` rows; ``rows`` holds the first few.
    """

    code: str
    level: Literal["error", "warning", "note"]
    title: str
    why: str
    fix: str
    count: int
    rows: list[FindingRow]


class CheckedFile(TypedDict):
    """A file of a data set and its detected form, such as ``ShareGPT, JSON Lines, gzip``."""

    name: str
    words: str


class DataCheck(TypedDict):
    """The result of a data check; ``leftOut`` lists in sentences what was not checked."""

    rows: int
    files: list[CheckedFile]
    findings: list[Finding]
    leftOut: list[str]


class Preparation(TypedDict):
    """Progress of slow work; ``total`` is null if unknown."""

    label: str
    done: float
    total: float | None
    unit: str


class MixedSource(TypedDict):
    """A source of a data set, by name: its trainable ``rows``, and how often an epoch uses each of those that
    are not held out, its ``weight``.
    """

    name: str
    rows: int
    weight: float


class DatasetView(TypedDict):
    """A data set as a trainer's model sees it, and how far it has been read.

    ``opening`` until the model's tokenizer is there, ``reading`` until every row has been tokenized, then
    ``ready``; ``changed`` once its file has changed, ``failed`` with an ``error``. ``indexed`` rows have been
    found and can be viewed, ``rows`` is null until that is all of them; ``read`` of them have been tokenized,
    and ``tokens``, ``learned``, ``roles`` and ``findings`` are of those, without the ``excluded`` ones and
    those ``leftOut`` by judgements. ``sources`` are those of a list, by the same numbers. A job of this
    config would cut at ``maxLength``, and the model takes ``context``: null until the tokenizer is there.
    """

    id: str
    state: Literal["opening", "reading", "ready", "changed", "failed"]
    error: NotRequired[str]
    progress: NotRequired[Preparation]
    source: str
    sources: NotRequired[list[MixedSource]]
    form: str
    model: str
    rows: int | None
    indexed: int
    read: int
    excluded: int
    leftOut: int
    maxLength: int | None
    context: int | None
    tokens: int
    learned: int
    roles: dict[str, int]
    """Tokens by role; ``template`` counts those that the chat template adds."""
    findings: list[Finding]


class DatasetLengths(TypedDict):
    """What truncation after ``n`` tokens would lose, for every ``n`` up to the last index of ``rows``.

    ``rows[n]`` rows have ``n`` tokens; the last entry includes all longer rows, which have ``beyond`` more
    tokens. ``learned[n]`` rows learn the token at index ``n`` (from 0); ``learnedBeyond`` counts learned
    tokens past the last index. In ``first[n]`` rows the first learned token is at index ``n``.
    """

    read: int
    rows: list[int]
    beyond: int
    learned: list[int]
    learnedBeyond: int
    first: list[int]


class DatasetRow(TypedDict):
    """Summary of a row. ``error`` says why it has no tokens; ``excerpt`` is its beginning.

    ``length`` counts the tokens of its longest example. ``label`` is what a classifier is to say of the text,
    or the score of two texts.
    """

    row: int
    where: str
    excerpt: str
    length: int
    learned: int
    label: NotRequired[str]
    error: NotRequired[str]
    excluded: NotRequired[bool]
    """The data set's ``exclude`` names it: it is not trained on, and its tokens are not counted."""
    leftOut: NotRequired[bool]
    """Likewise, because of its judgements."""


class RowExclusion(TypedDict):
    """How a row is excluded: by this ``entry`` in the ``exclude`` of source number ``source``, from 0."""

    source: int
    entry: str
    excluded: bool


class TokenRun(TypedDict):
    """A run of consecutive tokens with equal properties: ``role`` is a message's, or ``template``.

    ``weight`` is that of each token in the loss, 0 if it is not learned.
    """

    count: int
    weight: float
    role: str


class DatasetTokens(TypedDict):
    """A row token by token, before truncation. ``ids``, ``texts`` and ``runs`` cover ``shown`` tokens.

    ``examples`` holds the token counts of its examples: one, or several if the chat template rewrites earlier
    turns. ``length`` is the longest. Joined, the texts are the template's output; a token that completes a
    character begun by an earlier one has an empty text. ``special`` lists the indices of special tokens.
    ``first`` is the index of the first learned token, null without one. ``label`` as in `DatasetRow`: with
    it, no token is learned, as the text is only read.
    """

    row: int
    where: str
    length: int
    examples: list[int]
    learned: int
    first: int | None
    roles: dict[str, int]
    shown: int
    ids: list[int]
    texts: list[str]
    special: list[int]
    runs: list[TokenRun]
    label: NotRequired[str]
    exclusion: NotRequired[RowExclusion]
    error: NotRequired[str]
    """Why it has no tokens."""
    raw: NotRequired[str]
    """Its source text, if it has no tokens."""


class DatasetFound(TypedDict):
    """The row that matched a search, or null; the search has reached row ``reached``."""

    row: int | None
    reached: int
    rows: NotRequired[list[int]]
    """All rows that matched up to ``reached``, if ``count`` of them were requested."""


class RowEmbeddings(TypedDict):
    """The state of a view's embeddings or losses: ``none`` until requested for the rows' current content."""

    state: Literal["none", "waiting", "running", "completed", "failed"]
    progress: NotRequired[Preparation]
    error: NotRequired[str]


class SimilarRow(TypedDict):
    """A row like another one, by the cosine of both embeddings, -1 to 1, after the mean was subtracted."""

    row: int
    similarity: float
    excerpt: str
    heldOut: NotRequired[bool]


class RowGroup(TypedDict):
    """Rows of similar meaning: ``terms`` are words that set them apart, ``examples`` the most typical rows.

    ``heldOut`` counts the held-out rows, also those of a separate evaluation set, which ``rows`` does not.
    """

    rows: int
    heldOut: int
    terms: list[str]
    examples: list[int]


class RowGroups(TypedDict):
    """Groups of ``rows`` embedded rows, the largest first; none if no groups stand out from chance.

    ``skipped`` rows could not be embedded.
    """

    rows: int
    heldOut: int
    skipped: int
    groups: list[RowGroup]


class RowMap(TypedDict):
    """The first two principal components of the rows' embeddings; columns of one length.

    ``rows`` are numbers of rows, ``groups`` the index of each row's group, -1 without groups.
    """

    rows: list[int]
    x: list[float]
    y: list[float]
    groups: list[int]


class SurprisingRow(TypedDict):
    """A row and its mean loss per learned token, in nats."""

    row: int
    loss: float


class EditableRow(TypedDict):
    """A row of the project's own files, to be edited.

    ``source`` and ``entry`` name it in a change, as in ``exclude``; ``columns`` are those of its source.
    ``record`` is null if it can only be edited as ``text``, and then ``problem`` may say why; without an
    ``entry`` it cannot be edited here. ``packed`` is how its file is packed: it can be unpacked into a copy.
    """

    file: str
    source: int
    columns: dict[str, str]
    entry: str
    record: dict[str, object] | None
    text: str | None
    problem: NotRequired[str]
    packed: NotRequired[str]


class DataChanged(TypedDict):
    """A change of ``rows`` rows in ``files``, and the ``undo`` that reverts it."""

    undo: str
    rows: int
    files: list[str]


class FixedRow(TypedDict):
    """A row of a plan of fixes: another ``text``, or ``delete``."""

    source: int
    entry: str
    text: str | None
    delete: bool


class DataFixes(TypedDict):
    """Fixes of findings: how many rows by finding, ``rows`` in all, and how they would change.

    ``diff`` has a hunk per row, shortened and with secrets masked. ``leftOut`` lists in sentences what cannot
    be fixed. ``undo`` reverts them once they are written.
    """

    counts: dict[str, int]
    rows: int
    diff: str
    leftOut: list[str]
    changes: list[FixedRow]
    undo: NotRequired[str]


class Review(TypedDict):
    """A line of ``data/reviews.jsonl``: a person's judgement of the row with the hash ``row``, 16 hexadecimal
    digits (`arkor_dev.data.exclusions.row_hash`).

    The last line for a row and a person counts; one without a ``verdict`` withdraws it. ``file`` is where the
    row was. ``made`` says how a program made the row; such a row is trained on only if it is accepted.
    """

    row: str
    file: NotRequired[str]
    verdict: NotRequired[Literal["accepted", "rejected", "flagged"]]
    tags: NotRequired[list[str]]
    comment: NotRequired[str]
    by: NotRequired[str]
    at: NotRequired[str]
    made: NotRequired[dict[str, object]]


class ChangedRow(TypedDict):
    """A row that differs between the data of two jobs: where it is (was, if removed), and how it begins."""

    kind: Literal["added", "removed", "changed"]
    where: str
    excerpt: str


class RowDifference(TypedDict):
    """How many rows of a job are the ``same`` as another's; ``rows`` are the first of those that differ.

    A row with the same question as a removed one, or in its place, counts as ``changed``.
    """

    same: int
    changed: int
    added: int
    removed: int
    rows: list[ChangedRow]


class DataDifference(TypedDict):
    """How the rows of a job differ from those of another: the training rows, and the held-out ones."""

    train: RowDifference
    heldOut: RowDifference


class ReviewCount(TypedDict):
    """How many rows have a tag, or how many a person has judged."""

    name: str
    rows: int


class ReviewAgreement(TypedDict):
    """Two people's verdicts on the same rows: ``equal`` of ``rows`` agree.

    Cohen's ``kappa`` with its 95 % interval; null if it is not defined, since both gave one verdict only.
    """

    people: list[str]
    rows: int
    equal: int
    kappa: float | None
    low: float | None
    high: float | None


class RubricAgreement(TypedDict):
    """How far a rubric's judge (``by``), which has ``scored`` rows, agrees with people's verdicts on them.

    Like `ReviewAgreement`; ``needs`` is how many more rows people must judge before the judge is ``heard``,
    which takes a kappa of at least 0.4.
    """

    by: str
    scored: int
    rows: int
    equal: int
    kappa: float | None
    low: float | None
    high: float | None
    needs: int
    heard: bool


class ReviewSummary(TypedDict):
    """The judgements of a trainer's rows. Each of ``rows`` has one verdict of all people, or is ``unseen``.

    ``made`` counts rows that a program made and nobody has accepted or rejected, ``disputed`` those on which
    people disagree. ``by`` is the name of this computer's user.
    """

    file: str
    rows: int
    accepted: int
    rejected: int
    flagged: int
    unseen: int
    made: int
    disputed: int
    tags: list[ReviewCount]
    people: list[ReviewCount]
    agreement: list[ReviewAgreement]
    rubrics: list[RubricAgreement]
    by: str


class ReviewedRow(TypedDict):
    """The judgements of one row; ``hash`` is empty for a row that cannot be judged."""

    row: int
    hash: str
    file: str
    verdict: NotRequired[str]
    reviews: list[Review]
    made: NotRequired[dict[str, object]]


class ReviewMark(TypedDict):
    """A row's verdict, for a list of rows; ``made`` rows without one are not trained on yet."""

    row: int
    verdict: NotRequired[str]
    made: NotRequired[bool]


class Correction(TypedDict):
    """A line of ``data/corrections.jsonl``: a conversation that ends with the ideal answer.

    ``instead`` is the original answer, ``by`` the model that gave it, ``at`` the time of the correction.
    """

    line: int
    messages: list[ChatMessage]
    at: NotRequired[str]
    by: NotRequired[str]
    instead: NotRequired[str]


class Preference(TypedDict):
    """A line of a ``file``: which of two answers was preferred, or how one was rated.

    ``kind`` is ``pair`` or ``rating``. ``models`` are those of the chosen and the rejected answer, or that of
    the rated one; ``label`` says whether that is a good one. ``id`` identifies it for undo.
    """

    file: str
    line: int
    kind: str
    models: list[str]
    id: NotRequired[str]
    at: NotRequired[str]
    by: NotRequired[str]
    prompt: NotRequired[list[ChatMessage]]
    label: NotRequired[bool]


class Preferences(TypedDict):
    """``GET /api/preferences``: the newest lines of the ``files`` that have any; ``older`` counts the rest.

    ``pairs`` and ``ratings`` count the lines, ``corrections`` those of ``data/corrections.jsonl`` that
    are pairs. ``problem`` is what is wrong with the first line that cannot be trained on.
    """

    files: list[str]
    rows: list[Preference]
    older: int
    pairs: int
    ratings: int
    corrections: int
    problem: NotRequired[str]


class CorrectionsTrainer(TypedDict):
    """A trainer of ``arkor.toml``, and whether its data set includes the corrections file."""

    name: str
    listed: bool


class Corrections(TypedDict):
    """``GET /api/corrections``: the newest lines; ``older`` counts the rest."""

    file: str
    rows: list[Correction]
    older: int
    trainers: list[CorrectionsTrainer]
    revision: NotRequired[str]
    """Revision of ``arkor.toml``, needed to add the file to a data set there."""


class CorrectionAdded(TypedDict):
    """``POST /api/corrections``. ``sameQuestion`` lists lines with another answer to the same question.

    ``undo`` removes exactly this line while the file is unchanged.
    """

    file: str
    line: int
    sameQuestion: list[int]
    undo: str


class ImportedTraces(TypedDict):
    """The result of converting logs or traces to rows, which are in ``file`` of the project, null if none.

    ``merged`` conversations were the beginning of another one or equal to one, ``others`` are parts without a
    model's answer, such as the span of a tool. ``reasons`` has the first of the ``failed`` answers, each with
    its file, line and reason. ``formats`` are those that were found, by name.
    """

    file: str | None
    rows: int
    merged: int
    others: int
    failed: int
    formats: list[str]
    reasons: list[str]
