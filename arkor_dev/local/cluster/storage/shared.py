"""One job's files in shared storage, by hash. A file with different bytes counts as missing."""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import TYPE_CHECKING, Final, Protocol

from arkor_dev.local.cluster.protocol import CHUNK, SHA256

from .folder import FolderStore
from .remote import RemoteStore
from .watchdog import StalledError, run_with_deadline

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import BinaryIO

    from .watchdog import Step

SHARED_FOLDERS: Final = ("checkpoints", "resume")
"""Folders of a job whose files are stored here."""
OPEN_SECONDS: Final = 30.0
"""Seconds that opening a store may take: less than a node may take to respond."""
COPY_SECONDS: Final = 400.0
"""Seconds that one call may copy: less than a node's own limit, since the node also hashes its files."""


class FileStore(Protocol):
    """Interface of the storage for a job's files. Every method raises OSError."""

    def touch(self) -> None: ...
    def sizes(self) -> dict[str, int]: ...
    def write(self, name: str, path: Path, step: Step) -> None: ...
    def read(self, name: str) -> AbstractContextManager[BinaryIO]: ...
    def remove(self, name: str) -> None: ...


def _do_nothing() -> None:
    """Serve as ``keep_alive`` if none is needed."""


class SharedFiles:
    """One job's files in a ``store``. After one call without a response in time it is no longer used.

    ``keep_alive`` is called every few seconds while waiting.
    """

    def __init__(self, store: FileStore, keep_alive: Step = _do_nothing) -> None:
        self._store: FileStore | None = store
        self._keep_alive = keep_alive

    @classmethod
    def open(cls, root: str, job: str, keep_alive: Step = _do_nothing, *, writes: bool = True) -> SharedFiles:
        """Open the files of ``job`` in ``root``, a folder or an address; ``writes`` allows `put`.

        Raises OSError with the reason.
        """
        kind: Callable[..., FileStore] = RemoteStore if "://" in root else FolderStore
        store = run_with_deadline(OPEN_SECONDS, lambda _: kind(root, job, writes=writes), keep_alive)
        return cls(store, keep_alive)

    def put(self, files: Mapping[str, Path], wanted_names: Collection[str]) -> None:
        """Store ``files`` by their hashes; remove those not in ``wanted_names``. Ignores errors."""

        def work(step: Step) -> None:
            assert store
            store.touch()
            sizes = store.sizes()
            for sha256, path in files.items():
                with contextlib.suppress(OSError):
                    if sizes.get(sha256) != path.stat().st_size:
                        store.write(sha256, path, step)
                step()
            for name in sizes.keys() - set(wanted_names):
                with contextlib.suppress(OSError):
                    store.remove(name)
                step()

        store = self._store
        if store is not None:
            self._succeeds(COPY_SECONDS, work)

    def fetch(self, sha256: str, size: int, target: Path, seconds: float = COPY_SECONDS) -> bool:
        """Copy the file of that hash and ``size`` to ``target``; return whether the store has it intact."""
        store = self._store
        if store is None or not SHA256.fullmatch(sha256):
            return False

        def work(step: Step) -> bool:
            digest, done = hashlib.sha256(), 0
            with store.read(sha256) as file:
                while done < size and (chunk := file.read(min(CHUNK, size - done))):
                    step()
                    digest.update(chunk)
                    copy.write(chunk)
                    done += len(chunk)
                return done == size and not file.read(1) and digest.hexdigest() == sha256

        is_found = False
        try:
            # Opened here, not in the thread: a thread past its deadline must not write to a file of that
            # name.
            with target.open("wb") as copy:
                if self._succeeds(seconds, work):
                    copy.flush()
                    os.fsync(copy.fileno())
                    is_found = True
        except OSError:  # this machine's disk fails; receiving the file through the driver will report it
            is_found = False
        finally:
            if not is_found:
                target.unlink(missing_ok=True)
        return is_found

    def _succeeds(self, seconds: float, work: Callable[[Step], bool | None]) -> bool:
        try:
            return bool(run_with_deadline(seconds, work, self._keep_alive))
        except StalledError:
            self._store = None
        except OSError:
            pass
        return False
