"""Evaluates a job's adapter: has the backend compare it with its base, and waits for the result."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from arkor_dev.contract.errors import BackendError, ConflictError, NotFoundError
from arkor_dev.core.plain_text import one_line

from . import background_work
from .background_work import unreported

if TYPE_CHECKING:
    from collections.abc import Mapping

    from arkor_dev.backend.client import Backend
    from arkor_dev.contract.shapes import Evaluation, EvaluationPart

    from .background_work import OnProgress

UNREADABLE = "The backend's evaluation is unreadable. Try again later."


async def evaluate(
    backend: Backend, job_id: str, options: Mapping[str, object], on_progress: OnProgress = unreported
) -> None:
    """Start the evaluation of one job's adapter and wait for its end.

    ``options`` are the fields of the call (docs/contract.md); None counts as absent. Raises ArkorError.
    """
    body = {name: value for name, value in options.items() if value is not None}
    try:
        await backend.evaluate_job(job_id, body)
    except ConflictError as refusal:
        # An interrupted command leaves its evaluation running where Studio is open: wait for that one.
        running = {} if refusal.extra.get("changed") is True else await _evaluating(backend, job_id) or {}
        same = all(running.get(name) == body.get(name) for name in ("step", "data"))
        if not running or not same or "strengths" in body:
            raise
    except NotFoundError as refusal:
        raise refusal.reworded(f"This backend can't evaluate that. ({refusal.text})") from None
    while (evaluating := await _evaluating(backend, job_id)) is not None:
        if evaluating.get("state") == "failed":
            raise BackendError(f"Evaluation failed: {one_line(evaluating.get('error'), 1000)}")
        on_progress(evaluating)
        await asyncio.sleep(background_work.LOOK_SECONDS)


async def evaluated(
    backend: Backend, job_id: str, *, step: int | None = None, data: str | None = None
) -> Evaluation:
    """Evaluate one job's adapter, and return the evaluation. Raises ArkorError."""
    await evaluate(backend, job_id, {"step": step, "data": data})
    query = {} if step is None else {"step": str(step)}
    answer = await backend.get_evaluation(job_id, query | ({} if data is None else {"data": data}))
    evaluation: Evaluation = _field(answer.body, "evaluation")
    return evaluation


async def compared(backend: Backend, job_id: str, against: str) -> EvaluationPart:
    """Return how two evaluated jobs' adapters compare on the held-out rows of the first."""
    answer = await backend.get_evaluation(job_id, {"against": against})
    comparison: EvaluationPart = _field(answer.body, "comparison")
    return comparison


def _field(body: bytes, name: str) -> Any:
    try:
        value = json.loads(body)[name]
    except (ValueError, KeyError, TypeError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise BackendError(UNREADABLE)
    return value


async def _evaluating(backend: Backend, job_id: str) -> dict[str, object] | None:
    """Return the progress of a job's evaluation; None if there is none."""
    answered = json.loads((await backend.get_job(job_id)).body)
    evaluating = answered.get("job", {}).get("evaluating") if isinstance(answered, dict) else None
    return evaluating if isinstance(evaluating, dict) else None
