"""Client side of an export: requests it from the backend, waits and downloads the files."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.cli.commands import waiting
from arkor_dev.cli.commands.waiting import progress_words, shown_progress
from arkor_dev.contract.errors import BackendError, BadRequestError, NotFoundError
from arkor_dev.contract.regular_files import is_safe_name
from arkor_dev.contract.rules import TEXT, Rule
from arkor_dev.contract.schema import Field, Schema, SchemaError, check
from arkor_dev.contract.units import format_bytes
from arkor_dev.core.plain_text import one_line

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from arkor_dev.backend.client import Backend

CHUNK: Final = 2**20
MOST_FILES: Final = 1000
MOST_BYTES: Final = 1 << 60
FILE: Final = Schema(
    Field("name", TEXT, needed=True),
    Field("bytes", Rule("whole", 0, MOST_BYTES), needed=True),
    Field("sha256", TEXT, needed=True),
)
FINISHED: Final = Schema(
    Field("bytes", Rule("whole", 0, MOST_BYTES), needed=True),
    Field("files", Rule("list", 1, MOST_FILES), needed=True, inner=FILE),
)
"""What an export has once its files are written."""
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
    try:
        check(export, FINISHED)
    except SchemaError:
        return False
    return True


async def finished(
    backend: Backend,
    job_id: str,
    export_id: str,
    take: Callable[[dict[str, Any]], Awaitable[None]] | None = None,
    *,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Wait for the export with its proof and return it; raises its failure. Shows its progress.

    ``progress`` gets the words for it in place of the terminal. ``take`` is awaited once with the export when
    its files are there, before they have been verified.
    """
    with shown_progress(quiet=progress is not None) as on_terminal:
        show = progress or on_terminal
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
    if not _has_files(export):
        raise BackendError(UNREADABLE)
    files = export["files"]
    # The names come from the backend: they must not lead out of the folder.
    if not all(
        is_safe_name(name := entry["name"]) and "/" not in name and name.isprintable() for entry in files
    ):
        raise BackendError("The backend sent an unsafe file name. Nothing was written.")
    needed, free = sum(entry["bytes"] for entry in files), shutil.disk_usage(folder).free
    if needed > free:
        raise BadRequestError(
            f"The export takes {format_bytes(needed)}, and {format_bytes(free)} are free in "
            f"{one_line(folder.parent, 300)}. Free some space there."
        )
    for entry in files:
        name, size = entry["name"], entry["bytes"]
        digest, count = hashlib.sha256(), 0
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
        if count != size or digest.hexdigest() != entry["sha256"]:
            raise BackendError(f"{one_line(name, 200)} does not match its size and hash. Try again.")
