"""Client side of an export: requests it from the backend, waits and downloads the files."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.cli.commands import waiting
from arkor_dev.cli.commands.waiting import progress_words, shown_progress
from arkor_dev.contract.errors import BackendError, BadRequestError, NotFoundError
from arkor_dev.core.plain_text import one_line

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from arkor_dev.backend.client import Backend

CHUNK: Final = 2**20
MOST_FILES: Final = 1000
UNREADABLE: Final = "The backend's response about the export is unreadable. Try again later."


def request_of(job: dict[str, Any], arguments: Namespace) -> dict[str, Any]:
    """Return the request for an export from the options of `add_export_options`."""
    step = {"best": best_step(job), "final": None}.get(arguments.checkpoint, arguments.checkpoint)
    strength = None if arguments.strength == 1 else arguments.strength
    order = {
        "format": arguments.format,
        "step": step,
        "quantization": arguments.quantization,
        "strength": strength,
    }
    return {key: value for key, value in order.items() if value is not None}


async def order(
    backend: Backend, job_id: str, request: dict[str, Any], *, attended: bool = False
) -> dict[str, Any]:
    """Request the export; raise the backend's refusal.

    An ``attended`` export ends when its polling stops, since this process may be killed.
    """
    try:
        answer = await backend.create_export(job_id, request | ({"attended": True} if attended else {}))
    except NotFoundError as refusal:
        raise refusal.reworded(f"This backend can't export that. ({refusal.text})") from None
    return export_in(answer.body)


def best_step(job: dict[str, Any]) -> int | None:
    """Return the checkpoint that is significantly better than the final adapter, if there is one."""
    evaluation = job.get("evaluation")
    if (
        not isinstance(evaluation, dict)
        or evaluation.get("bestVerdict") != "better"
        or evaluation.get("bestKept") is not True
    ):
        return None
    step = evaluation.get("bestStep")
    return step if type(step) is int and step > 0 else None


def export_in(body: bytes) -> dict[str, Any]:
    """Read the export from a response. Raises BackendError if it is malformed."""
    try:
        export = json.loads(body)["export"]
        if not isinstance(export, dict) or not isinstance(export.get("id"), str):
            raise TypeError
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BackendError(UNREADABLE) from None
    return export


def is_readable(export: dict[str, Any]) -> bool:
    """Return whether a finished export is well-formed."""
    return _has_files(export) and isinstance(export.get("proof"), dict)


def _has_files(export: dict[str, Any]) -> bool:
    size, files = export.get("bytes"), export.get("files")
    return (
        type(size) is int
        and size >= 0
        and isinstance(files, list)
        and all(isinstance(entry, dict) for entry in files)
    )


async def finished(
    backend: Backend,
    job_id: str,
    export_id: str,
    take: Callable[[dict[str, Any]], Awaitable[None]] | None = None,
    *,
    quiet: bool = False,
) -> dict[str, Any]:
    """Wait for the export with its proof and return it; raises its failure. Shows its progress.

    With ``quiet`` nothing is shown. ``take`` is awaited once with the export when its files are there, before
    they have been verified.
    """
    with shown_progress(quiet=quiet) as show:
        while True:
            export = export_in((await backend.get_export(job_id, export_id)).body)
            state = export.get("state")
            if take and state in ("verifying", "completed"):
                if not _has_files(export):
                    raise BackendError(UNREADABLE)
                show("")
                await take(export)
                take = None
            if state == "completed":
                if not is_readable(export):
                    raise BackendError(UNREADABLE)
                return export
            if state == "failed":
                raise BackendError(f"Export failed: {one_line(export.get('error'), 1000)}")
            words = progress_words(export, "Exporting")
            show(f"Verifying · {words}" if state == "verifying" else words)
            await asyncio.sleep(waiting.LOOK_SECONDS)


async def fetch(backend: Backend, job_id: str, export: dict[str, Any], folder: Path) -> None:
    """Download every file and check size and hash. Raises BackendError, BadRequestError (unwritable)."""
    files = export.get("files")
    if not isinstance(files, list) or not 0 < len(files) <= MOST_FILES:
        raise BackendError(UNREADABLE)
    for entry in files:
        name = entry.get("name") if isinstance(entry, dict) else None
        # The name comes from the backend: it must not lead out of the folder.
        if not isinstance(name, str) or not name or "/" in name or "\\" in name or name in (".", ".."):
            raise BackendError("The backend sent an unsafe file name. Nothing was written.")
        digest, count, size = hashlib.sha256(), 0, entry.get("bytes")
        if type(size) is not int:
            raise BackendError(UNREADABLE)
        try:
            async with backend.export_file(job_id, str(export["id"]), name) as source:
                with (folder / name).open("xb") as file:
                    async for chunk in source.content.iter_chunked(CHUNK):
                        count += len(chunk)
                        if count > size:  # the response may never end
                            break
                        digest.update(chunk)
                        await asyncio.to_thread(file.write, chunk)
        except OSError as error:  # an OSError here is the disk's: backend errors have their own type
            raise BadRequestError(
                f"{one_line(name, 100)} cannot be written in {one_line(folder.parent, 300)}: "
                f"{error.strerror}."
            ) from None
        if count != size or digest.hexdigest() != entry.get("sha256"):
            raise BackendError(f"{one_line(name, 200)} does not match its size and hash. Try again.")
