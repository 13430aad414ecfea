"""``arkor-dev forget``: deletes rows from a trained adapter, and prints the certificate."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from typing import TYPE_CHECKING, Final

from rich.console import Console

from arkor_dev.backend.calls import object_of
from arkor_dev.cli.progress_view import view_for
from arkor_dev.client.following import watch
from arkor_dev.client.job_list import choose_job, jobs_of
from arkor_dev.connection.connect import joined
from arkor_dev.contract.errors import BackendError, BadRequestError, NotFoundError
from arkor_dev.contract.forget import CERTIFICATE, MOST_ROWS, Certificate
from arkor_dev.contract.schema import SchemaError, check_as
from arkor_dev.contract.units import format_bytes
from arkor_dev.core.plain_text import one_line
from arkor_dev.data.exclusions import ENTRY

from .jobs import require_sign_in

if TYPE_CHECKING:
    from argparse import Namespace

    from arkor_dev.backend.client import Backend
    from arkor_dev.core.settings import Settings

SPAN: Final = re.compile(r"([1-9][0-9]{0,8})(?:-([1-9][0-9]{0,8}))?")
NOT_PROVED: Final = 5
"""The exit code of ``verify`` if nothing is wrong, but not everything could be checked."""
LISTED: Final = 30
"""Maximum number of copies, adapters or files that are printed."""


async def run_forget(settings: Settings, arguments: Namespace) -> int:
    """Delete rows as the ``arguments`` say, or search again for those of a job that deleted some; return the
    exit code: 1 if the training has not completed.

    Raises BadRequestError for an unknown job or row, and passes on the backend's errors.
    """
    rows = rows_of(arguments.rows or ())
    if not settings.local:
        require_sign_in(settings)
    view = view_for(Console(file=sys.stderr if arguments.json else sys.stdout, highlight=False), None)
    async with joined(settings, view.notice, idle=not rows, on_demand=bool(rows)) as backend:
        job = choose_job(await jobs_of(backend), arguments.job)
        job_id = str(job["id"])
        if rows:
            new = await _created(backend, job_id, rows)
            with view:
                view.say(f"Training without {'the row' if len(rows) == 1 else 'the rows'}: job {new}")
                ending = await watch(backend, new, view.show)
            if ending.status != "completed":
                why = f": {one_line(ending.error, 1000)}" if ending.error else ""
                raise BackendError(f"Nothing was deleted: the job {new} is {ending.status}{why}")
            old, job_id = job_id, new
            if arguments.replace:
                # Only once there is a certificate: without one, the old job is all there is.
                await searched(backend, job_id)
                await backend.delete_job(old)
        certificate = await searched(backend, job_id, delete=arguments.delete)
    print(json.dumps(certificate, indent=2) if arguments.json else "\n".join(lines(certificate)))  # noqa: T201
    return 0


def rows_of(texts: list[str] | tuple[str, ...]) -> list[str]:
    """Return the rows of ``--rows``: numbers, spans of them, hashes or a place. Raises BadRequestError."""
    rows: list[str] = []
    for text in texts:
        parts = [part.strip() for part in text.split(",")]
        if not all(SPAN.fullmatch(part) or ENTRY.fullmatch(part) for part in parts):
            rows.append(text.strip())
            continue
        for part in parts:
            span = SPAN.fullmatch(part)
            if span is None or len(part) == 16:
                rows.append(part)
                continue
            first, last = int(span[1]), int(span[2] or span[1])
            if not first <= last < first + MOST_ROWS:
                raise BadRequestError(f"{part} is not a span of at most {MOST_ROWS:,} rows.")
            rows += map(str, range(first, last + 1))
    return list(dict.fromkeys(rows))


async def _created(backend: Backend, job_id: str, rows: list[str]) -> str:
    try:
        answer = object_of((await backend.forget_rows(job_id, {"rows": rows})).body)
    except NotFoundError as refusal:
        raise refusal.reworded(f"This backend can't delete rows from adapters. ({refusal.text})") from None
    new = answer.get("job")
    if not isinstance(new, dict) or not isinstance(new.get("id"), str):
        raise BackendError("The backend's new job is unreadable. `arkor-dev jobs` lists it.")
    return str(new["id"])


async def searched(
    backend: Backend, job_id: str, *, delete: bool = False, repeat: bool = False
) -> Certificate:
    """Search again for the rows that a job deleted; with ``delete``, delete all copies that can be.

    ``repeat`` trains it again from the start, too.
    """
    body: dict[str, object] = {"repeat": True} if repeat else {}
    certificate = _certificate((await backend.search_again(job_id, body)).body)
    if delete and (ids := [copy["id"] for copy in certificate["copies"] if copy["deletable"]]):
        certificate = _certificate((await backend.search_again(job_id, {"delete": ids})).body)
    return certificate


async def verified(settings: Settings, job_id: str, *, repeat: bool, quiet: bool) -> Certificate:
    """Search again for the rows that a job of this machine deleted; ``repeat`` trains it from the start."""
    view = view_for(Console(file=sys.stderr if quiet else sys.stdout, highlight=False), None)
    async with joined(dataclasses.replace(settings, local=True), view.notice, idle=not repeat) as backend:
        certificate = await searched(backend, job_id, repeat=repeat)
        if "repeat" in certificate and repeat:
            with view:
                view.say(f"Training it again: job {certificate['repeat']['job']}")
                await watch(backend, certificate["repeat"]["job"], view.show)
            certificate = _certificate((await backend.get_certificate(job_id)).body)
    return certificate


def exit_code(certificate: Certificate, *, repeated: bool) -> int:
    """Return 0 if a certificate is proved to hold still: everything was searched, nothing is left, and the
    weights are as written; with ``repeated`` they were trained again, too.

    1 if it does not hold: text is left, or the weights differ. ``NOT_PROVED`` if nothing says so, but
    something was not searched, or the repetition has no result.
    """
    repeat = certificate.get("repeat", {})
    completed = repeat.get("state") == "completed"
    if not certificate["intact"] or certificate["copiesCount"] or (completed and not repeat.get("same")):
        return 1
    searched_all = certificate["searchable"] and not certificate["unsearchedCount"]
    return 0 if searched_all and (completed or not repeated) else NOT_PROVED


def _certificate(body: bytes) -> Certificate:
    try:
        return check_as(Certificate, object_of(body).get("certificate"), CERTIFICATE, "certificate")
    except SchemaError as fault:
        raise BackendError(f"The backend's certificate is unreadable: {one_line(fault, 200)}") from None


def lines(certificate: Certificate) -> list[str]:
    """Format a certificate for a terminal."""
    rows, steps, start = certificate["rows"], certificate["steps"], certificate["start"]
    share = 1 - start / steps if steps else 1
    text_lines = [f"Deleted from the adapter of {one_line(certificate['ofName'], 200)}:"]
    text_lines += [
        f"  {one_line(row['where'], 200)}, SHA-256 {one_line(row['sha256'], 64)[:16]}…"
        for row in rows[:LISTED]
    ]
    text_lines += _more(len(rows))
    text_lines += [
        f"{one_line(certificate['message'], 500)} {share:.0%} of its {steps:,} steps were trained again.",
        "The weights have the same bits as if it had been trained without them from the start."
        if certificate["exact"]
        else "The weights learned nothing from them, but a training without them may end with other bits.",
        f"Weights: SHA-256 {one_line(certificate['after'], 64)}"
        + ("" if certificate["intact"] else ", but the file has been changed since"),
    ]
    text_lines += _found(certificate)
    if certificate["dependents"]:
        text_lines += ["", "Adapters that learned from the rows, or may have:"]
        for one in certificate["dependents"][:LISTED]:
            sure = "" if one["certain"] else "maybe: "
            text_lines.append(
                f"  {one['kind']} {one_line(one['name'], 200)} ({sure}{one_line(one['why'], 200)})"
            )
        text_lines += _more(len(certificate["dependents"]))
    if repeat := certificate.get("repeat"):
        text_lines += ["", repeat_words(repeat["state"], same=repeat.get("same"))]
    return text_lines


def _found(certificate: Certificate) -> list[str]:
    size = format_bytes(certificate["bytes"])
    searched_in = f"{certificate['files']:,} files ({size}) and the list of jobs were searched"
    if not certificate["searchable"]:
        return ["", "All of their words are also in other rows, so their text cannot be searched for."]
    copies, unsearched = certificate["copies"], certificate["unsearched"]
    if not copies:
        where = " in what could be searched" if unsearched else ""
        text_lines = ["", f"Their text was not found{where}: {searched_in}."]
    else:
        text_lines = ["", f"Their text is still in these places; {searched_in}:"]
        text_lines += [
            f"  {one_line(copy['name'], 200)}{'' if copy['deletable'] else ' (delete it yourself)'}"
            for copy in copies[:LISTED]
        ]
        text_lines += _more(certificate["copiesCount"])
        if any(copy["deletable"] for copy in copies):
            text_lines.append("`--delete` deletes those that are not your own files.")
    if certificate["deleted"]:
        text_lines.append(f"{len(certificate['deleted']):,} copies were deleted.")
    if unsearched:
        count = certificate["unsearchedCount"]
        text_lines.append(f"{count:,} not searched, so it is not proved that no text is left:")
        text_lines += [f"  {one_line(name, 200)}" for name in unsearched[:LISTED]]
        text_lines += _more(count)
    return text_lines


def _more(count: int) -> list[str]:
    return [f"  and {count - LISTED:,} more"] if count > LISTED else []


def repeat_words(state: str, *, same: bool | None) -> str:
    """Return the sentence about the training from the start."""
    if state != "completed":
        return f"The training from the start without them: {state}."
    if same:
        return "Trained again from the start without them: the same bits."
    return "Trained again from the start without them: the weights differ."
