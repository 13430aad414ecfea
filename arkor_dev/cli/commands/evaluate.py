"""``arkor-dev evaluate``: whether a job's adapter is better than its base model, with the uncertainty."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from arkor_dev.backend.calls import objects_in
from arkor_dev.cli.event_text import verdict_lines
from arkor_dev.client.background_work import progress_words
from arkor_dev.client.evaluation import evaluate
from arkor_dev.client.features import features_of
from arkor_dev.client.job_list import choose_job, jobs_of
from arkor_dev.connection.connect import joined
from arkor_dev.contract.errors import (
    ArkorError,
    BackendError,
    BadRequestError,
    ConflictError,
    NotFoundError,
)
from arkor_dev.core.plain_text import one_line

from .jobs import require_sign_in
from .waiting import shown_progress

if TYPE_CHECKING:
    from argparse import Namespace

    from arkor_dev.backend.client import Backend
    from arkor_dev.contract.shapes import Evaluation, EvaluationPart, EvaluationRow, Job
    from arkor_dev.core.settings import Settings

MOST_ROWS: Final = 3
"""How many of the most changed rows are printed, for improvements and for regressions."""
TEXT: Final = 72


async def run_evaluate(settings: Settings, arguments: Namespace) -> int:
    """Evaluate as the ``arguments`` options say, and print the result; return the exit code.

    Raises BadRequestError for an unknown job or a file outside the project.
    """
    if arguments.settings and not arguments.against:
        raise BadRequestError("--settings compares the settings of two jobs: name the other by --against.")
    if arguments.strengths and (arguments.against or arguments.data or arguments.checkpoint is not None):
        raise BadRequestError(
            "--strengths measures a job's final adapter on its held-out rows: name JOB alone."
        )
    _check_adapter(arguments)
    data = None if arguments.data is None else path_in(settings.project, arguments.data)
    if arguments.adapter is not None and settings.ssh:
        raise BadRequestError(
            "--adapter names a folder of the machine that computes: run this command there."
        )
    if arguments.adapter is not None and not arguments.managed:
        settings = replace(settings, local=True)
    if not settings.local:
        require_sign_in(settings)
    async with joined(settings, lambda _: None, idle=True) as backend:
        jobs = await jobs_of(backend)
        chosen = (
            choose_job(jobs, arguments.job)
            if arguments.adapter is None
            else await _imported_adapter(backend, arguments, data)
        )
        query: dict[str, str] = {} if data is None else {"data": data}
        if arguments.checkpoint is not None:
            query["step"] = str(arguments.checkpoint)

        async def measure(job: Job, step: int | None) -> None:
            try:
                await _evaluate(
                    backend, job["id"], {"step": step, "force": arguments.force or None, "data": data}
                )
            except ArkorError:
                # An adapter that cannot be measured would only clutter the list of jobs.
                if (
                    arguments.adapter is not None
                    and job is chosen
                    and not any(job["id"] == o["id"] for o in jobs)
                ):
                    with suppress(ArkorError):
                        await backend.delete_job(job["id"])
                raise

        if arguments.strengths:
            if "strengths" not in await features_of(backend):
                raise BadRequestError("This backend can't measure other strengths: leave --strengths out.")
            if "evaluation" not in chosen:
                await measure(chosen, None)
            await _evaluate(backend, chosen["id"], {"strengths": True, "force": arguments.force or None})
        elif arguments.against is None:
            await measure(chosen, arguments.checkpoint)
        else:
            against = choose_job(jobs, arguments.against)
            query["against"] = against["id"]
        if arguments.settings:
            query["seeds"] = "true"
        elif arguments.against is not None:
            # The run itself, or an earlier command, may have measured it already.
            if data is not None or arguments.checkpoint is not None or "evaluation" not in chosen:
                await measure(chosen, arguments.checkpoint)
            if data is not None or "evaluation" not in against:
                await measure(against, None)
        answer = await backend.get_evaluation(chosen["id"], query)
    try:
        answered = json.loads(answer.body)
        if arguments.against is None:
            evaluation: Evaluation = answered["evaluation"]
            measure_of_rows = evaluation.get("heldOut", {}).get("measure", {})
            listed = lines(answered.get("rows"), higher=measure_of_rows.get("higher") is True)
            shown = [*verdict_lines(evaluation), *strength_lines(evaluation), *listed]
        else:
            comparison: EvaluationPart = answered["comparison"]
            shown = verdict_lines({"sentence": comparison["sentence"]})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise BackendError("The backend's evaluation is unreadable. Try again later.") from None
    if arguments.json:
        document = {
            key: answered[key] for key in ("evaluation", "rows", "answers", "comparison") if key in answered
        }
        print(json.dumps(document, indent=2))  # noqa: T201
    else:
        print("\n".join(shown))  # noqa: T201
    return 0


def _check_adapter(arguments: Namespace) -> None:
    """Raise BadRequestError for options that do not go with --adapter, or need it."""
    if arguments.adapter is None:
        if arguments.model is not None:
            raise BadRequestError("--model goes with --adapter: a job knows its base model.")
        return
    for name, value in (("JOB", arguments.job), ("--checkpoint", arguments.checkpoint)):
        if value is not None:
            raise BadRequestError(f"--adapter names what is evaluated: leave {name} out.")
    if arguments.settings:
        raise BadRequestError("--settings compares two jobs, and an adapter trained elsewhere is one result.")
    if arguments.data is None:
        raise BadRequestError("--adapter needs --data FILE: rows that it was not trained on.")


async def _imported_adapter(backend: Backend, arguments: Namespace, data: str | None) -> Job:
    """Return the job that the backend created for the adapter; print its base model."""
    body = {"path": str(arguments.adapter.absolute()), "data": data}
    try:
        answer = await backend.import_adapter(body | ({"model": arguments.model} if arguments.model else {}))
    except NotFoundError as refusal:
        raise refusal.reworded(
            f"This backend can't evaluate an adapter that another program trained: leave --managed out. "
            f"({refusal.text})"
        ) from None
    try:
        job: Job = json.loads(answer.body)["job"]
        base = one_line(job["config"]["model"], 200)
    except (ValueError, KeyError, TypeError):
        raise BackendError("The backend's answer is unreadable. Try again later.") from None
    print(f"Base model: {base}; job: {one_line(job['id'], 60)}", file=sys.stderr)  # noqa: T201
    return job


def path_in(project: Path, file: str) -> str:
    """Return ``file`` relative to the project. Raises BadRequestError if it lies outside."""
    try:
        return Path(file).resolve().relative_to(project.resolve()).as_posix()
    except (ValueError, OSError, RuntimeError):
        raise BadRequestError(
            f"{one_line(file, 200)} is not in the project {project.name}: copy it there first."
        ) from None


async def _evaluate(backend: Backend, job_id: str, options: dict[str, object]) -> None:
    """Have one job's adapter evaluated, with progress on a terminal."""
    try:
        with shown_progress() as show:
            await evaluate(backend, job_id, options, lambda now: show(progress_words(now, "Evaluating")))
    except ConflictError as refusal:
        if refusal.extra.get("changed") is True:
            raise refusal.reworded(f"{refusal.text} To evaluate anyway, add --force.") from None
        raise


def strength_lines(evaluation: Evaluation) -> list[str]:
    """Format what the adapter keeps of its gain, and of the harm, at each strength; none without a gain."""
    try:
        task, general = evaluation["heldOut"], evaluation["general"]
        gain, harm = task["base"] - task["adapter"], general["adapter"] - general["base"]
        lines = []
        for point in evaluation["strengths"] if gain > 0 else ():
            share = (task["base"] - point["heldOut"]) / gain
            cost = f" for {(point['general'] - general['base']) / harm:.0%} of the harm" if harm > 0 else ""
            lines.append(f"At strength {point['strength']:g} it keeps {share:.0%} of the gain{cost}.")
    except (KeyError, TypeError, ValueError):
        return []
    return lines


def lines(rows: list[EvaluationRow] | None, *, higher: bool = False) -> list[str]:
    """Format the rows that improved most and those that got worse most, one a line.

    They have losses, or values of which ``higher`` ones are better, such as rewards.
    """
    row_list = objects_in(rows)
    gains = {index: _gain(row, higher=higher) for index, row in enumerate(row_list)}
    order = sorted(
        (index for index, gain in gains.items() if gain is not None), key=lambda p: -(gains[p] or 0)
    )
    better = [index for index in order if (gains[index] or 0) > 0][:MOST_ROWS]
    worse = [index for index in reversed(order) if (gains[index] or 0) < 0][:MOST_ROWS]
    text_lines = []
    for title, indices in (("Most improved:", better), ("Most degraded:", worse)):
        if indices:
            text_lines += ["", title, *(_line(row_list[index]) for index in indices)]
    return text_lines


def _gain(row: EvaluationRow, *, higher: bool) -> float | None:
    base: object = row.get("base")
    adapter: object = row.get("adapter")
    if not isinstance(base, int | float) or not isinstance(adapter, int | float):
        return None
    return adapter - base if higher else base - adapter


def _line(row: EvaluationRow) -> str:
    text = one_line(row.get("question") or row.get("wanted"), TEXT)
    return f"  {row['base']:.2f} → {row['adapter']:.2f}  {text}"
