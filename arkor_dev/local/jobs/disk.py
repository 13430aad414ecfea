"""Disk usage of jobs and models, and removal of files that belong to deleted jobs or to no job.

Blocking: call from a thread. Never follows links, whose targets may not belong to Studio.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.errors import MAKE_ROOM
from arkor_dev.contract.units import format_bytes
from arkor_dev.local.models.catalog import STARTER_FOLDER, is_starter
from arkor_dev.local.models.downloads import size_of

from .job_folder import job_folder, jobs_folder

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from arkor_dev.contract.shapes import Disk, JobOnDisk, ModelOnDisk

LEAST_SHARE: Final = 0.05
LEAST_BYTES: Final = 2 << 30
"""Free bytes required before writing something large to a disk."""
LEAST_FREE: Final = "ARKOR_LEAST_FREE_BYTES"
"""Environment variable that overrides the required free space."""
RESERVE: Final = "reserve"
RESERVE_BYTES: Final = 1 << 20
LEAST_FOR_RESERVE: Final = 16 << 20
"""Free bytes from which the reserve is made."""
HUB_FOLDER: Final = "models--"
BUSY_SECONDS: Final = 1.0
SETTLING_SECONDS: Final = 5.0
"""Seconds during which files may still appear in the folder of a job that is being deleted."""


def job_bytes(data: Path, job_id: str) -> int:
    """Return the size of all files of a job."""
    return _bytes(job_folder(data, job_id))


def remove_files(data: Path, job_id: str) -> None:
    """Remove all files of a job, if any. Raises OSError if one remains.

    A worker that is being killed may still add or remove some, which ends a walk through the folder early.
    """
    folder = job_folder(data, job_id)
    end = time.monotonic() + SETTLING_SECONDS
    while os.path.lexists(folder):
        try:
            _remove(folder)
        except OSError as error:
            if error.errno != errno.ENOTEMPTY or time.monotonic() > end:
                raise
            time.sleep(0.02)


def keep_reserve(data: Path) -> None:
    """Write the file whose space lets a job be deleted on a full disk, unless that file is there."""
    path = data / RESERVE
    with contextlib.suppress(OSError):
        if path.exists() or shutil.disk_usage(data).free < LEAST_FOR_RESERVE:
            return
        try:
            with path.open("xb") as file:
                file.write(os.urandom(RESERVE_BYTES))  # no file system compresses these
        except OSError:
            path.unlink()
            raise


def release_reserve(data: Path) -> bool:
    """Delete that file; return whether this has freed its space."""
    try:
        (data / RESERVE).unlink()
    except OSError:
        return False
    return True


def disk_use(data: Path, cache: Path, names: Mapping[str, str]) -> Disk:
    """Return the usage of the disk; ``names`` maps all jobs' ids to names."""
    jobs: list[JobOnDisk] = [
        {"id": job_id, "name": name, "bytes": job_bytes(data, job_id)} for job_id, name in names.items()
    ]
    return {
        "jobs": sorted(jobs, key=lambda job: -job["bytes"]),
        "models": [*_own_models(data, cache), *_hub_models()],
        "embeddings": _bytes(embeddings_folder(data)),
        "leftovers": sum(_bytes(path) for path in leftovers(data, names)),
        "database": sum(path.stat().st_size for path in data.glob("backend*.sqlite*")),
        "free": shutil.disk_usage(data).free,
    }


def disk_shortage(folder: Path) -> str | None:
    """Return why nothing large should be written to the disk of ``folder`` now, or None if it has space."""
    usage = shutil.disk_usage(folder)
    override = os.environ.get(LEAST_FREE, "")
    least = (
        int(override)
        if override.isascii() and override.isdigit()
        else max(LEAST_BYTES, LEAST_SHARE * usage.total)
    )
    if usage.free >= least:
        return None
    return (
        f"The disk has {format_bytes(usage.free)} free, and {format_bytes(least)} must stay free (or as many "
        f"bytes as {LEAST_FREE} says). {MAKE_ROOM}"
    )


def leftovers(data: Path, job_ids: Collection[str]) -> list[Path]:
    """Return the entries of the jobs folder that belong to no job."""
    with contextlib.suppress(OSError):
        return [path for path in sorted(jobs_folder(data).iterdir()) if path.name not in job_ids]
    return []


def remove_leftovers(paths: Collection[Path]) -> int:
    """Remove ``paths``; return the bytes freed."""
    freed = 0
    for path in paths:
        size = _bytes(path)
        _remove(path)
        freed += size
    return freed


def embeddings_folder(data: Path) -> Path:
    """Return the folder with the embeddings of data sets, which can be made again."""
    return data / "embeddings"


def remove_models(data: Path, cache: Path) -> int:
    """Remove unused models from Studio's own cache; return the bytes freed."""
    freed = 0
    for model in _own_models(data, cache):
        if not model["used"]:
            _remove(cache / "models" / model["name"])
            freed += model["bytes"]
    return freed


def _bytes(path: Path) -> int:
    if path.is_symlink():
        return 0
    if path.is_file():
        return path.stat().st_size
    return size_of(path)


def _remove(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if path.is_symlink() or not path.is_dir():
            path.unlink()
        else:
            shutil.rmtree(path)


def _own_models(data: Path, cache: Path) -> Iterator[ModelOnDisk]:
    used = _starter_is_used(data)
    with contextlib.suppress(OSError):
        for path in sorted((cache / "models").iterdir()):
            if (path / "config.json").is_file() and not path.is_symlink():
                needed = used or path.name != STARTER_FOLDER
                yield {"name": path.name, "bytes": _bytes(path), "used": needed, "shared": False}


def _hub_models() -> Iterator[ModelOnDisk]:
    """Yield the models in the Hub's cache, which other programs share."""
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    folder = Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub").expanduser()
    with contextlib.suppress(OSError):
        for path in sorted(folder.iterdir()):
            if path.name.startswith(HUB_FOLDER) and path.is_dir() and not path.is_symlink():
                name = path.name.removeprefix(HUB_FOLDER).replace("--", "/")
                yield {"name": name, "bytes": _bytes(path), "shared": True}


def _starter_is_used(data: Path) -> bool:
    """Return whether any project's job uses the starter model; an unreadable config counts as one."""
    for path in data.parent.glob("*/backend.sqlite"):
        try:
            with contextlib.closing(
                sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)
            ) as db:
                rows = db.execute("SELECT DISTINCT json_extract(config, '$.model') FROM jobs").fetchall()
        except sqlite3.Error:
            return True
        if any(isinstance(name, str) and is_starter(name) for (name,) in rows):
            return True
    return False
