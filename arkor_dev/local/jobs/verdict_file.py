"""Keeps a job's last event in its folder while the database cannot store it, in case the process ends."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, cast

from arkor_dev.contract.events import ENDINGS
from arkor_dev.contract.regular_files import NotRegularError

from .job_folder import verdict_file

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.contract.events import LastEvent


def keep_verdict(data: Path, job_id: str, event: LastEvent) -> None:
    """Write a job's last event into its folder; do nothing if that disk is full, too."""
    with contextlib.suppress(OSError):
        verdict_file(data, job_id).write_json(event)


def kept_verdict(data: Path, job_id: str) -> LastEvent | None:
    """Return the last event kept for a job, if the database lacks it."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        event = json.loads(verdict_file(data, job_id).read())
        if isinstance(event, dict) and event.get("type") in ENDINGS.values():
            return cast("LastEvent", event)
    return None


def drop_verdict(data: Path, job_id: str) -> None:
    """Delete the kept event, once the database has it or the folder is gone."""
    with contextlib.suppress(NotRegularError):
        verdict_file(data, job_id).remove()
