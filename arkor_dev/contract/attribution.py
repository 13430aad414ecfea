"""Shapes and request bodies of the feature ``attribution``: docs/contract.md#attribution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NotRequired, TypedDict

from .rules import Rule, string
from .schema import Field, Schema

if TYPE_CHECKING:
    from .shapes import ChatMessage, Progress

ANSWER_LIMIT: Final = 20_000
MESSAGES_LIMIT: Final = 200
MOST_ROWS: Final = 1000
WHERE_LIMIT: Final = 1000


class AnswerScore(TypedDict):
    """The log-probability of an answer in nats, its number of tokens, and ``text``, the likelier answer."""

    logp: float
    tokens: int
    text: NotRequired[str]


class TracedRow(TypedDict):
    """A training row. ``row`` is its number on the Data page.

    ``score`` is the likeness of its words and those of question and answer, from 0 to 1; of a contradicting
    or unproven row it is the mean cosine of its gradient with those of the rows most like it.
    """

    where: str
    row: NotRequired[int]
    question: str
    answer: str
    score: float


class Reliability(TypedDict):
    """How many of this job's proposals were tested by training, and how many of those were right.

    A proposal is right if the answer lost more without the proposed rows than without random ones.
    """

    proofs: int
    confirmed: int


class Proof(TypedDict):
    """The same job, trained again without some rows, and without as many random ones.

    ``jobs`` are both trainings, or only ``without`` for rows that contradict others. ``trained`` is the job's
    own score of the answer, ``without`` and ``random`` those of the others, once they are known.
    """

    state: Literal["training", "scoring", "completed", "failed"]
    jobs: dict[str, str]
    rows: list[str]
    error: NotRequired[str]
    trained: NotRequired[AnswerScore]
    without: NotRequired[AnswerScore]
    random: NotRequired[AnswerScore]


class Attribution(TypedDict):
    """Which rows are behind an answer; or, without ``messages``, which rows contradict those like them.

    ``learned``: the answer is likelier under the ``adapter`` than under the ``base``; without it no rows are
    proposed. ``similar`` are those of ``rows`` rows whose words are most like question and answer; ``close``
    says whether any is more alike than rows are to answers that no row taught. ``contradicting`` is empty if
    nothing stands out; ``unproven`` then has the rows that agree least with those like them.
    """

    id: str
    state: Literal["waiting", "running", "completed", "failed"]
    messages: NotRequired[list[ChatMessage]]
    answer: NotRequired[str]
    progress: NotRequired[Progress]
    error: NotRequired[str]
    adapter: NotRequired[AnswerScore]
    base: NotRequired[AnswerScore]
    learned: NotRequired[bool]
    rows: NotRequired[int]
    close: NotRequired[bool]
    similar: NotRequired[list[TracedRow]]
    contradicting: NotRequired[list[TracedRow]]
    unproven: NotRequired[list[TracedRow]]
    reliability: NotRequired[Reliability]
    proof: NotRequired[Proof]


def _are_messages(value: object) -> bool:
    return (
        isinstance(value, list)
        and 0 < len(value) <= MESSAGES_LIMIT
        and all(
            isinstance(turn, dict)
            and turn.get("role") in ("system", "user", "assistant")
            and isinstance(turn.get("content"), str)
            and len(turn["content"]) <= ANSWER_LIMIT
            and turn.keys() <= {"role", "content"}
            for turn in value
        )
        and value[-1]["role"] == "user"
    )


def _fault(body: dict[str, object]) -> str | None:
    if body.get("answer") is not None and body.get("messages") is None:
        return "messages is missing: an answer needs the conversation that it ends"
    return None


TRACE: Final = Schema(
    Field(
        "messages",
        Rule(
            "other",
            noun=f"a list of 1 to {MESSAGES_LIMIT} messages {{role, content}} that ends with the user's",
            test=_are_messages,
        ),
        null=True,
    ),
    Field(
        "answer",
        string(
            f"text of 1 to {ANSWER_LIMIT:,} characters that is not blank",
            lambda text: text.strip() and len(text) <= ANSWER_LIMIT,
        ),
        null=True,
    ),
    also=_fault,
)
"""``{messages?, answer?}``: the conversation, and what to trace; by default the adapter's own answer. Without
``messages``, rows that contradict others.
"""

ROW_PLACES: Final = Rule(
    "list",
    1,
    MOST_ROWS,
    f"a list of 1 to {MOST_ROWS:,} locations of rows",
    test=lambda rows: all(isinstance(row, str) and 0 < len(row) <= WHERE_LIMIT for row in rows),
)
PROVE: Final = Schema(Field("rows", ROW_PLACES, null=True))
"""``{rows?}``: the locations of the rows to train without; by default the proposed ones."""
