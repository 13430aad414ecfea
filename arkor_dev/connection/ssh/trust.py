"""Records for which projects a person has agreed to use which host over ssh.

A project comes from anywhere, and its ``arkor.toml`` may name a host. Connecting uses the person's keys,
sends the project's files, installs a program there and leaves it running, so it happens only after that
person has agreed, once for each project and host.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.regular_files import read_small
from arkor_dev.core.atomic_write import write_private

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.core.settings import Settings

FILE: Final = "trusted-ssh-hosts.json"
"""``{project: [host, …]}`` in ``~/.arkor``, by the real paths of the projects' folders."""
PROJECTS: Final = 1000
"""Maximum number of recorded projects; the oldest are asked about again."""


def is_trusted(settings: Settings, host: str) -> bool:
    """Return whether the person has agreed to use ``host`` for this project."""
    return host in _read(settings.arkor_home / FILE).get(str(settings.project), ())


def trust(settings: Settings, host: str) -> None:
    """Record that the person has agreed to use ``host`` for this project, unless the disk is full."""
    path, project = settings.arkor_home / FILE, str(settings.project)
    record = _read(path)
    hosts = record.pop(project, [])
    if host not in hosts:
        recent = list(record.items())[-(PROJECTS - 1) :]
        with contextlib.suppress(OSError):
            write_private(path, json.dumps(dict([*recent, (project, [*hosts, host])]), indent=1).encode())


def _read(path: Path) -> dict[str, list[str]]:
    """Return the record; an unreadable one trusts nothing."""
    try:
        record = json.loads(read_small(path))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(record, dict):
        return {}
    return {
        project: hosts
        for project, hosts in record.items()
        if isinstance(hosts, list) and all(isinstance(host, str) for host in hosts)
    }
