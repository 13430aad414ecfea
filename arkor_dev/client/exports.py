"""Exports: requests one from the backend, waits, and writes its files into a folder, whole or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NotRequired, TypedDict, TypeGuard

from arkor_dev.contract.errors import BackendError, BadRequestError, NotFoundError
from arkor_dev.contract.regular_files import is_safe_name
from arkor_dev.contract.rules import TEXT, Rule
from arkor_dev.contract.schema import Field, Schema, SchemaError, check
from arkor_dev.contract.units import format_bytes
from arkor_dev.core.plain_text import one_line

from . import background_work
from .background_work import unreported

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from arkor_dev.backend.client import Backend
    from arkor_dev.contract.shapes import Export, Job

    from .background_work import OnProgress

CHUNK: Final = 2**20
FOLDER: Final = ".arkor-export-"
"""Prefix of the temporary folder that receives an export."""
LINE: Final = 400
"""Longest path in an error, in characters."""
SAME: Final = "same"
"""The verdict of an export that answers like the trained model."""
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
FINAL: Final = "final"
BEST: Final = "best"
UNREADABLE: Final = "The backend's response about the export is unreadable. Try again later."


class ExportOrder(TypedDict):
    """The body of the call that creates an export: `arkor_dev.contract.bodies.EXPORT`."""

    format: str
    step: NotRequired[int]
    quantization: NotRequired[str]
    strength: NotRequired[float]
    attended: NotRequired[bool]


def request_of(
    form: str,
    *,
    step: int | None = None,
    quantization: str | None = None,
    strength: float = 1.0,
) -> ExportOrder:
    """Return the request for an export: of the final adapter, or of the checkpoint of ``step``."""
    request = ExportOrder(format=form)
    if step is not None:
        request["step"] = step
    if quantization is not None:
        request["quantization"] = quantization
    if strength != 1:
        request["strength"] = strength
    return request


async def order(backend: Backend, job_id: str, request: ExportOrder, *, attended: bool = False) -> Export:
    """Request the export; raise the backend's refusal.

    An ``attended`` export ends when its polling stops, since this process may be killed.
    """
    try:
        answer = await backend.create_export(job_id, {**request, **({"attended": True} if attended else {})})
    except NotFoundError as refusal:
        raise refusal.reworded(f"This backend can't export that. ({refusal.text})") from None
    return export_in(answer.body)


def step_of(job: Job, checkpoint: int | Literal["final", "best"]) -> int | None:
    """Return the step of a checkpoint; None for the ``final`` adapter, or if that is the ``best``."""
    if checkpoint == BEST:
        return best_step(job)
    return None if checkpoint == FINAL else checkpoint


def best_step(job: Job) -> int | None:
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


def export_in(body: bytes) -> Export:
    """Read the export from a response. Raises BackendError if it is malformed."""
    try:
        export = json.loads(body)["export"]
    except (ValueError, KeyError, TypeError, RecursionError):
        export = None
    if not is_export(export):
        raise BackendError(UNREADABLE)
    return export


def is_export(value: object) -> TypeGuard[Export]:
    """Return whether a value of a response describes an export, as far as all commands rely on it."""
    return isinstance(value, dict) and isinstance(value.get("id"), str)


def is_readable(export: Export) -> bool:
    """Return whether a finished export is well-formed."""
    return _has_files(export) and isinstance(export.get("proof"), dict)


def _has_files(export: Export) -> bool:
    try:
        check(export, FINISHED)
    except SchemaError:
        return False
    return True


async def finished(
    backend: Backend,
    job_id: str,
    export_id: str,
    take: Callable[[Export], Awaitable[None]] | None = None,
    on_progress: OnProgress[Export] = unreported,
) -> Export:
    """Wait for the export with its proof and return it; raises its failure.

    ``take`` is awaited once with the export when its files are there, before they have been verified.
    """
    while True:
        export = export_in((await backend.get_export(job_id, export_id)).body)
        state = export.get("state")
        if take and state in ("verifying", "completed"):
            if not _has_files(export):
                raise BackendError(UNREADABLE)
            await take(export)
            take = None
        if state == "completed":
            if not is_readable(export):
                raise BackendError(UNREADABLE)
            return export
        if state == "failed":
            raise BackendError(f"Export failed: {one_line(export.get('error'), 1000)}")
        on_progress(export)
        await asyncio.sleep(background_work.LOOK_SECONDS)


def target_of(out: str, *, replace: bool) -> Path:
    """Return the output folder. Raises BadRequestError if files in it would be lost."""
    target = Path(out).absolute()
    try:
        os.lstat(target)
    except FileNotFoundError:
        pass
    except OSError as error:  # a name that is too long, or inside a folder without permission
        raise BadRequestError(f"{one_line(target, LINE)} cannot be written: {error.strerror}.") from None
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise BadRequestError(f"{one_line(target, LINE)} exists and is not a folder. Choose another --out.")
    if target.exists() and any(target.iterdir()) and not replace:
        raise BadRequestError(
            f"The folder {one_line(target, LINE)} is not empty. Choose another --out, or add --replace."
        )
    if not target.parent.is_dir():
        raise BadRequestError(f"No such folder: {one_line(target.parent, LINE)}. Create it first.")
    return target


@contextlib.contextmanager
def temporary_folder_beside(target: Path) -> Iterator[Path]:
    """Yield a temporary folder on the same disk; delete it at the end unless it was renamed."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=FOLDER, suffix=".part", dir=target.parent))
    except OSError as error:
        raise BadRequestError(
            f"{one_line(target.parent, LINE)} cannot be written: {error.strerror}."
        ) from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def replace_folder(folder: Path, target: Path) -> None:
    """Rename the downloaded folder to its destination and delete what was there."""
    folder.chmod(0o755)
    old = folder.with_name(f"{folder.name}.old")
    try:
        if target.exists():
            target.rename(old)
        folder.rename(target)
    except OSError as error:
        if old.exists() and not target.exists():
            old.rename(target)
        raise BadRequestError(f"{one_line(target, LINE)} cannot be written: {error.strerror}.") from None
    shutil.rmtree(old, ignore_errors=True)


async def fetch(backend: Backend, job_id: str, export: Export, folder: Path) -> None:
    """Download every file and check size and hash. Raises BackendError, BadRequestError (unwritable)."""
    if not _has_files(export):
        raise BackendError(UNREADABLE)
    files = export["files"]
    # The names come from the backend: they must not lead out of the folder.
    if not all(is_safe_name(name := entry["name"]) and name.isprintable() for entry in files):
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
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
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
