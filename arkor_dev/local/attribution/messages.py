"""Messages to and from the attributing process."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NotRequired, TypedDict

from arkor_dev.contract.attribution import AnswerScore, TracedRow
from arkor_dev.contract.shapes import ChatMessage
from arkor_dev.local.execution.messages import JobRequest
from arkor_dev.local.workers.codec import Message


class RowPlace(TypedDict):
    """A row by its location."""

    where: str


class StoredProof(TypedDict):
    """The contract's ``Proof`` without its state: the scores are there once both jobs have ended."""

    jobs: dict[str, str]
    rows: list[str]
    trained: NotRequired[AnswerScore]
    without: NotRequired[AnswerScore]
    random: NotRequired[AnswerScore]


class AttributionRecord(TypedDict, total=False):
    """An attribution on disk: the contract's ``Attribution`` without its state.

    ``hash`` is that of the rows that the job was trained on, ``random`` are rows to compare the ``similar``
    ones with.
    """

    messages: list[ChatMessage]
    answer: str
    adapter: AnswerScore
    base: AnswerScore
    learned: bool
    rows: int
    hash: str
    close: bool
    similar: list[TracedRow]
    random: list[RowPlace]
    contradicting: list[TracedRow]
    unproven: list[TracedRow]
    proof: StoredProof


@dataclass(frozen=True)
class AttributionRequest(Message):
    """What to find out about the adapter of ``job``: causes of an answer, contradicting rows, or a proof.

    ``messages`` is the conversation, ``answer`` what it is asked about, or None for the adapter's own;
    ``folders`` are the proof's adapters by name. The model follows.
    """

    job: JobRequest
    task: Literal["why", "rows", "prove"]
    messages: list[ChatMessage] = field(default_factory=list)
    answer: str | None = None
    folders: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Attributed(Message):
    """The causes of an answer, or the contradicting rows."""

    found: AttributionRecord


@dataclass(frozen=True)
class Proved(Message):
    """The answer's score by each of the proof's adapters, by name."""

    scores: dict[str, AnswerScore]
