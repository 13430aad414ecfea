"""Which rows are held back from training, to measure what it has come to."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from arkor_dev.data.rows import Row
    from arkor_dev.local.training.job_settings import JobSettings

EVAL_SHARE: Final = 0.1
EVAL_MOST: Final = 32
EVAL_FROM: Final = 10


def split(rows: list[Row], settings: JobSettings) -> tuple[list[Row], list[Row]]:
    """Hold back ``datasetSplit`` of the rows, at least one; none when it is 0, or nothing is evaluated.

    Unasked it is a tenth and 32 rows at most, none when there are fewer than ten.
    """
    asked, seed = settings.get("datasetSplit"), settings.get("seed")
    if settings.get("evalSteps") == 0 or len(rows) < 2:
        count = 0
    elif isinstance(asked, int | float) and not isinstance(asked, bool):
        count = min(len(rows) - 1, max(1, round(len(rows) * asked))) if asked > 0 else 0
    else:
        count = max(1, min(EVAL_MOST, int(len(rows) * EVAL_SHARE))) if len(rows) >= EVAL_FROM else 0
    settings.settle("datasetSplit", round(count / len(rows), 4))
    order = list(range(len(rows)))
    random.Random(seed).shuffle(order)  # noqa: S311 - order, not secrecy
    held = set(order[:count])
    return [row for n, row in enumerate(rows) if n not in held], [rows[n] for n in sorted(held)]
