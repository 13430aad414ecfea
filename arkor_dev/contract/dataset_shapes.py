"""Shapes of data sets: findings in rows; and of the feature ``datasets`` (docs/contract.md#data-sets)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NotRequired, TypedDict

if TYPE_CHECKING:
    from .shapes import ChatMessage


class FindingRow(TypedDict):
    """A row that a finding names: its number from 1, its place for a person, and a few words of it.

    ``excerpt`` is one line without control characters; secrets in it are masked.
    """

    row: int
    where: str
    excerpt: str


class Finding(TypedDict):
    """One thing that is wrong, or odd, with the rows of a data set.

    ``code`` names the check; ``title`` is one line with the count in it, ``why`` says what it does to the
    model and ``fix`` what to do. ``count`` rows have it, of which ``rows`` are the first few.
    """

    code: str
    level: Literal["error", "warning", "note"]
    title: str
    why: str
    fix: str
    count: int
    rows: list[FindingRow]


class CheckedFile(TypedDict):
    """A file of a data set, and what it was taken for: ``ShareGPT, JSON Lines, gzip``."""

    name: str
    words: str


class DataCheck(TypedDict):
    """What a check of a data set says; ``leftOut`` is what it did not look at, a sentence each."""

    rows: int
    files: list[CheckedFile]
    findings: list[Finding]
    leftOut: list[str]


class Preparation(TypedDict):
    """How far something that takes a while has come; ``total`` is null where nobody knows it."""

    label: str
    done: float
    total: float | None
    unit: str


class DatasetView(TypedDict):
    """A data set as a trainer's model sees it, and how far it has been read.

    ``opening`` until the model's tokenizer is there, ``reading`` until every row has been tokenized, then
    ``ready``; ``changed`` once its file is another, ``failed`` with an ``error``. ``indexed`` rows have
    been found and can be looked at, ``rows`` is null until that is all of them; ``read`` of them have been
    tokenized, and ``tokens``, ``learned``, ``roles`` and ``findings`` are of those, without the ``excluded``
    ones. A job of this config would cut at ``maxLength``, and the model takes ``context``: null until the
    tokenizer is there.
    """

    id: str
    state: Literal["opening", "reading", "ready", "changed", "failed"]
    error: NotRequired[str]
    progress: NotRequired[Preparation]
    source: str
    form: str
    model: str
    rows: int | None
    indexed: int
    read: int
    excluded: int
    maxLength: int | None
    context: int | None
    tokens: int
    learned: int
    roles: dict[str, int]
    """Tokens by role; ``template`` are those that the chat template adds."""
    findings: list[Finding]


class DatasetLengths(TypedDict):
    """What a cut after ``n`` tokens loses, for every ``n`` up to the last index of ``rows``.

    ``rows[n]`` rows have ``n`` tokens; the last entry has all that are longer too, with ``beyond`` tokens of
    them behind it. ``learned[n]`` tokens at place ``n`` (from 0) are learned, ``learnedBeyond`` behind all
    places; the first one that a row learns is at place ``n`` in ``first[n]`` rows.
    """

    read: int
    rows: list[int]
    beyond: int
    learned: list[int]
    learnedBeyond: int
    first: list[int]


class DatasetRow(TypedDict):
    """A row in short. ``error`` says why there are no tokens of it; ``excerpt`` is how it begins.

    ``length`` are the tokens of its longest example.
    """

    row: int
    where: str
    excerpt: str
    length: int
    learned: int
    error: NotRequired[str]
    excluded: NotRequired[bool]
    """The data set's ``exclude`` names it: it is not trained on, and its tokens are not counted."""


class RowExclusion(TypedDict):
    """How a row is excluded: by this ``entry`` in the ``exclude`` of source number ``source``, from 0."""

    source: int
    entry: str
    excluded: bool


class TokenRun(TypedDict):
    """So many tokens in a row that share these: ``role`` is a message's, or ``template``."""

    count: int
    learned: bool
    role: str


class DatasetTokens(TypedDict):
    """A row token by token, before any cut. ``ids``, ``texts`` and ``runs`` are of its first ``shown``.

    It is learned as ``examples`` of so many tokens, one after another: one, or several where the chat
    template rewrites earlier turns. ``length`` is the longest. The texts in order are what the chat template
    made; a token that completes a character which an earlier one began has an empty text. ``special`` are the
    places of special tokens. ``first`` is the place of the first token that is learned, null where none is.
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
    exclusion: NotRequired[RowExclusion]
    error: NotRequired[str]
    """Why it has no tokens."""
    raw: NotRequired[str]
    """How it is written in its file, where it has no tokens."""


class DatasetFound(TypedDict):
    """The row that was searched for, or null; the search has got as far as row ``reached``."""

    row: int | None
    reached: int


class Correction(TypedDict):
    """A line of ``data/corrections.jsonl``: a conversation that ends with what should have been answered.

    ``instead`` is the answer that was given, ``by`` who gave it, ``at`` when it was corrected.
    """

    line: int
    messages: list[ChatMessage]
    at: NotRequired[str]
    by: NotRequired[str]
    instead: NotRequired[str]


class CorrectionsTrainer(TypedDict):
    """A trainer of ``arkor.toml``, and whether its data set has the file."""

    name: str
    listed: bool


class Corrections(TypedDict):
    """``GET /api/corrections``: the newest lines; ``older`` is how many more there are."""

    file: str
    rows: list[Correction]
    older: int
    trainers: list[CorrectionsTrainer]
    revision: NotRequired[str]
    """That of ``arkor.toml``, for who adds the file to a data set there."""


class CorrectionAdded(TypedDict):
    """``POST /api/corrections``. ``sameQuestion`` are lines that answer the same question in another way.

    ``undo`` takes exactly this line out again, while the file is as it is now.
    """

    file: str
    line: int
    sameQuestion: list[int]
    undo: str
