"""Keeps a verdict in the job's folder while the database cannot store it, in case the process ends."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

from arkor_dev.contract.regular_files import NotRegularError
from arkor_dev.contract.shapes import TERMINAL

from .job_folder import verdict_file
from .store import Verdict

if TYPE_CHECKING:
    from pathlib import Path


def keep_verdict(data: Path, job_id: str, verdict: Verdict) -> None:
    """Write a job's verdict into its folder; do nothing if that disk is full, too."""
    with contextlib.suppress(OSError):
        verdict_file(data, job_id).write_json([verdict.status, verdict.fields])


def kept_verdict(data: Path, job_id: str) -> Verdict | None:
    """Return the verdict kept for a job, if the database lacks it."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        match json.loads(verdict_file(data, job_id).read()):
            case [str(status), dict(fields)] if status in TERMINAL:
                return Verdict(status, fields)
    return None


def drop_verdict(data: Path, job_id: str) -> None:
    """Delete the kept verdict, once the database has it or the folder is gone."""
    with contextlib.suppress(NotRegularError):
        verdict_file(data, job_id).remove()
