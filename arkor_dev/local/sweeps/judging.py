"""Judges a sweep: compares the winner with the starting settings on rows that played no part in its choice.

One half of the held-out rows selects, the other judges (``evaluation.halves``). Otherwise the best trial's
luck would count as progress (the winner's curse). Both settings are trained with fresh seeds, so that a
seed's luck does not count either.

Two sources vary: rows, and seeds. The rows' interval is that of ``evaluation.paired`` on losses averaged over
seeds; the seeds' is Student's t interval of their paired mean differences (``evaluation.adapter_pairs``). The
reported interval spans both, and there is a winner only if all of it is beyond the margin.
"""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.shapes import SweepVerdict
from arkor_dev.local.evaluation.halves import choosing_half

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arkor_dev.local.evaluation.results import Scores

NOTHING: Final = "nothing beat your settings beyond doubt"
DIGITS: Final = 5


def selecting_loss(scores: Scores) -> float | None:
    """Return the mean loss on the selecting half; None if it has no rows."""
    selected = choosing_half(scores["keys"], scores["groups"])
    losses = [loss for loss, selects in zip(scores["adapter"], selected, strict=True) if selects]
    return fmean(losses) if losses else None


def judged(start: Sequence[Scores], winner: Sequence[Scores], measure: str = "mean loss") -> SweepVerdict:
    """Return the verdict on the stored scores of both settings, in the same order of seeds.

    ``verdict`` is ``better`` or ``none``; ``sentence`` states it with its interval. ``measure`` is the name
    of the rows' score. If higher is better, the scores say so and are negated.
    """
    from arkor_dev.local.evaluation.adapter_pairs import by_run
    from arkor_dev.local.evaluation.paired import compare

    scores = start[0]
    judges = [not selects for selects in choosing_half(scores["keys"], scores["groups"])]
    margin = max(float(run_scores["margin"]) for run_scores in (*start, *winner))

    def rows(runs: Sequence[Scores]) -> list[list[float]]:
        return [[loss for loss, counts in zip(run["adapter"], judges, strict=True) if counts] for run in runs]

    before, after = rows(start), rows(winner)
    groups = [group for group, counts in zip(scores["groups"], judges, strict=True) if counts]
    if not groups:
        return none("no row was left to judge by")
    old, new = ([fmean(losses) for losses in zip(*runs, strict=True)] for runs in (before, after))
    by_rows = compare(old, new, groups, margin)
    means = [[fmean(losses) for losses in runs] for runs in (before, after)]
    by_seeds = by_run(means[1], means[0], margin, "your settings")
    low = min(by_rows.low, by_seeds["difference"]["low"])
    high = max(by_rows.high, by_seeds["difference"]["high"])
    sign = -1 if scores.get("higher") else 1
    verdict = SweepVerdict(verdict="none", sentence="")
    verdict |= {
        "rows": len(groups),
        "groups": by_rows.groups,
        "seeds": len(start),
        "start": round(sign * fmean(means[0]), DIGITS),
        "winner": round(sign * fmean(means[1]), DIGITS),
        "difference": {
            "mean": round(by_rows.mean, DIGITS), "low": round(low, DIGITS), "high": round(high, DIGITS),
        },
        "margin": round(margin, DIGITS),
    }  # fmt: skip
    count = f"{len(groups)} held-out rows that took no part in the choice, {len(start)} fresh seeds each"
    if by_rows.groups < by_rows.minimum:
        return verdict | none(f"{by_rows.groups} independent rows are too few to judge by")
    if by_seeds["verdict"] == by_rows.verdict == "better":
        first, second = _ends(low, high)
        sentence = (
            f"Better than your settings by {first} to {second}: {measure} {verdict['start']:.3f} → "
            f"{verdict['winner']:.3f} on {count}."
        )
        return verdict | SweepVerdict(verdict="better", sentence=sentence)
    first, second = _ends(low, high)
    return verdict | none(f"{NOTHING}: the best trial differs from them by {first} to {second} on {count}")


def none(why: str, missing: str = "No winner") -> SweepVerdict:
    """Return the verdict that there is no winner, with the reason; without one, nothing beat the settings.

    ``missing`` names what there is none of instead.
    """
    return {"verdict": "none", "sentence": f"{missing}: {why or NOTHING}."}


def _ends(low: float, high: float) -> tuple[str, str]:
    """Format an interval with as many digits as the end nearer to zero needs."""
    digits = 2 if abs(low) >= 0.05 else 3
    return f"{low:.{digits}f}", f"{high:.{digits}f}"
