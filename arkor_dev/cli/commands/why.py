"""``arkor-dev why``: which rows are behind an answer or contradict others, and a job without."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Final, NotRequired

from arkor_dev.backend.calls import objects_in
from arkor_dev.client import background_work
from arkor_dev.client.background_work import progress_words
from arkor_dev.client.evaluation import compared
from arkor_dev.client.job_list import choose_job, jobs_of
from arkor_dev.connection.connect import joined
from arkor_dev.contract.attribution import Attribution
from arkor_dev.contract.errors import BackendError, ConflictError, NotFoundError
from arkor_dev.core.plain_text import one_line

from .jobs import require_sign_in
from .waiting import shown_progress

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from arkor_dev.backend.client import Backend
    from arkor_dev.contract.attribution import Proof, Reliability, TracedRow
    from arkor_dev.contract.shapes import EvaluationPart
    from arkor_dev.core.settings import Settings

TEXT: Final = 100
NOT_CLOSE: Final = "No row is close to this question and answer."
UNPROVEN: Final = (
    "Unproven: the rows that agree least with those most like them. Clean data has such rows, too; a wrong "
    "row that was learned by heart is most likely among them."
)


class TracedAnswer(Attribution):
    """An attribution; with ``comparison``, how a training without its rows compares with the job."""

    comparison: NotRequired[EvaluationPart]


async def run_why(settings: Settings, arguments: Namespace) -> int:
    """Trace an answer as the ``arguments`` options say, and print the result; return the exit code.

    Raises BadRequestError for an unknown job, and passes on the backend's errors.
    """
    if not settings.local:
        require_sign_in(settings)
    # Only a backend that trains can repeat the job; an on-demand one starts no other job before that.
    async with joined(
        settings, lambda _: None, idle=not arguments.prove, on_demand=arguments.prove
    ) as backend:
        job = choose_job(await jobs_of(backend), arguments.job)
        body: dict[str, object] = {}
        if arguments.question is not None:
            body["messages"] = [{"role": "user", "content": arguments.question}]
        if arguments.answer is not None:
            body["answer"] = arguments.answer
        try:
            attribution = _attribution((await backend.trace_answer(job["id"], body)).body)
        except NotFoundError as refusal:
            raise refusal.reworded(f"This backend can't trace answers to rows. ({refusal.text})") from None
        with shown_progress(quiet=arguments.json) as show:
            attribution = await _done(backend, job["id"], attribution, show)
            if arguments.prove and (attribution.get("learned") is True or _hurting(attribution)):
                attribution = await _proven(backend, job["id"], attribution, show)
                if _hurting(attribution):
                    without = str(attribution["proof"]["jobs"]["without"])
                    attribution["comparison"] = await compared(backend, without, job["id"])
    print(json.dumps(attribution, indent=2) if arguments.json else "\n".join(lines(attribution)))  # noqa: T201
    return 0


async def _done(
    backend: Backend, job_id: str, attribution: TracedAnswer, show: Callable[[str], None]
) -> TracedAnswer:
    """Wait for the attribution, and for its proof if it has one; raise their failure."""
    while True:
        proof = attribution.get("proof")
        state = proof.get("state") if isinstance(proof, dict) else None
        if attribution.get("state") == "failed":
            raise BackendError(f"The answer was not traced: {one_line(attribution.get('error'), 1000)}")
        if attribution.get("state") == "completed" and state not in ("training", "scoring"):
            return attribution
        show("Training without the rows" if state == "training" else progress_words(attribution, "Tracing"))
        await asyncio.sleep(background_work.LOOK_SECONDS)
        attribution = _attribution((await backend.get_attribution(job_id, str(attribution.get("id")))).body)


async def _proven(
    backend: Backend, job_id: str, attribution: TracedAnswer, show: Callable[[str], None]
) -> TracedAnswer:
    """Request a proof of the ranking; raise its failure."""
    try:
        answer = await backend.prove_attribution(job_id, str(attribution.get("id")), {})
    except ConflictError as refusal:
        raise refusal.reworded(f"Nothing was trained. {refusal.text}") from None
    attribution = await _done(backend, job_id, _attribution(answer.body), show)
    if attribution["proof"].get("state") == "failed":
        raise BackendError(f"The proof failed: {one_line(attribution['proof'].get('error'), 1000)}")
    return attribution


def _attribution(body: bytes) -> TracedAnswer:
    try:
        attribution: TracedAnswer | None = json.loads(body)["attribution"]
    except (ValueError, KeyError, TypeError, RecursionError):
        attribution = None
    if not isinstance(attribution, dict):
        raise BackendError("The backend's attribution is unreadable. Try again later.")
    return attribution


def lines(attribution: TracedAnswer) -> list[str]:
    if "contradicting" in attribution:
        return _contradicting(attribution)
    adapter, base = _logp(attribution.get("adapter")), _logp(attribution.get("base"))
    text_lines = [
        f"Answer: {one_line(attribution.get('answer'), 300)}",
        f"Log-probability: {adapter} under the adapter, {base} under the base model",
    ]
    if attribution.get("learned") is not True:
        return [
            *text_lines,
            "The base model says this too: the adapter makes it no likelier, so no row is behind it.",
        ]
    rows = objects_in(attribution.get("similar"))
    close = "Training rows with the most words in common:"
    if attribution.get("close") is False or not rows:
        close = NOT_CLOSE + (" The nearest by their words:" if rows else "")
    text_lines += ["", close, *map(_row, rows)]
    text_lines += ["", reliability_words(attribution.get("reliability"))]
    if isinstance(proof := attribution.get("proof"), dict) and proof.get("state") == "completed":
        text_lines += ["", *_proof(proof)]
    return text_lines


def _contradicting(attribution: TracedAnswer) -> list[str]:
    rows, unproven = objects_in(attribution.get("contradicting")), objects_in(attribution.get("unproven"))
    if rows:
        verb = "row contradicts the rows" if len(rows) == 1 else "rows contradict those"
        of = one_line(attribution.get("rows"), 20)
        text_lines = [f"{len(rows)} of {of} {verb} most like {'it' if len(rows) == 1 else 'them'}:"]
    else:
        text_lines = ["Nothing stands out: no row contradicts the rows most like it."]
        if unproven:
            text_lines += ["", UNPROVEN]
    text_lines += map(_row, rows or unproven)
    comparison = attribution.get("comparison")
    if isinstance(comparison, dict):
        text_lines += ["", f"Without them, on the held-out rows: {one_line(comparison.get('sentence'), 500)}"]
        advice = "the training without them" if comparison.get("verdict") == "better" else "the job as it is"
        text_lines.append(f"Keep {advice}.")
    return text_lines


def _hurting(attribution: TracedAnswer) -> bool:
    """Return whether the attribution names rows that may hurt."""
    return bool(objects_in(attribution.get("contradicting")) or objects_in(attribution.get("unproven")))


def reliability_words(reliability: Reliability | None) -> str:
    """Say how often training without the proposed rows has confirmed them."""
    proofs: object = reliability.get("proofs") if isinstance(reliability, dict) else None
    if not isinstance(reliability, dict) or not isinstance(proofs, int) or proofs < 1:
        return "Whether they are behind the answer is unknown: --prove trains the job without them."
    confirmed = one_line(reliability.get("confirmed"), 10)
    return f"Reliability: training without such rows confirmed {confirmed} of {proofs} proposals of this job."


def _row(row: TracedRow) -> str:
    score: object = row.get("score")
    text = f"{one_line(row.get('question') or '', TEXT)} → {one_line(row.get('answer') or '', TEXT)}"
    score_text = f"{score:+6.2f}" if isinstance(score, int | float) else "     ?"
    return f"  {score_text}  {one_line(row.get('where'), TEXT)}: {text}"


def _proof(proof: Proof) -> list[str]:
    rows: object = proof.get("rows")
    count = len(rows) if isinstance(rows, list) else 0
    excluded = "this row" if count == 1 else f"these {count} rows"
    random_rows = "1 random row" if count == 1 else f"{count} random rows"
    names = {"trained": "as trained", "without": f"without {excluded}", "random": f"without {random_rows}"}
    text_lines = ["Log-probability of the answer, and what each adapter says:"]
    for key, name in names.items():
        score = proof.get(key)
        text = one_line(score.get("text") or "", TEXT) if isinstance(score, dict) else ""
        text_lines.append(f"  {_logp(score):>9}  {name}: {text}")
    return text_lines


def _logp(score: object) -> str:
    value = score.get("logp") if isinstance(score, dict) else None
    return f"{value:.2f}" if isinstance(value, int | float) else "unknown"
