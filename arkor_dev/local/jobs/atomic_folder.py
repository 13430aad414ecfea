"""Folders that appear complete or not at all, and can be verified later.

A folder is written under a temporary name with a manifest of its files, flushed to disk and renamed, so that
no crash leaves half of one. A disk that lost power may return other bytes than were written, so a
folder is compared with its manifest before it is used to resume.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NotRequired, TypedDict

from arkor_dev.contract import strict_json
from arkor_dev.contract.regular_files import DISK_FULL, open_inside, read_inside

MANIFEST: Final = "manifest.json"
PART: Final = ".part"
FORMAT: Final = 1
LIMIT: Final = 1 << 20
"""Size limit of a manifest, in bytes."""


PROBE_BYTES: Final = 4 << 20
"""Bytes of the test write: a disk without space for them is full. The write that failed may have been larger.
"""


class FileEntry(TypedDict):
    """Size and hash of a file."""

    bytes: int
    sha256: str


class RunOrigin(TypedDict, total=False):
    """What the bits of a run depend on: hashes of its ``data``, of the files of its models and of its encoded
    ``rows``, and the machine that computes them. Unknown parts are missing.

    ``consistent``: every step so far was computed under these conditions, and with the settings of the start.
    """

    data: str
    model: str
    secondModel: str
    rows: str
    versions: dict[str, str]
    processor: str
    device: str
    threads: int
    workers: int
    format: str
    formatReason: str
    consistent: bool


class ManifestFacts(TypedDict, total=False):
    """What a manifest says beside the files: the step of a job, and what the run depended on."""

    job: str
    step: int
    origin: RunOrigin


class FolderManifest(TypedDict):
    """The manifest of a folder; its ``files`` by name. The rest is in those that a run has written."""

    format: int
    files: dict[str, FileEntry]
    job: NotRequired[str]
    step: NotRequired[int]
    origin: NotRequired[RunOrigin]


ExtraFiles = Callable[[Path, Mapping[str, FileEntry]], None]


class DiskFullError(OSError):
    """A folder could not be written because the disk is full."""


class DamagedFolderError(Exception):
    """The files of a folder differ from what was written; ``str()`` says how."""


def write_atomically(
    target: Path,
    write: Callable[[Path], None],
    facts: ManifestFacts | None = None,
    add_extras: ExtraFiles | None = None,
) -> int:
    """Let ``write`` fill a folder, then move it to ``target`` in one step; return its size in bytes.

    ``facts`` are stored in its manifest. ``add_extras`` receives the folder and its files, ``{bytes,
    sha256}`` by name, and adds files that are not in the manifest, since they may be rewritten. Everything is
    flushed first: a rename that survives a power cut must not refer to empty files. On failure nothing has
    changed.
    Raises OSError for disk errors, and DiskFullError for a full disk whatever ``write`` has raised.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part, old = (target.with_name(f"{target.name}{end}{PART}") for end in ("", ".old"))
    for leftover in (part, old):
        shutil.rmtree(leftover, ignore_errors=True)
    part.mkdir()
    try:
        write(part)
        files = {
            path.relative_to(part).as_posix(): _flushed(path)
            for path in sorted(part.rglob("*"))
            if path.is_file()
        }
        manifest = part / MANIFEST
        manifest.write_text(json.dumps({"format": FORMAT, **(facts or {}), "files": files}, indent=1))
        if add_extras:
            add_extras(part, files)
        paths = {path.relative_to(part).as_posix(): path for path in part.rglob("*") if path.is_file()}
        extras = [_flushed(path) for name, path in paths.items() if name not in files]
        size = sum(entry["bytes"] for entry in (*files.values(), *extras))
        for folder in (*(path for path in part.rglob("*") if path.is_dir()), part):
            _flush(folder)
        if target.exists():
            target.rename(old)
        part.rename(target)
    except BaseException as error:
        full = isinstance(error, Exception) and _is_full(
            part, error
        )  # while its files still occupy the space
        shutil.rmtree(part, ignore_errors=True)
        if full:
            raise DiskFullError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target)) from error
        raise
    _flush(target.parent)
    shutil.rmtree(old, ignore_errors=True)
    return size


def _is_full(folder: Path, error: Exception) -> bool:
    """Return whether the disk of ``folder`` was full when ``error`` was raised.

    Libraries report this differently: safetensors wraps the system's error and deletes its file, torch leaves
    its file and wraps nothing. So test whether the disk accepts a little more.
    """
    if isinstance(error, OSError):
        return error.errno in DISK_FULL
    if any(f"(os error {number})" in str(error) for number in DISK_FULL):
        return True
    try:
        with (folder / "room").open("wb") as file:
            file.write(bytes(PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as refused:
        return refused.errno in DISK_FULL
    return False


def described(path: Path, *, flush: bool = False) -> FileEntry:
    """Return a file's size and hash; ``flush`` also flushes it to disk."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        if flush:
            os.fsync(file.fileno())
        return {"bytes": os.fstat(file.fileno()).st_size, "sha256": digest}


def _flushed(path: Path) -> FileEntry:
    return described(path, flush=True)


def _flush(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system without support for it
            raise
    finally:
        os.close(handle)


def manifest_of(folder: Path) -> FolderManifest:
    """Return the manifest of a folder. Raises DamagedFolderError if it is missing or unreadable."""
    try:
        manifest: Any = strict_json.parse(read_inside(folder, MANIFEST, LIMIT))
    except (FileNotFoundError, IsADirectoryError):
        raise DamagedFolderError(f"it has no {MANIFEST}") from None
    except OSError as error:
        raise DamagedFolderError(f"{MANIFEST} cannot be read: {error.strerror}") from None
    except ValueError:
        raise DamagedFolderError(f"{MANIFEST} cannot be read") from None
    match manifest:
        case {"files": dict(), "format": int(version)} if version == FORMAT:
            if "origin" not in manifest or _is_origin(manifest["origin"]):
                written: FolderManifest = manifest
                return written
        case {"files": dict()}:
            raise DamagedFolderError("another version of arkor-dev wrote it")
    raise DamagedFolderError(f"{MANIFEST} cannot be read")


def _is_origin(value: object) -> bool:
    """Return whether ``value`` can be read as a `RunOrigin`: an archive may have brought the manifest."""
    return isinstance(value, dict) and isinstance(value.get("versions", {}), dict)


def checked(folder: Path, needed: str) -> FolderManifest:
    """Verify all files of a folder, which must include the file ``needed``; return its manifest.

    Raises DamagedFolderError for the first file that is missing or different.
    """
    manifest = manifest_of(folder)
    if needed not in manifest["files"]:
        raise DamagedFolderError(f"it has no {needed}")
    entries: Mapping[str, object] = manifest["files"]
    for name, entry in entries.items():
        try:
            with open_inside(folder, name) as file:
                size = os.fstat(file.fileno()).st_size
                if not isinstance(entry, dict) or size != entry.get("bytes"):
                    raise DamagedFolderError(f"{name} has a different size than was written")
                if hashlib.file_digest(file, "sha256").hexdigest() != entry.get("sha256"):
                    raise DamagedFolderError(f"{name} differs from what was written")
        except FileNotFoundError:
            raise DamagedFolderError(f"{name} is missing") from None
        except OSError as error:
            raise DamagedFolderError(f"{name} cannot be read: {error.strerror}") from None
    return manifest


def damage(folder: Path) -> str | None:
    """Describe what is wrong with a folder's files; None if they are intact or without a manifest."""
    if not (folder / MANIFEST).exists():
        return None
    try:
        checked(folder, next(iter(manifest_of(folder)["files"]), ""))
    except DamagedFolderError as error:
        return str(error)
    return None
