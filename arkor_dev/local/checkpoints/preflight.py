"""Checks before anything is loaded whether the job could save its result."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.regular_files import DISK_FULL
from arkor_dev.local.jobs.atomic_folder import PART
from arkor_dev.local.jobs.job_folder import PROBE, job_folder
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from pathlib import Path

CONTENT: Final = b"\0" * 65_536


def check_writable(data: Path, job_id: str) -> None:
    """Write a file the way a checkpoint is written, and remove it. Raises JobFailure if that fails.

    A full disk is not a failure: the job pauses when it must save, and resumes when there is space.
    """
    folder = job_folder(data, job_id)
    part, probe = folder / f"{PROBE}{PART}", folder / PROBE
    try:
        existed = folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(CONTENT)
            file.flush()
            os.fsync(file.fileno())
        part.rename(probe)
        probe.unlink()
        if not existed:
            folder.rmdir()
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        if error.errno in DISK_FULL:
            return
        raise JobFailure(
            f"This job could not save its result: {folder} cannot be written ({error.strerror}). Nothing "
            "was loaded; fix the folder's owner and permissions, and run it again"
        ) from None
