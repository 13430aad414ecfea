"""``arkor-dev jobs show``: one job, its result and the paths of its files."""

from __future__ import annotations

import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.cli.event_text import figure, left_of, phase_of, size_of, verdict_text
from arkor_dev.contract.events import CHECKPOINT_REMOVED, CHECKPOINT_SAVED, TRAINING_COMPLETED
from arkor_dev.contract.shapes import TERMINAL
from arkor_dev.core.plain_text import one_line
from arkor_dev.jobs.figures import history

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from arkor_dev.backend.client import Backend

LOSSES: Final = {"loss": "loss", "evalLoss": "eval loss", "bestEvalLoss": "best eval"}
LONG: Final = 1000
MOST: Final = 5
"""How many of the first and of the last checkpoints are listed."""


async def artifacts_of(backend: Backend, job: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a job's checkpoints and final artifacts. Raises ArkorError."""
    saved: dict[object, list[dict[str, Any]]] = {}
    final: list[dict[str, Any]] = []
    async with aclosing(history(backend, job["id"], over=job.get("status") in TERMINAL)) as events:
        async for name, data in events:
            listed = data.get("artifacts")
            found = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
            if name == CHECKPOINT_SAVED:
                saved[data.get("step")] = found
            elif name == CHECKPOINT_REMOVED:
                saved.pop(data.get("step"), None)
            elif name == TRAINING_COMPLETED:
                final = found
    return [each for listed in saved.values() for each in listed] + final


def lines_of(job: Mapping[str, Any], artifacts: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Format a job for a terminal: its name, its facts and its files."""
    yield f"{one_line(job.get('name'), LONG)} ({one_line(job['id'], 100)})"
    for label, text in _facts(job):
        yield f"  {label:<11} {text}"
    kept = [each for each in artifacts if each.get("kind") == "checkpoint" and each.get("name") != "best"]
    if kept:
        steps = [f"{step:,.0f}" for each in kept if (step := figure(each.get("step"))) is not None]
        shown = [*steps[:MOST], "…", *steps[-MOST:]] if len(steps) > 2 * MOST else steps
        yield f"  {'checkpoints':<11} of step {', '.join(shown)}"
    for artifact in artifacts:
        if artifact in kept:
            continue
        name = one_line(artifact.get("name") or artifact.get("kind"), 100)
        size = size_of([artifact])
        yield f"  {name:<11} {one_line(artifact.get('path') or '-', LONG)}{f' ({size})' if size else ''}"


def _facts(job: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    metrics, config = _table(job, "metrics"), _table(job, "config")
    step, total = figure(metrics.get("step")), figure(metrics.get("totalSteps"))
    at = "" if step is None else f", step {step:,.0f}" + ("" if total is None else f" of {total:,.0f}")
    phase = [words for words in (phase_of(job), left_of(job, time.time())) if words]
    yield "status", ", ".join([one_line(job.get("status"), 40) + at, *phase])
    for label, text in (
        ("why", _table(job, "pause").get("message")),
        ("error", job.get("error")),
        ("created", job.get("createdAt")),
        ("completed", job.get("completedAt")),
        ("model", config.get("model")),
    ):
        if text:
            yield label, one_line(text, LONG)
    for field, label in LOSSES.items():
        if (loss := figure(metrics.get(field))) is not None:
            yield label, f"{loss:.3f}"
    if evaluation := _table(job, "evaluation"):
        yield "verdict", verdict_text(evaluation)


def _table(job: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = job.get(key)
    return value if isinstance(value, dict) else {}
