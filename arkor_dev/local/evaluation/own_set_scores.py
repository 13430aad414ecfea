"""Scores answers in a separate process with a time limit, and compares two models' scores."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.local.workers.errors import JobFailure

from .paired import compare
from .words import interval, verdict_words

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence
    from pathlib import Path

    from arkor_dev.contract.shapes import EvaluationPart

    from .paired import Comparison


SECONDS: Final = 60.0
"""Time limit for scoring one model's answers."""
END_SECONDS: Final = 15.0
"""How long the process may take to end what the metric has started."""
RATES: Final = {
    "exact_match": "equal to the wanted answer",
    "contains": "containing the wanted answer",
    "regex": "matching the expression",
    "json_schema": "valid JSON for the schema",
}
DIGITS: Final = 5
MODULE: Final = "arkor_dev.local.evaluation.own_set_worker"


def scored(
    told: Mapping[str, Any], project: Path, rows: Sequence[Mapping[str, str]], name: str
) -> list[float]:
    """Score each of ``rows``, ``{question, wanted, answer}``, by the metric of the set ``told``.

    Raises :class:`JobFailure` if the metric fails or takes too long.
    """
    asked = {key: told.get(key) for key in ("metric", "pattern", "schema")}
    body = json.dumps({**asked, "project": str(project), "rows": list(rows)})
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", MODULE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=project,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        start_new_session=True,
        text=True,
    )
    try:
        out, _ = process.communicate(body, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise JobFailure(f"The metric of {name} took longer than {SECONDS:.0f} s") from None
    finally:
        _end(process)
    try:
        answer = json.loads(out)
        if "error" in answer:
            raise JobFailure(str(answer["error"]))
        scores = [float(score) for score in answer["scores"]]
    except (ValueError, TypeError, KeyError):
        raise JobFailure(f"The metric of {name} ended without scores (status {process.returncode})") from None
    if len(scores) != len(rows):
        raise JobFailure(f"The metric of {name} ended without scores")
    return scores


def _end(process: subprocess.Popen[str]) -> None:
    """End the process and everything it started, which it does itself if it can."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(END_SECONDS)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe:
            pipe.close()


def score_part(
    told: Mapping[str, Any],
    base: Sequence[float],
    adapter: Sequence[float],
    groups: Sequence[Hashable],
    of: int,
) -> EvaluationPart:
    """Return the figures of a scored set, where more is better. ``of``: its full number of rows."""
    metric, rate = told["metric"], told["metric"] in RATES
    # The gain is adapter minus base here. Even a sample of all-correct rows has a sampling error.
    turned = compare(adapter, base, groups, least=1 / len(base) if rate else 0.0)
    compared = replace(turned, base=turned.adapter, adapter=turned.base)
    if rate:
        low, high = max(-1.0, compared.low), min(1.0, compared.high)
        if by_chance(base, adapter) >= 1 - compared.confidence / 100:
            low, high = min(low, 0.0), max(high, 0.0)
        compared = replace(compared, low=low, high=high)
    figures = {"mean": compared.mean, "low": compared.low, "high": compared.high}
    part: EvaluationPart = {
        "name": told["name"],
        "metric": metric,
        "rows": compared.rows,
        "base": round(compared.base, DIGITS),
        "adapter": round(compared.adapter, DIGITS),
        "difference": {key: round(value, DIGITS) for key, value in figures.items()},  # type: ignore[typeddict-item]
        "confidence": compared.confidence,
        "verdict": compared.verdict,
        "sentence": sentence(told["name"], metric, compared),
    }
    if compared.verdict == "unclear" and (needed := compared.rows_to_settle):
        part["rowsToSettle"] = needed
    if of > compared.rows:
        part["of"] = of
    return part


def by_chance(base: Sequence[float], adapter: Sequence[float]) -> float:
    """Return the probability of an at least as one-sided change if both models are equally good.

    The exact test on the changed rows (McNemar, Note on the Sampling Error of the Difference Between
    Correlated Proportions, 1947): the interval alone is too narrow if few rows changed.
    """
    gained = sum(after > before for before, after in zip(base, adapter, strict=True))
    lost = sum(after < before for before, after in zip(base, adapter, strict=True))
    count, most = gained + lost, max(gained, lost)
    return min(1.0, 2 * sum(math.comb(count, each) for each in range(most, count + 1)) / float(2**count))


def sentence(name: str, metric: str, compared: Comparison) -> str:
    """Describe the scores in a sentence."""
    rows = compared.rows
    if metric in RATES:
        right, before = (round(mean * rows) for mean in (compared.adapter, compared.base))
        answers = "answer" if rows == 1 else "answers"
        figures = f"{right} of {rows:,} {answers} {RATES[metric]} vs. {before} for the base"
    else:
        figures = f"mean score {compared.adapter:.2f} vs. {compared.base:.2f} for the base on {rows:,} rows"
    return f"{name}: {verdict_words(compared)}, {figures}; {interval(compared, 2)}."
