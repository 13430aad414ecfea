"""Messages to and from the process that compares stored losses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from arkor_dev.local.workers.codec import Message


@dataclass(frozen=True)
class CompareScores(Message):
    """Compare the adapter of ``scores`` with that of ``other_scores``, of the job ``other_job``.

    ``called`` describes the rows, unless they are the held-out ones.
    """

    scores: dict[str, Any]
    other_scores: dict[str, Any]
    other_job: str
    called: str | None


@dataclass(frozen=True)
class Compared(Message):
    """The contract's ``EvaluationPart``."""

    comparison: dict[str, Any]
