"""Leaves rows out of a training run by giving them weight zero, with everything else bit-identical.

Such a row keeps its position in the order of rows, in its batch and in the schedule, and it still counts in
the denominator of its batch's mean. Only its loss is missing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from arkor_dev.local.checkpoints.origin import hash_of_rows
from arkor_dev.local.modeling.example import IGNORED
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from arkor_dev.local.modeling.example import Example


def without(
    left_out: Mapping[str, Any], train: Sequence[Example], held_out: Sequence[Example]
) -> list[Example]:
    """Return ``train`` with weight zero for the rows listed in ``left_out``; see ``job_config.LEFT_OUT``.

    Raises JobFailure if the rows have changed since, or one of them is missing.
    """
    if left_out["hash"] != hash_of_rows(train, held_out):
        raise JobFailure(
            "The data has changed since the job that this one repeats: without the same rows, nothing can be "
            "compared"
        )
    locations = set(left_out["rows"])
    if missing := locations - {example.where for example in train}:
        raise JobFailure(f"{min(missing)} is not a training row of this job")
    return [_weightless(example) if example.where in locations else example for example in train]


def _weightless(example: Example) -> Example:
    return replace(example, labels=[IGNORED] * len(example.ids), counts=example.weight)
