"""What scores answers: the interface of rules, judges and project functions, and what it sees of a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, NotRequired, Protocol, TypedDict

from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class JudgeFailure(JobFailure):
    """Why a judge gives no scores at the moment. Scores that it has given are kept: a job can resume."""


class AnsweredRow(TypedDict):
    """What a scorer sees of a row: its ``question``, the ``wanted`` answer and the one to score.

    ``columns`` are the row's other columns; ``tools`` and ``calls`` as in `CallFields`.
    """

    question: str
    wanted: str
    answer: str
    columns: NotRequired[Mapping[str, object]]
    tools: NotRequired[list[str]]
    calls: NotRequired[list[list[str]]]


class AnswerScorer(Protocol):
    """Scores answers until it is closed."""

    def __call__(self, rows: Sequence[AnsweredRow]) -> list[float]:
        """Return the score of each of ``rows``. Raises JobFailure, and Stopped."""

    def close(self) -> None: ...
