"""Selects the backend for a command that names none: this machine's or the managed one.

A job of this machine is found from any folder. A project whose ``arkor.toml`` names a host for ssh uses that
one after a person has agreed, and a project last opened with ``--local`` opens locally again, both unless
``ARKOR_CLOUD_API_URL`` is set. Every other command uses the managed backend.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.contract.regular_files import read_small
from arkor_dev.core.plain_text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from arkor_dev.core.settings import Settings

MARK: Final = "opened-here"
"""A file in a project's data folder, with the project's path: it was last opened with ``--local``."""
SHORTEST: Final = 8
"""Shortest prefix of a local job's id, in characters; a shorter one also matches other backends' ids."""
ID_LENGTH: Final = 16
"""Length of a complete local id, in characters."""
BUSY_SECONDS: Final = 1.0


def require_consent(settings: Settings, host: str) -> None:
    """Raise BadRequestError unless a person has agreed to the ``host`` that ``arkor.toml`` names for ssh."""
    from arkor_dev.project.trust import is_trusted

    if not is_trusted(settings, host):
        raise BadRequestError(f"{stake_of(settings, host)} Nobody has agreed to that yet. {agree_to(host)}")


def stake_of(settings: Settings, host: str) -> str:
    """Describe what using the ``host`` that ``arkor.toml`` names for ssh means."""
    return (
        f"{one_line(settings.project, 500)} names the machine {host} in arkor.toml. arkor-dev would sign in "
        "there with your ssh keys, send the project's files, install a program and leave it running."
    )


def agree_to(host: str) -> str:
    """Describe how to agree to ``host`` without being asked."""
    return f"Agree with --ssh {host}, once, or choose --local or --managed."


def settings_for(
    settings: Settings,
    jobs: Iterable[str | None],
    *,
    anywhere: bool = True,
    consent: Callable[[Settings, str], None] = require_consent,
) -> tuple[Settings, str | None]:
    """Return the settings with the backend, and a sentence if it is this machine.

    ``jobs`` are the jobs that the command names. With ``anywhere``, a job of another local project switches
    to that project. ``consent`` raises BadRequestError unless a person agrees, or has agreed before, to the
    host for ssh that ``arkor.toml`` names.
    """
    for job in jobs:
        name = (job or "").partition(":")[0]
        if _has_job(settings, name):
            return replace(settings, local=True), f"{one_line(name, 100)} is a job of this machine."
        for other in _opened_here(settings) if anywhere and len(name) == ID_LENGTH else ():
            if _has_job(other, name):
                text = f"{one_line(name, 100)} is a job of the project {one_line(other.project, 300)}."
                return replace(other, local=True), text
    from arkor_dev.project.toml.compute import load_ssh  # a launch that names its backend does not need it

    if settings.cloud_url is None and (host := load_ssh(settings.project)):
        consent(settings, host)
        return replace(settings, local=True, ssh=host), (
            f"arkor.toml names {host} below [compute], so that machine is used, over ssh. "
            "For another backend: --local or --managed"
        )
    if settings.cloud_url is None and (settings.local_data / MARK).exists():
        return replace(settings, local=True), (
            "This project was last opened with --local, so this machine is used. "
            "For the managed backend: --managed"
        )
    return settings, None


def remember(settings: Settings) -> None:
    """Record the backend that the project is opened with; ignore a disk that cannot be written."""
    if settings.ssh is not None:  # arkor.toml is where that is recorded
        return
    mark = settings.local_data / MARK
    with contextlib.suppress(OSError):
        if settings.local:
            mark.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            mark.write_bytes(os.fsencode(settings.project))
        else:
            mark.unlink(missing_ok=True)


def _opened_here(settings: Settings) -> Iterator[Settings]:
    """Yield every project that was last opened with ``--local``."""
    for mark in sorted(settings.data.glob(f"projects/*/{MARK}")):
        with contextlib.suppress(OSError, ValueError):
            other = replace(settings, project=Path(os.fsdecode(read_small(mark))))
            if other.local_data == mark.parent and other.project.is_dir():
                yield other


def ids(settings: Settings) -> list[str]:
    """Return the ids of the project's local jobs, newest first; empty if they are unreadable."""
    import sqlite3  # most launches name no job

    path = settings.local_data / "backend.sqlite"
    if path.is_file():
        with contextlib.suppress(sqlite3.Error):
            db = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=BUSY_SECONDS)
            with contextlib.closing(db):
                return [job for (job,) in db.execute("SELECT id FROM jobs ORDER BY seq DESC")]
    return []


def _has_job(settings: Settings, name: str) -> bool:
    """Return whether ``name`` is the id of a local job of this project, or a prefix of one."""
    return len(name) >= SHORTEST and any(job.startswith(name) for job in ids(settings))
