"""``arkor-dev why``: which rows are behind an answer or contradict others, and a job without."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.backend.calls import object_of
from arkor_dev.connection.connect import joined
from arkor_dev.contract.errors import BackendError, ConflictError, NotFoundError
from arkor_dev.core.plain_text import one_line

from . import waiting
from .jobs import choose_job, jobs_of, require_sign_in
from .waiting import progress_words, shown_progress

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from arkor_dev.backend.client import Backend
    from arkor_dev.core.settings import Settings

TEXT: Final = 100


async def run_why(settings: Settings, given: Namespace) -> int:
    """Trace an answer as the ``given`` options say, and print the result; return the exit code.

    Raises BadRequestError for an unknown job, and passes on the backend's errors.
    """
    if not settings.local:
        require_sign_in(settings)
    # Only a backend that trains can repeat the job; an on-demand one starts no other job before that.
    async with joined(settings, lambda _: None, idle=not given.prove, on_demand=given.prove) as backend:
        job = choose_job(await jobs_of(backend), given.job)
        body: dict[str, object] = {}
        if given.question is not None:
            body["messages"] = [{"role": "user", "content": given.question}]
        if given.answer is not None:
            body["answer"] = given.answer
        try:
            told = _attribution((await backend.trace_answer(job["id"], body)).body)
        except NotFoundError as refusal:
            raise refusal.reworded(f"This backend can't trace answers to rows. ({refusal.text})") from None
        with shown_progress(quiet=given.json) as show:
            told = await _done(backend, job["id"], told, show)
            if given.prove and (told.get("learned") is True or told.get("contradicting")):
                told = await _proven(backend, job["id"], told, show)
                if told.get("contradicting"):
                    query = {"against": job["id"]}
                    answer = await backend.get_evaluation(str(told["proof"]["jobs"]["without"]), query)
                    told["comparison"] = object_of(answer.body).get("comparison")
    print(json.dumps(told, indent=2) if given.json else "\n".join(lines(told)))  # noqa: T201
    return 0


async def _done(
    backend: Backend, job_id: str, told: dict[str, Any], show: Callable[[str], None]
) -> dict[str, Any]:
    """Wait for the attribution, and for its proof if it has one; raise their failure."""
    while True:
        proof = told.get("proof")
        state = proof.get("state") if isinstance(proof, dict) else None
        if told.get("state") == "failed":
            raise BackendError(f"The answer was not traced: {one_line(told.get('error'), 1000)}")
        if told.get("state") == "completed" and state not in ("training", "scoring"):
            return told
        show("Training without the rows" if state == "training" else progress_words(told, "Tracing"))
        await asyncio.sleep(waiting.LOOK_SECONDS)
        told = _attribution((await backend.get_attribution(job_id, str(told.get("id")))).body)


async def _proven(
    backend: Backend, job_id: str, told: dict[str, Any], show: Callable[[str], None]
) -> dict[str, Any]:
    """Have the ranking proven; raise the proof's failure."""
    try:
        answer = await backend.prove_attribution(job_id, str(told.get("id")), {})
    except ConflictError as refusal:
        raise refusal.reworded(f"Nothing was trained. {refusal.text}") from None
    told = await _done(backend, job_id, _attribution(answer.body), show)
    if told["proof"].get("state") == "failed":
        raise BackendError(f"The proof failed: {one_line(told['proof'].get('error'), 1000)}")
    return told


def _attribution(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)["attribution"]
    except (ValueError, KeyError, TypeError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise BackendError("The backend's attribution is unreadable. Try again later.")
    return found


def lines(told: dict[str, Any]) -> list[str]:
    """Format an attribution as lines."""
    if "contradicting" in told:
        return _contradicting(told)
    adapter, base = _logp(told.get("adapter")), _logp(told.get("base"))
    found = [
        f"Answer: {one_line(told.get('answer'), 300)}",
        f"Log-probability: {adapter} under the adapter, {base} under the base model",
    ]
    if told.get("learned") is not True:
        return [
            *found,
            "The base model says this too: the adapter makes it no likelier, so no row is behind it.",
        ]
    rows = told.get("similar")
    rows = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    found += [
        "",
        "Training rows with the most words in common:",
        *(map(_row, rows) if rows else ["  no row"]),
    ]
    found += ["", reliability_words(told.get("reliability"))]
    if isinstance(proof := told.get("proof"), dict) and proof.get("state") == "completed":
        found += ["", *_proof(proof)]
    return found


def _contradicting(told: dict[str, Any]) -> list[str]:
    rows = told["contradicting"]
    rows = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    if not rows:
        return ["Nothing stands out: no row contradicts the rows most like it."]
    verb = "row contradicts the rows" if len(rows) == 1 else "rows contradict those"
    of = one_line(told.get("rows"), 20)
    found = [f"{len(rows)} of {of} {verb} most like {'it' if len(rows) == 1 else 'them'}:", *map(_row, rows)]
    comparison = told.get("comparison")
    if isinstance(comparison, dict):
        found += ["", f"Without them, on the held-out rows: {one_line(comparison.get('sentence'), 500)}"]
        kept = "the training without them" if comparison.get("verdict") == "better" else "the job as it is"
        found.append(f"Keep {kept}.")
    return found


def reliability_words(told: object) -> str:
    """Say how often a training without the proposed rows has confirmed them."""
    proofs = told.get("proofs") if isinstance(told, dict) else None
    if not isinstance(told, dict) or not isinstance(proofs, int) or proofs < 1:
        return "Whether they are behind the answer is unknown: --prove trains the job without them."
    confirmed = one_line(told.get("confirmed"), 10)
    return f"Reliability: training without such rows confirmed {confirmed} of {proofs} proposals of this job."


def _row(row: dict[str, Any]) -> str:
    said = f"{one_line(row.get('question') or '', TEXT)} → {one_line(row.get('answer') or '', TEXT)}"
    score = row.get("score")
    shown = f"{score:+6.2f}" if isinstance(score, int | float) else "     ?"
    return f"  {shown}  {one_line(row.get('where'), TEXT)}: {said}"


def _proof(proof: dict[str, Any]) -> list[str]:
    rows = proof.get("rows")
    count = len(rows) if isinstance(rows, list) else 0
    which = "this row" if count == 1 else f"these {count} rows"
    other = "1 random row" if count == 1 else f"{count} random rows"
    names = {"trained": "as trained", "without": f"without {which}", "random": f"without {other}"}
    found = ["Log-probability of the answer, and what each adapter says:"]
    for key, name in names.items():
        score = proof.get(key)
        said = one_line(score.get("text") or "", TEXT) if isinstance(score, dict) else ""
        found.append(f"  {_logp(score):>9}  {name}: {said}")
    return found


def _logp(score: object) -> str:
    value = score.get("logp") if isinstance(score, dict) else None
    return f"{value:.2f}" if isinstance(value, int | float) else "unknown"
