"""A node's side of what machines share: which of its job's files lie there, and how many came from there."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from .shared import COPY_SECONDS, KINDS, Shared

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .patience import Step

WAYS: Final = ("fsspec", "s3fs", "gcsfs", "adlfs")
"""Packages that reach a store by its address: a node tells which of them it has."""


class NodeShare:
    """The files of the job in the folder ``job``; ``hear`` is called every few seconds while one waits."""

    def __init__(self, job: Path, hear: Step = lambda: None) -> None:
        self._job, self._hear = job, hear
        self._shared: Shared | None = None
        self._names: dict[str, str] = {}
        self._left = COPY_SECONDS
        self.taken = 0

    def use(self, root: str) -> bytes:
        """Use ``root``, a folder or an address; why that cannot be, empty where it can."""
        try:
            self._shared = Shared.of(root, self._job.name, self._hear)
        except OSError as fault:
            return str(fault).encode()
        return b""

    def take(self, sha256: str, size: int, home: Path, target: Path) -> bool:
        """Bring the file of that hash and ``size`` to ``target``, by the folder ``home``; whether it came.

        All of them together take a limited time: the rest is not there.
        """
        if self._shared is None or self._left <= 0:
            return False
        part, begun = home / f"{sha256}.part", time.monotonic()
        found = self._shared.take(sha256, size, part, self._left)
        self._left -= time.monotonic() - begun
        if found:
            part.replace(target)
            self.taken += 1
        return found

    def put(self, entries: Sequence[dict[str, Any]], home: Path) -> None:
        """Keep those of ``entries`` that are to lie there, whose files are below ``home``, and no older ones.

        What refuses, as a full disk does, keeps none of them: they come back without it.
        """
        if self._shared is None:
            return
        mine = {each["name"]: each["sha256"] for each in entries if each["name"].split("/")[0] in KINDS}
        known = {**self._names, **mine}
        self._names = {name: sha for name, sha in known.items() if (self._job / name).exists()}
        self._shared.put({sha: home / name for name, sha in mine.items()}, set(self._names.values()))

    def laid(self, name: str, sha256: str) -> None:
        """Note a file that the job goes on from, by its name below the node's home."""
        below = f"data/jobs/{self._job.name}/"
        if name.startswith(below) and name.removeprefix(below).split("/")[0] in KINDS:
            self._names[name.removeprefix(below)] = sha256
