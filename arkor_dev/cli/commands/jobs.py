"""``arkor-dev jobs``: lists jobs; shows, pauses, resumes, extends or cancels one.

Trains nothing itself: on this machine a resumed job waits for `arkor-dev --local`.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import textwrap
import time
from contextlib import aclosing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from arkor_dev.backend.calls import objects_in
from arkor_dev.cli.event_text import figure, phase_of, size_of, time_left, verdict_lines
from arkor_dev.client.job_list import choose_job, listing_of
from arkor_dev.connection.connect import joined
from arkor_dev.contract.bodies import EXTENSION
from arkor_dev.contract.errors import BackendError, BadRequestError, ConflictError, NotFoundError
from arkor_dev.contract.events import CHECKPOINT_REMOVED, CHECKPOINT_SAVED, TRAINING_COMPLETED
from arkor_dev.contract.schema import SchemaError, check
from arkor_dev.contract.shapes import TERMINAL
from arkor_dev.core.atomic_write import write_private
from arkor_dev.core.plain_text import one_line
from arkor_dev.identity.credentials_file import NoCredentialsError, read_credentials
from arkor_dev.jobs.figures import history
from arkor_dev.jobs.follow import is_job

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from arkor_dev.backend.client import Backend
    from arkor_dev.contract.shapes import Artifact, Job
    from arkor_dev.core.settings import Settings


NAME_CHARACTERS: Final = 60
DONE: Final = {"cancel": "cancelled", "extend": "extended", "pause": "paused", "resume": "resumed"}
SHOW, FIGURES, DIFF = "show", "figures", "diff"
ACTIONS: Final = frozenset({SHOW, FIGURES, DIFF, *DONE})
STATES: Final = {
    "better": "learned",
    "learning": "still learning",
    "mixed": "learned, but forgot",
    "same": "no difference",
    "unclear": "no clear difference",
    "worse": "worse",
}
DIFFERENCES: Final = ("added", "removed", "changed", "same")


async def run_jobs(
    settings: Settings,
    action: str | None,
    job: str | None,
    *,
    as_json: bool,
    options: Mapping[str, object] | None = None,
) -> int:
    """List the jobs, or do ``action`` with ``job``; return the exit code.

    ``options`` holds the fields of ``extend`` and ``resume`` (``contract.bodies``). Raises BadRequestError
    for an invalid action, and passes on the backend's errors.
    """
    options = options or {}
    if action is not None and job is None and action not in ACTIONS:
        action, job = SHOW, action
    _check(action, options)
    if not settings.local:
        require_sign_in(settings)
    async with joined(settings, lambda _: None, idle=True) as backend:
        jobs, trouble = await listing_of(backend)
        if trouble:
            print(one_line(trouble, LONG), file=sys.stderr)  # noqa: T201
        if action is None:
            print(json.dumps({"jobs": jobs}, indent=2) if as_json else "\n".join(lines(jobs)))  # noqa: T201
            return 0
        chosen = choose_job(jobs, job)
        if action == FIGURES:
            return await _figures(backend, chosen, options)
        if action == DIFF:
            compared = choose_job(jobs, str(options["with"]))
            return await _diff(backend, chosen, compared, as_json=as_json)
        if action == SHOW:
            return await _show(backend, chosen, as_json=as_json)
        name = f"{one_line(chosen['id'], 100)} ({one_line(chosen.get('name'), NAME_CHARACTERS)})"
        done, status = await _act(backend, action, chosen, options), chosen.get("status")
        if as_json:
            print(json.dumps({"job": done or chosen}, indent=2))  # noqa: T201
        elif done is None:
            print(f"{name} is already {one_line(status, 40)}: nothing was {DONE[action]}.")  # noqa: T201
        else:
            print(f"{name} {_outcome(action, chosen, done, waits=backend.ends_with_launch)}")  # noqa: T201
    return 0


async def _show(backend: Backend, job: Job, *, as_json: bool) -> int:
    """Print one job and its files."""

    artifacts = await artifacts_of(backend, job)
    document = {"job": job, "artifacts": artifacts}
    width = shutil.get_terminal_size().columns - 1 if sys.stdout.isatty() else 0
    print(json.dumps(document, indent=2) if as_json else "\n".join(lines_of(job, artifacts, width)))  # noqa: T201
    return 0


async def _diff(backend: Backend, job: Job, other: Job, *, as_json: bool) -> int:
    """Print how the rows of a job differ from those of another."""
    answer = await backend.compare_rows(job["id"], {"against": other["id"]})
    try:
        difference = json.loads(answer.body)["difference"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BackendError("The backend's answer is unreadable. Try again later.") from None
    if as_json:
        print(json.dumps({"difference": difference}, indent=2))  # noqa: T201
        return 0
    names = [one_line(one_job.get("name"), NAME_CHARACTERS) for one_job in (job, other)]
    print(f"{names[0]} against {names[1]}")  # noqa: T201
    for key, title in (("train", "Training rows"), ("heldOut", "Held-out rows")):
        part = _table(difference, key) if isinstance(difference, dict) else {}
        counts = [(part.get(name), name.replace("same", "the same")) for name in DIFFERENCES]
        counts_text = ", ".join(f"{count:,} {label}" for count, label in counts if isinstance(count, int))
        print(f"{title}: {counts_text}")  # noqa: T201
        rows = part.get("rows")
        for row in rows if isinstance(rows, list) else ():
            if not isinstance(row, dict):
                continue
            kind, position, excerpt = (one_line(row.get(name), 200) for name in ("kind", "where", "excerpt"))
            print(f"  {kind:<8} {position}  {excerpt}".rstrip())  # noqa: T201
    return 0


async def _figures(backend: Backend, job: Job, options: Mapping[str, object]) -> int:
    """Write a job's metrics to the file, or to standard output without one."""
    from arkor_dev.jobs.figures import TEXTS, rows_of, write_tensorboard

    out, form = options.get("out"), str(options.get("format") or "csv")
    if form not in TEXTS and out is None:
        raise BadRequestError("TensorBoard's event files need a folder: name it with --out.")
    path = None if out is None else Path(str(out))
    if path is not None and form in TEXTS and (path.exists() or path.is_symlink()):
        raise BadRequestError(f"{one_line(path, 300)} already exists. Choose another name with --out.")
    rows = await rows_of(backend, job["id"], ended=job.get("status") in TERMINAL)
    try:
        if path is None:
            sys.stdout.write(TEXTS[form](rows))
        elif form in TEXTS:
            await asyncio.to_thread(write_private, path, TEXTS[form](rows).encode(), exclusive=True)
        else:
            await asyncio.to_thread(write_tensorboard, rows, path)
    except BrokenPipeError:
        raise
    except OSError as error:
        target = "Standard output" if path is None else one_line(path, 300)
        raise BadRequestError(f"{target} cannot be written: {error.strerror}.") from None
    if path is not None:
        print(f"{len(rows):,} rows of {one_line(job['id'], 100)} in {one_line(path, 300)}")  # noqa: T201
    return 0


def _check(action: str | None, options: Mapping[str, object]) -> None:
    """Raise BadRequestError for an unknown action or for options of another action."""
    if action == DIFF:
        if set(options) != {"with"}:
            raise BadRequestError("jobs diff takes only --with, and needs it: the job to compare with.")
        return
    if "with" in options:
        raise BadRequestError("--with is for jobs diff.")
    if action == FIGURES:
        if set(options) - {"format", "out"}:
            raise BadRequestError("jobs figures takes only --format and --out.")
        return
    if {"format", "out"} & set(options):
        raise BadRequestError("--format and --out are only for jobs figures.")
    if "on" in options and action != "resume":
        raise BadRequestError("--at is for jobs resume.")
    if action is not None and action not in ACTIONS:
        raise BadRequestError(f"unknown action {one_line(action, 100)}. See arkor-dev jobs --help.")
    if "workers" in options and action != "resume":
        raise BadRequestError("--workers is for jobs resume.")
    if action == "extend":
        try:
            check(dict(options), EXTENSION)
        except SchemaError:
            raise BadRequestError("Give the new end: --steps or --epochs.") from None
    elif set(options) - ({"force", "on", "workers"} if action == "resume" else set()):
        raise BadRequestError(
            "--steps, --epochs and --schedule are for jobs extend, --force for resume and extend."
        )


async def _act(backend: Backend, action: str, job: Job, options: Mapping[str, object]) -> Job | None:
    """Do the action; return the job as the backend reports it, or None if nothing was to be done."""
    status = job.get("status")
    if (action == "cancel" and status in TERMINAL) or (action == "pause" and status == "paused"):
        return None
    try:
        match action:
            case "pause":
                answer = await backend.pause_job(job["id"])
            case "resume":
                answer = await backend.resume_job(job["id"], options)
            case "extend":
                answer = await backend.extend_job(job["id"], options)
            case _:
                answer = await backend.cancel_job(job["id"])
    except ConflictError as refusal:
        if refusal.extra.get("changed") is True:
            raise refusal.reworded(f"{refusal.text} To continue anyway, add --force.") from None
        raise
    except NotFoundError as refusal:
        raise refusal.reworded(f"This backend can't {action} a job. ({refusal.text})") from None
    answered = json.loads(answer.body)
    done = answered.get("job") if isinstance(answered, dict) else None
    return done if is_job(done) else job


def _outcome(action: str, before: Job, now: Job, *, waits: bool) -> str:
    """Describe the outcome. ``waits``: the backend ends with this command and trains nothing before that."""
    if action == "pause":
        return f"is paused{_after(now.get('pause'), 'step')}."
    if action == "cancel":
        return "is cancelled."
    step = _after(before.get("pause"), "step") or _after(before, "resumable")
    if waits:
        return f"is queued: it resumes{step} when `arkor-dev --local` runs."
    return f"resumes{step}."


def _after(record: object, field: str) -> str:
    step = record.get(field) if isinstance(record, dict) else None
    return f" after step {step}" if isinstance(step, int) else ""


def require_sign_in(settings: Settings) -> None:
    """Raise BadRequestError if nobody is signed in: listing jobs must not create an identity."""
    try:
        read_credentials(settings.arkor_home / "credentials.json")
    except NoCredentialsError:
        raise BadRequestError(
            "Not signed in, so there are no jobs to list. For jobs of this machine, add --local."
        ) from None


def lines(jobs: list[Job]) -> list[str]:
    """Format jobs as a table: status, verdict if any job has one, creation time, id, name, star and tags."""
    if not jobs:
        return ["No job has run yet."]
    rows = [("STATUS", "VERDICT", "CREATED", "ID", "NAME"), *(_row(job) for job in jobs)]
    if not any(row[1] for row in rows[1:]):
        rows = [(row[0], *row[2:]) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    return ["  ".join([*map(str.ljust, row, widths), row[-1]]) for row in rows]


def _row(job: Job) -> tuple[str, ...]:
    status = one_line(job.get("status"), 20)
    queue = job.get("queue")
    if isinstance(queue, dict) and isinstance(queue.get("position"), int):
        status += f" {queue['position']}{' (held)' if queue.get('held') else ''}"
    status += _after(job.get("pause"), "step").replace(" after step ", " at ") if status == "paused" else ""
    if remaining := time_left(job, time.time()):
        status += f", {remaining}"
    name = one_line(job.get("name"), NAME_CHARACTERS)
    if job.get("starred"):
        name = f"* {name}"
    tags = job.get("tags")
    if isinstance(tags, list) and tags:
        name += f"  [{one_line(', '.join(map(str, tags)), NAME_CHARACTERS)}]"
    return (
        status,
        _state_of(_table(job, "evaluation")),
        local_time(job.get("createdAt")),
        one_line(job["id"], 100),
        name,
    )


def _state_of(evaluation: Mapping[str, object]) -> str:
    """Return the state of a job's adapter in the words that the page has for it; empty if unknown."""
    verdict = str(evaluation.get("verdict"))
    learning = verdict == "better" and evaluation.get("extendTo") is not None
    return STATES.get("learning" if learning else verdict, "")


def local_time(text: object) -> str:
    """Return a time in ISO format as the user's own, to the minute; a dash if it cannot be read."""
    try:
        return datetime.fromisoformat(str(text)).astimezone().strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError):
        return "-"


LOSSES: Final = {"loss": "loss", "evalLoss": "eval loss", "bestEvalLoss": "best eval"}
LONG: Final = 1000
MINIMUM_WIDTH: Final = 40
"""Fewest columns in which words are wrapped below their labels."""
MOST: Final = 5
"""How many of the first and of the last checkpoints are listed."""


async def artifacts_of(backend: Backend, job: Job) -> list[Artifact]:
    """Return a job's checkpoints and final artifacts. Raises ArkorError."""
    saved: dict[object, list[Artifact]] = {}
    final: list[Artifact] = []
    async with aclosing(history(backend, job["id"], ended=job.get("status") in TERMINAL)) as events:
        async for name, data in events:
            entries = data.get("artifacts")
            artifacts: list[Artifact] = objects_in(entries if isinstance(entries, list) else None)
            if name == CHECKPOINT_SAVED:
                saved[data.get("step")] = artifacts
            elif name == CHECKPOINT_REMOVED:
                saved.pop(data.get("step"), None)
            elif name == TRAINING_COMPLETED:
                final = artifacts
    return [artifact for entries in saved.values() for artifact in entries] + final


def lines_of(job: Job, artifacts: Sequence[Artifact], width: int = 0) -> Iterator[str]:
    """Format a job: its name, details and files. ``width`` is a terminal's; 0 wraps nothing."""
    yield f"{one_line(job.get('name'), LONG)} ({one_line(job['id'], 100)})"
    for label, text in _facts(job):
        yield from _wrapped(label, text, width)
    checkpoints = [
        checkpoint
        for checkpoint in artifacts
        if checkpoint.get("kind") == "checkpoint" and checkpoint.get("name") != "best"
    ]
    if checkpoints:
        steps = [
            f"{step:,.0f}"
            for checkpoint in checkpoints
            if (step := figure(checkpoint.get("step"))) is not None
        ]
        steps_shown = [*steps[:MOST], "…", *steps[-MOST:]] if len(steps) > 2 * MOST else steps
        yield f"  {'checkpoints':<11} of step {', '.join(steps_shown)}"
    for artifact in artifacts:
        if artifact in checkpoints:
            continue
        name = one_line(artifact.get("name") or artifact.get("kind"), 100)
        size = size_of([artifact])
        yield f"  {name:<11} {one_line(artifact.get('path') or '-', LONG)}{f' ({size})' if size else ''}"


def _wrapped(label: str, text: str, width: int) -> Iterator[str]:
    """Format a detail in lines of ``width`` columns, broken between words, below its label."""
    head, indent = f"  {label:<11} ", " " * 14
    if width < MINIMUM_WIDTH:
        yield head + text
    else:
        wrap = textwrap.TextWrapper(
            width, initial_indent=head, subsequent_indent=indent, break_long_words=False,
            break_on_hyphens=False,
        )  # fmt: skip
        yield from wrap.wrap(text)


def _facts(job: Job) -> Iterator[tuple[str, str]]:
    metrics, config = _table(job, "metrics"), _table(job, "config")
    step, total = figure(metrics.get("step")), figure(metrics.get("totalSteps"))
    at = "" if step is None else f", step {step:,.0f}" + ("" if total is None else f" of {total:,.0f}")
    phase = [words for words in (phase_of(job), time_left(job, time.time())) if words]
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
    evaluation = _table(job, "evaluation")
    # The loss of a method that maximises rewards says nothing; the verdict has the rewards.
    rewarded = _table(_table(evaluation, "heldOut"), "measure").get("higher") is True
    for field, label in ({} if rewarded else LOSSES).items():
        if (loss := figure(metrics.get(field))) is not None:
            yield label, f"{loss:.3f}"
    for number, sentence in enumerate(verdict_lines(evaluation)):
        yield "" if number else "verdict", sentence


def _table(job: Mapping[str, object], key: str) -> dict[str, object]:
    value = job.get(key)
    return value if isinstance(value, dict) else {}
