"""Records for which projects a person has agreed to use which machines.

A project comes from anywhere, and its ``arkor.toml`` may name a host for ssh, a cluster, and a store for that
cluster's checkpoints. Using one of them takes the person's ssh keys or Ray token there, sends the project's
data, and runs programs, so it happens only after that person has agreed, once for each project and name.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.placement import is_store
from arkor_dev.contract.regular_files import read_small
from arkor_dev.core.atomic_write import write_private

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.core.settings import Settings

FILE: Final = "trusted-machines.json"
"""``{project: [name, …]}`` in ``~/.arkor``, by the real paths of the projects' folders."""
PROJECTS: Final = 1000
"""Maximum number of recorded projects; the oldest are asked about again."""


def is_trusted(settings: Settings, name: str) -> bool:
    """Return whether the person has agreed to use the machine ``name`` for this project."""
    return name in _read(settings.arkor_home / FILE).get(str(settings.project), ())


def untrusted(settings: Settings, address: str | None, storage: str | None) -> list[str]:
    """Return which of a cluster's address and storage only ``arkor.toml`` names and nobody has agreed to.

    A folder of the cluster's own machines needs no consent beside the cluster's.
    """
    named = [address] if address is not None and settings.cluster is None else []
    named += [storage] if address is not None and is_store(storage) and storage is not None else []
    return [name for name in named if not is_trusted(settings, name)]


def trust(settings: Settings, name: str) -> None:
    """Record that the person has agreed to use ``name`` for this project, unless the disk is full."""
    path, project = settings.arkor_home / FILE, str(settings.project)
    record = _read(path)
    names = record.pop(project, [])
    if name not in names:
        recent = list(record.items())[-(PROJECTS - 1) :]
        with contextlib.suppress(OSError):
            write_private(path, json.dumps(dict([*recent, (project, [*names, name])]), indent=1).encode())


def _read(path: Path) -> dict[str, list[str]]:
    """Return the record; an unreadable one trusts nothing."""
    try:
        record = json.loads(read_small(path))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(record, dict):
        return {}
    return {
        project: names
        for project, names in record.items()
        if isinstance(names, list) and all(isinstance(name, str) for name in names)
    }
