"""Leaves rows out of a training run by giving them weight zero, with everything else bit-identical.

Such a row keeps its position in the order of rows, in its batch and in the schedule, its length, and it still
counts in the denominator of its batch's mean. Its loss is missing, and its tokens are replaced, so that the
run reads nothing of it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from arkor_dev.local.checkpoints.origin import hash_of_rows
from arkor_dev.local.modeling.example import IGNORED
from arkor_dev.local.workers.errors import JobFailure

from .batches import endless

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from arkor_dev.contract.shapes import LeftOut
    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.training.plan import Plan

BLANK: Final = 0
"""The token in place of those of a row that is left out: every vocabulary has it."""


def without(left_out: LeftOut, train: Sequence[Example], held_out: Sequence[Example]) -> list[Example]:
    """Return ``train`` with weight zero for the rows listed in ``left_out``; see ``job_config.LEFT_OUT``.

    Raises JobFailure if the rows have changed since, or one of them is missing.
    """
    if left_out["hash"] != hash_of_rows(train, held_out):
        raise JobFailure(
            "The data has changed since the job that this one repeats: without the same rows, nothing can be "
            "compared"
        )
    locations = set(left_out["rows"])
    places = {example.where for example in train}
    if missing := locations - places:
        row = min(missing)
        if row in {example.where for example in held_out}:
            raise JobFailure(f"{row} was held out, so the adapter did not learn from it")
        raise JobFailure(f"{row} is not a training row of this job")
    if places <= locations:
        raise JobFailure("No training row would be left")
    return blanked(train, locations)


def blanked(train: Sequence[Example], locations: Collection[str]) -> list[Example]:
    """Return ``train`` with weight zero, and without tokens, for the rows at ``locations``."""
    return [_weightless(example) if example.where in locations else example for example in train]


def first_use(train: Sequence[Example], plan: Plan, locations: Collection[str]) -> int | None:
    """Return the first step (from 1) whose batches have a row at ``locations``; None if no step has."""
    for step, batches in enumerate(endless(train, plan, plan.order_seed), 1):
        if step > plan.steps:
            return None
        if any(row.where in locations for batch in batches for row in batch):
            return step
    raise AssertionError("the order of rows never ends")


def _weightless(example: Example) -> Example:
    size = len(example.ids)
    return replace(example, ids=[BLANK] * size, labels=[IGNORED] * size, weights=None, counts=example.weight)
