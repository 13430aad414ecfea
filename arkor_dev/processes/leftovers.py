"""Finding processes of a training run that have lost their supervisor, by a mark in their environment.

A run's supervisors end everything that it has started, even if one of them is killed. If all of them are
killed at once (by a person, or by a machine short of memory), detached processes are left alone. So each
run's processes carry a mark, a random name and not a secret, by which this launch finds them on Linux. A
launch that is killed as well has recorded its own name in the data folder for the next one.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import re
import secrets
import signal
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

VARIABLE: Final = "ARKOR_DEV_RUN"
ROUNDS: Final = 20
"""Search rounds, since processes may keep forking."""
_NAME: Final = re.compile(r"[0-9a-f]{16}")


class Marks:
    """The marks of one launch's runs, which all begin with its name, and its record in ``folder``.

    The record is locked while the launch lives, so an unlocked one belongs to a dead launch.
    """

    def __init__(self, folder: Path | None) -> None:
        self.name = secrets.token_hex(8)
        self._folder = folder
        self._record: int | None = None

    def write_down(self) -> None:
        """Write the record, once, before a run. An unwritable folder costs only a later launch's clean-up."""
        if self._folder is None or self._record is not None:
            return
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            unnamed = self._folder / f"{self.name}.new"
            self._record = os.open(unnamed, flags, 0o600)
            fcntl.flock(self._record, fcntl.LOCK_EX | fcntl.LOCK_NB)
            unnamed.rename(self._folder / self.name)  # locked by now, so nobody treats it as a dead one
        except OSError as fault:
            log.warning(
                "%s cannot be written (%s): if Studio is killed, the next start cannot clean up.",
                self._folder,
                fault.strerror,
            )

    def of(self, run_id: str) -> dict[str, str]:
        """Return the environment variable of a run."""
        return {VARIABLE: f"{self.name}.{run_id}"}

    def kill(self, run_id: str) -> None:
        """Kill what is left of a run."""
        kill_marked(f"{self.name}.{run_id}\0")

    def close(self) -> None:
        """Remove the record: every run has ended."""
        if self._record is not None and self._folder is not None:
            with contextlib.suppress(OSError):
                (self._folder / self.name).unlink()
            os.close(self._record)
            self._record = None

    def settle(self) -> None:
        """Kill what killed launches have left, and remove their records."""
        if self._folder is None or not self._folder.is_dir():
            return
        for path in self._folder.iterdir():
            if _NAME.fullmatch(path.name) and path.name != self.name:
                with contextlib.suppress(OSError):  # gone by now, or not ours
                    _settle(path)


def _settle(record: Path) -> None:
    """End what a launch has left, unless it is alive. Raises OSError."""
    handle = os.open(record, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return  # another Studio that is alive, or is cleaning up the same
    else:
        killed = kill_marked(f"{record.name}.")
        if killed:
            log.warning("Ended %d processes that a killed Studio had left behind.", killed)
        record.unlink(missing_ok=True)
    finally:
        os.close(handle)


def kill_marked(start: str) -> int:
    """Kill every process of this user whose mark begins with ``start``; return how many (Linux only)."""
    if not hasattr(os, "pidfd_open"):
        return 0
    variable = f"\0{VARIABLE}={start}".encode()
    total = 0
    for _ in range(ROUNDS):
        killed = sum(_kill_if_marked(int(name), variable) for name in _process_names())
        total += killed
        if not killed:
            break
    return total


def _process_names() -> list[str]:
    try:
        return [path.name for path in Path("/proc").iterdir() if path.name.isdigit()]
    except OSError:
        return []


def _kill_if_marked(pid: int, variable: bytes) -> bool:
    if pid == os.getpid():
        return False
    try:
        handle = os.pidfd_open(pid)  # from here on the pid cannot be reused for another process
    except OSError:
        return False
    try:
        folder = Path(f"/proc/{pid}")
        if folder.stat().st_uid != os.geteuid():
            return False
        if variable not in b"\0" + (folder / "environ").read_bytes():
            return False
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True
