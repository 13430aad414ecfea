"""Compares two settings, each trained with several seeds: the unit is the run, not the row.

Rows show which of two adapters is better, which says little about two settings, since runs that differ only
in the seed give different results. So the runs of both are paired by their seed, which gives them the same
held-out rows, and the interval is Student's over the pairs.
"""

from __future__ import annotations

import math
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.settings import by_field

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from arkor_dev.contract.run_shapes import EvaluationPart

FEWEST: Final = 3
"""Fewest seeds, or pairs of runs, for a comparison."""
T: Final = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
"""Student's t for a 95 % interval by degrees of freedom, from 1; the last, wider one covers all above."""
UNTOLD: Final = ("seed", "setByHand")
DIGITS: Final = 5


def by_seed(jobs: Sequence[dict[str, Any]], job: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """Return the completed ``jobs``, newest first, with the settings and data of ``job``, by seed."""
    asked, default = _asked(job["config"]), by_field()["seed"].default
    found: dict[Any, dict[str, Any]] = {}
    for each in (job, *jobs):
        if each["status"] == "completed" and _asked(each["config"]) == asked:
            found.setdefault(each["config"].get("seed") or default, each)
    return found


def _asked(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if value is not None and key not in UNTOLD}


def by_run(ones: Sequence[float], others: Sequence[float], margin: float, other: str) -> EvaluationPart:
    """Compare the held-out losses of runs, in the same order of seeds.

    The job ``other`` takes the base's role. Differences below ``margin`` do not matter.
    """
    gains = [before - after for before, after in zip(others, ones, strict=True)]
    mean, count = fmean(gains), len(gains)
    side = T[min(count - 1, len(T)) - 1] * stdev(gains) / math.sqrt(count)
    low, high = mean - side, mean + side
    if low > margin or high < -margin:
        verdict = "better" if low > margin else "worse"
        words = f"These settings are {verdict} than those of {other}"
    elif -margin <= low and high <= margin:
        verdict, words = "same", f"No difference that matters between these settings and those of {other}"
    else:
        verdict, words = "unclear", f"No clear difference between these settings and those of {other}"
    figures = f"mean held-out loss {fmean(ones):.3f} vs. {fmean(others):.3f} with {count} seeds each"
    ends = (-high, -low) if verdict == "worse" else (low, high)
    interval = f"95 % interval of the difference {ends[0]:.3f} to {ends[1]:.3f}"
    return {
        "name": "seeds",
        "rows": count,
        "base": round(fmean(others), DIGITS),
        "adapter": round(fmean(ones), DIGITS),
        "difference": {"mean": round(mean, DIGITS), "low": round(low, DIGITS), "high": round(high, DIGITS)},
        "confidence": 95,
        "verdict": verdict,
        "sentence": f"{words}: {figures}; {interval}.",
    }
