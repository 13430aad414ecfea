"""Answers scored in a process of its own, within a time limit; and what two models' scores say."""

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
"""How long the answers of one model may be scored."""
END_SECONDS: Final = 15.0
"""How long its process may take to end what the metric has started."""
RATES: Final = {
    "exact_match": "the same as wanted",
    "contains": "with what is wanted in it",
    "regex": "that the expression finds",
    "json_schema": "valid JSON of the schema",
}
DIGITS: Final = 5
MODULE: Final = "arkor_dev.local.evaluation.own_set_worker"


def scored(
    told: Mapping[str, Any], project: Path, rows: Sequence[Mapping[str, str]], name: str
) -> list[float]:
    """The score of each of ``rows``, ``{question, wanted, answer}``, by the metric of the set ``told``.

    Raises :class:`JobFailure` where the metric fails or takes too long.
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
    """Leave nothing of the process and of what it has started, which it ends itself where it can."""
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
    """The contract's figures of a set that was scored: more is better. ``of``: so many rows it has."""
    metric, rate = told["metric"], told["metric"] in RATES
    # What is gained is adapter less base here. A draw of rows that are all right has an error nevertheless.
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
    """How likely so many rows, or more, changed to one side alone where both sides are alike.

    The exact test on the rows that changed (McNemar, Note on the Sampling Error of the Difference Between
    Correlated Proportions, 1947): the interval alone is too sure where only a few have.
    """
    gained = sum(after > before for before, after in zip(base, adapter, strict=True))
    lost = sum(after < before for before, after in zip(base, adapter, strict=True))
    count, most = gained + lost, max(gained, lost)
    return min(1.0, 2 * sum(math.comb(count, each) for each in range(most, count + 1)) / float(2**count))


def sentence(name: str, metric: str, compared: Comparison) -> str:
    """What the scores say, with their figures."""
    rows = compared.rows
    if metric in RATES:
        right, before = (round(mean * rows) for mean in (compared.adapter, compared.base))
        answers = "answer" if rows == 1 else "answers"
        figures = f"{right} of {rows:,} {answers} {RATES[metric]} vs. {before} for the base"
    else:
        figures = f"mean score {compared.adapter:.2f} vs. {compared.base:.2f} for the base on {rows:,} rows"
    return f"{name}: {verdict_words(compared)}, {figures}; {interval(compared, 2)}."
