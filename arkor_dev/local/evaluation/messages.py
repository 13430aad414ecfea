"""Messages to and from the process that compares stored losses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from arkor_dev.contract.shapes import EvaluationPart
from arkor_dev.local.workers.codec import Message, Trusted

from .results import Scores


@dataclass(frozen=True)
class CompareScores(Message):
    """Compare the adapter of ``scores`` with that of ``other_scores``, of the job ``other_job``.

    ``called`` describes the rows, unless they are the held-out ones. `results.is_score` has checked both.
    """

    scores: Annotated[Scores, Trusted()]
    other_scores: Annotated[Scores, Trusted()]
    other_job: str
    called: str | None


@dataclass(frozen=True)
class Compared(Message):
    """The contract's ``EvaluationPart``."""

    comparison: EvaluationPart
