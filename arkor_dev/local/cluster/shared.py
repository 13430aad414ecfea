"""A folder that machines share: what a job goes on from lies there by its hash, for its next machine.

It saves a way, and nothing depends on it: what is not there, or has other bytes, comes through the driver as
it would without the folder. Both sides use it, each as far as it sees the folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .away.leftovers import KEPT_SECONDS
from .names import CHUNK, SHA256

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .connection import Place

KINDS: Final = ("checkpoints", "resume")
"""What of a job's files lies there."""
COPY_SECONDS: Final = 600.0
"""For so long a node may copy files there or from there; one that dies meanwhile is seen at once."""


class Shared:
    """One job's files in a shared folder, in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def of(cls, root: str, job: str) -> Shared:
        """That of ``job`` in ``root``, in a folder of this user's own; what jobs have left for a week goes.

        Raises OSError with the reason why that cannot be.
        """
        if not Path(root).is_dir():
            raise OSError(f"there is no folder {root}")
        own = Path(root) / f"arkor-dev-{os.getuid()}"
        own.mkdir(mode=0o700, exist_ok=True)
        found = own.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise OSError(f"{own} is not of this user alone")
        folder = own / job
        folder.mkdir(mode=0o700, exist_ok=True)
        os.utime(folder)  # raises where it may be read alone
        for other in own.iterdir():
            with contextlib.suppress(OSError):
                if other != folder and time.time() - other.stat().st_mtime > KEPT_SECONDS:
                    shutil.rmtree(other, ignore_errors=True)
        return cls(folder)

    @classmethod
    def seen(cls, root: str | None, job: str) -> Shared | None:
        """That of ``job`` where this machine sees the folder ``root``; None without one."""
        with contextlib.suppress(OSError):
            return cls.of(root, job) if root else None
        return None

    def put(self, path: Path, sha256: str) -> None:
        """Keep a file of that hash. Raises OSError where the folder refuses, and it is not there then."""
        target = self.folder / sha256
        if target.exists():
            return
        part = self.folder / f"{secrets.token_hex(8)}.part"
        try:
            with path.open("rb") as source, part.open("xb") as file:
                shutil.copyfileobj(source, file, CHUNK)
                file.flush()
                os.fsync(file.fileno())
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)

    def take(self, sha256: str, target: Path) -> bool:
        """Copy the file of that hash to ``target``; whether it was there, with these very bytes."""
        if not SHA256.fullmatch(sha256):
            return False
        digest = hashlib.sha256()
        try:
            # Neither a link nor a pipe, which somebody else may have put there.
            handle = os.open(self.folder / sha256, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(handle, "rb") as file:
                if not stat.S_ISREG(os.fstat(handle).st_mode):
                    return False
                with target.open("wb") as copy:
                    while piece := file.read(CHUNK):
                        digest.update(piece)
                        copy.write(piece)
                    copy.flush()
                    os.fsync(copy.fileno())
            if digest.hexdigest() == sha256:
                return True
        except OSError:
            pass
        target.unlink(missing_ok=True)
        return False

    def keep(self, hashes: Iterable[str]) -> None:
        """Remove all files but those: of checkpoints that are gone nothing is needed."""
        wanted = set(hashes)
        with contextlib.suppress(OSError):
            for path in self.folder.iterdir():
                if path.name not in wanted:
                    path.unlink(missing_ok=True)


def share(places: Sequence[Place], root: str | None) -> str:
    """Have the nodes of ``places`` use the folder ``root``; a sentence on that for a person.

    It is empty without a folder. Raises as `Place` does.
    """
    if not root:
        return ""
    answers = [(place.facts["node"], place.call("share", root)) for place in places]
    reasons = [(node, " ".join(why.decode(errors="replace").split())[:200]) for node, why in answers]
    blind = [f"the node {node} does not see it ({why})" for node, why in reasons if why]
    if not blind:
        return f" Checkpoints lie in {root}, too."
    return f" Checkpoints come here alone and not to {root}: {', '.join(blind)}."


def taken(places: Sequence[Place], root: str | None) -> str:
    """How many files the nodes of ``places`` have found in ``root``, as a sentence; empty where none were."""
    answers = [place.call("taken") for place in places] if root else []
    count = sum(int(answer) for answer in answers if answer.isdigit() and len(answer) < 10)
    files = "file" if count == 1 else "files"
    return f" It goes on from {count} {files} that were there." if count else ""


class NodeShare:
    """A node's side: which of its job's files lie in the shared folder, and how many came from there."""

    def __init__(self, job: Path) -> None:
        self._job = job
        self._shared: Shared | None = None
        self._names: dict[str, str] = {}
        self.taken = 0

    def use(self, root: str) -> bytes:
        """Use the folder ``root``; why that cannot be, empty where it can."""
        try:
            self._shared = Shared.of(root, self._job.name)
        except OSError as fault:
            return str(fault).encode()
        return b""

    def take(self, sha256: str, target: Path) -> bool:
        """As `Shared.take`."""
        if self._shared is None or not self._shared.take(sha256, target):
            return False
        self.taken += 1
        return True

    def put(self, entries: Sequence[dict[str, Any]], home: Path) -> None:
        """Keep those of ``entries`` that are to lie there, whose files are below ``home``, and no older ones.

        A folder that refuses, as a full one does, keeps none of them: they come back without it.
        """
        if self._shared is None:
            return
        for entry in entries:
            name = entry["name"]
            if name.split("/")[0] in KINDS:
                with contextlib.suppress(OSError):
                    self._shared.put(home / name, entry["sha256"])
                    self._names[name] = entry["sha256"]
        self._names = {name: sha for name, sha in self._names.items() if (self._job / name).exists()}
        self._shared.keep(self._names.values())

    def laid(self, name: str, sha256: str) -> None:
        """Note a file that the job goes on from, by its name below the node's home."""
        below = f"data/jobs/{self._job.name}/"
        if name.startswith(below) and name.removeprefix(below).split("/")[0] in KINDS:
            self._names[name.removeprefix(below)] = sha256
