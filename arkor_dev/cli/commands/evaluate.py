"""``arkor-dev evaluate``: whether a job's adapter is better than its base, and how sure that is."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.cli.event_text import verdict_text
from arkor_dev.contract.errors import BackendError, ConflictError, NotFoundError
from arkor_dev.core.plain_text import one_line
from arkor_dev.identity.connect import joined

from .jobs import choose_job, jobs_of, require_sign_in

if TYPE_CHECKING:
    from arkor_dev.backend.client import Backend
    from arkor_dev.core.settings import Settings

LOOK_SECONDS: Final = 0.5
SHOWN: Final = 3
"""Rows that are shown of those that changed most, for better and for worse."""
TEXT: Final = 72


async def run_evaluate(
    settings: Settings, job: str | None, *, step: int | None, force: bool, as_json: bool
) -> int:
    """Evaluate ``job``, or its checkpoint of ``step``, and print what came of it; the exit code.

    Raises BadRequestError for a job that there is not, and the backend's fault.
    """
    if not settings.local:
        require_sign_in(settings)
    async with joined(settings, lambda _: None, idle=True) as backend:
        chosen = choose_job(await jobs_of(backend), job)
        wanted: dict[str, object] = {} if step is None else {"step": step}
        try:
            await backend.evaluate_job(chosen["id"], wanted | ({"force": True} if force else {}))
        except ConflictError as refusal:
            if refusal.extra.get("changed") is True:
                raise refusal.reworded(f"{refusal.text} To measure all the same, add --force.") from None
            raise
        except NotFoundError as refusal:
            raise refusal.reworded(f"This backend cannot evaluate that. ({refusal.text})") from None
        await _done(backend, chosen["id"])
        answer = await backend.get_evaluation(chosen["id"], None if step is None else str(step))
    try:
        found = json.loads(answer.body)
        evaluation, rows = found["evaluation"], found["rows"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BackendError("The backend's evaluation cannot be read. Try again later.") from None
    if as_json:
        print(json.dumps({"evaluation": evaluation, "rows": rows}, indent=2))  # noqa: T201
    else:
        print("\n".join([verdict_text(evaluation), *lines(rows)]))  # noqa: T201
    return 0


async def _done(backend: Backend, job_id: str) -> None:
    """Wait until the evaluation is done, and say on a terminal how far it has come; raises its failure."""
    said = ""
    while True:
        answered = json.loads((await backend.get_job(job_id)).body)
        evaluating = answered.get("job", {}).get("evaluating") if isinstance(answered, dict) else None
        if not isinstance(evaluating, dict):
            break
        if evaluating.get("state") == "failed":
            raise BackendError(f"It could not be evaluated: {one_line(evaluating.get('error'), 1000)}")
        words = _progress(evaluating)
        if words != said and sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[K{words}")
            sys.stderr.flush()
            said = words
        await asyncio.sleep(LOOK_SECONDS)
    if said:
        sys.stderr.write("\r\x1b[K")


def _progress(evaluating: dict[str, Any]) -> str:
    progress = evaluating.get("progress")
    if not isinstance(progress, dict):
        return "Waiting: a job is training" if evaluating.get("state") == "waiting" else "Evaluating"
    done, total = progress.get("done"), progress.get("total")
    of = f" of {one_line(total, 20)}" if total else ""
    label, unit = one_line(progress.get("label"), 60), one_line(progress.get("unit"), 20)
    return f"{label}: {one_line(done, 20)}{of} {unit}"


def lines(rows: object) -> list[str]:
    """The rows that improved most and those that got worse most, a line each."""
    told = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    gains = {place: _gain(row) for place, row in enumerate(told)}
    order = sorted(
        (place for place, gain in gains.items() if gain is not None), key=lambda p: -(gains[p] or 0)
    )
    better = [place for place in order if (gains[place] or 0) > 0][:SHOWN]
    worse = [place for place in reversed(order) if (gains[place] or 0) < 0][:SHOWN]
    found = []
    for title, places in (("Improved most:", better), ("Got worse most:", worse)):
        if places:
            found += ["", title, *(_line(told[place]) for place in places)]
    return found


def _gain(row: dict[str, Any]) -> float | None:
    base, adapter = row.get("base"), row.get("adapter")
    return base - adapter if isinstance(base, int | float) and isinstance(adapter, int | float) else None


def _line(row: dict[str, Any]) -> str:
    text = one_line(row.get("question") or row.get("wanted"), TEXT)
    return f"  {row['base']:.2f} → {row['adapter']:.2f}  {text}"
