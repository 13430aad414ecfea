"""One job's files where machines share them, by hash: one of other bytes is as good as none."""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import TYPE_CHECKING, Final, Protocol

from arkor_dev.local.cluster.names import CHUNK, SHA256

from .folder import Folder
from .patience import SilentError, within
from .remote import Remote

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import BinaryIO

    from .patience import Step

KINDS: Final = ("checkpoints", "resume")
"""What of a job's files lies there."""
OPEN_SECONDS: Final = 30.0
"""How long is waited until a place is there: less than a node may take to answer."""
COPY_SECONDS: Final = 400.0
"""How long one call may copy: less than a node may take for it, which makes hashes of its files as well."""


class Store(Protocol):
    """Where a job's files lie. Everything raises OSError."""

    def touch(self) -> None: ...
    def sizes(self) -> dict[str, int]: ...
    def write(self, name: str, path: Path, step: Step) -> None: ...
    def read(self, name: str) -> AbstractContextManager[BinaryIO]: ...
    def remove(self, name: str) -> None: ...


def _nobody() -> None:
    """Nobody has to hear that this is at work."""


class Shared:
    """One job's files in a ``store``, which is not asked again once it has not answered in time.

    ``hear`` is called every few seconds while something is waited for.
    """

    def __init__(self, store: Store, hear: Step = _nobody) -> None:
        self._store: Store | None = store
        self._hear = hear

    @classmethod
    def of(cls, root: str, job: str, hear: Step = _nobody, *, writes: bool = True) -> Shared:
        """Those of ``job`` in ``root``, a folder or an address; with ``writes`` files are put there, too.

        Raises OSError with the reason why that cannot be.
        """
        kind: Callable[..., Store] = Remote if "://" in root else Folder
        return cls(within(OPEN_SECONDS, lambda _: kind(root, job, writes=writes), hear), hear)

    def put(self, files: Mapping[str, Path], wanted: Collection[str]) -> None:
        """Keep ``files``, by their hashes, and of others only those that are ``wanted``.

        What the store refuses, as a full one does, is not there then.
        """

        def work(step: Step) -> None:
            assert store
            store.touch()
            there = store.sizes()
            for sha256, path in files.items():
                with contextlib.suppress(OSError):
                    if there.get(sha256) != path.stat().st_size:
                        store.write(sha256, path, step)
                step()
            for name in there.keys() - set(wanted):
                with contextlib.suppress(OSError):
                    store.remove(name)
                step()

        store = self._store
        if store is not None:
            self._waited_for(COPY_SECONDS, work)

    def take(self, sha256: str, size: int, target: Path, seconds: float = COPY_SECONDS) -> bool:
        """Copy the file of that hash to ``target``; whether it was there, with these very ``size`` bytes."""
        store = self._store
        if store is None or not SHA256.fullmatch(sha256):
            return False

        def work(step: Step) -> bool:
            digest, done = hashlib.sha256(), 0
            with store.read(sha256) as file:
                while done < size and (piece := file.read(min(CHUNK, size - done))):
                    step()
                    digest.update(piece)
                    copy.write(piece)
                    done += len(piece)
                return done == size and not file.read(1) and digest.hexdigest() == sha256

        found = False
        try:
            # Opened here: nothing of that name is written by work for which nobody waits any more.
            with target.open("wb") as copy:
                if self._waited_for(seconds, work):
                    copy.flush()
                    os.fsync(copy.fileno())
                    found = True
        except OSError:  # this machine's disk refuses, which whoever brings the file otherwise will say
            found = False
        finally:
            if not found:
                target.unlink(missing_ok=True)
        return found

    def _waited_for(self, seconds: float, work: Callable[[Step], bool | None]) -> bool:
        try:
            return bool(within(seconds, work, self._hear))
        except SilentError:
            self._store = None
        except OSError:
            pass
        return False
