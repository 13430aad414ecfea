"""Evaluates a job's adapter: has the backend compare it with its base, and waits for the result."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, TypeVar

from arkor_dev.contract.errors import BackendError, ConflictError, NotFoundError
from arkor_dev.contract.shapes import Evaluation, EvaluationPart
from arkor_dev.core.plain_text import one_line

from . import background_work
from .background_work import unreported

if TYPE_CHECKING:
    from collections.abc import Mapping

    from arkor_dev.backend.client import Backend
    from arkor_dev.contract.shapes import JobEvaluating

    from .background_work import OnProgress

_T = TypeVar("_T")

UNREADABLE = "The backend's evaluation is unreadable. Try again later."


async def evaluate(
    backend: Backend,
    job_id: str,
    options: Mapping[str, object],
    on_progress: OnProgress[JobEvaluating] = unreported,
) -> None:
    """Start the evaluation of one job's adapter and wait for its end.

    ``options`` are the fields of the call (docs/contract.md); None counts as absent. Raises ArkorError.
    """
    body = {name: value for name, value in options.items() if value is not None}
    try:
        await backend.evaluate_job(job_id, body)
    except ConflictError as refusal:
        # An interrupted command leaves its evaluation running where Studio is open: wait for that one.
        running = None if refusal.extra.get("changed") is True else await _evaluating(backend, job_id)
        if not running or "strengths" in body:
            raise
        if (running.get("step"), running.get("data")) != (body.get("step"), body.get("data")):
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
    return _field(answer.body, "evaluation", Evaluation)


async def compared(backend: Backend, job_id: str, against: str) -> EvaluationPart:
    """Return how two evaluated jobs' adapters compare on the held-out rows of the first."""
    answer = await backend.get_evaluation(job_id, {"against": against})
    return _field(answer.body, "comparison", EvaluationPart)


def _field(body: bytes, name: str, kind: type[_T]) -> _T:
    """Return a field of the answer, an object of the contract's class ``kind``. Raises BackendError."""
    try:
        value: _T = json.loads(body)[name]
        if isinstance(value, dict):
            return value
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise BackendError(UNREADABLE)


async def _evaluating(backend: Backend, job_id: str) -> JobEvaluating | None:
    """Return the progress of a job's evaluation; None if there is none."""
    answered = json.loads((await backend.get_job(job_id)).body)
    evaluating: JobEvaluating | None = None
    if isinstance(answered, dict):
        evaluating = answered.get("job", {}).get("evaluating")
    return evaluating if isinstance(evaluating, dict) else None
