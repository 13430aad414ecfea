"""Selects general questions such that the comparison takes a small part of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arkor_dev.local.evaluation.general import (
    COUNTS,
    DRY,
    Work,
    affordable,
    encoded,
    fewer,
    questions,
)
from arkor_dev.local.evaluation.stage import tokens_of
from arkor_dev.local.training.rows.encoding import Encoding, encode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.training.run import Run


def all_questions(run: Run) -> tuple[list[Example], tuple[int, ...]]:
    """Encode every general question for the model of ``run``, and list the allowed numbers of them."""
    base, dry = run.base, run.settings.get("dryRun")
    asked = questions(DRY if dry else None)
    encoding = Encoding(base.context)
    found = encoded(asked, lambda row: encode(base.tokenizer, row, encoding)[0][0])
    return found, (len(found),) if dry else COUNTS


def general_examples(run: Run, count: int | None = None) -> tuple[list[Example], int]:
    """Select the general questions for the model of ``run``; return them with their full number.

    ``count`` of them, by default as many as the run affords; a few in a dry run.
    """
    found, counts = all_questions(run)
    if not found:
        return [], 0
    plan = run.plan
    count = count or affordable(work_of(run, found), counts, plan.steps, plan.evaluate)
    return fewer(found, count), len(found)


def work_of(run: Run, general: Sequence[Example] = ()) -> Work:
    """Count the tokens that the training of ``run`` and its comparison read."""
    plan = run.plan
    unit = plan.packed_to or tokens_of(run.train) / len(run.train)
    return Work(
        step=unit * plan.batch_size * plan.accumulation,
        held_out=tokens_of(run.held_out),
        question=tokens_of(general) / max(1, len(general)),
    )
