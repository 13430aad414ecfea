"""Runs one command and makes sure that nothing of it outlives Studio.

The daemon cannot clean up after its own SIGKILL, so each training command gets its own small parent, which
holds one end of a pipe: the end of file on it *is* the daemon's death. Nor can that parent clean up after its
own SIGKILL, so it is two processes, parent and child, and each ends everything when the other is killed: the
outer one adopts what the inner one leaves, the inner one sees the end of a pipe. Run as a script by ``python
-I -S``, with the standard library only, so that it costs a few milliseconds and MiB.

- stdin: commands, a line each: ``INT``, ``TERM``, ``KILL`` signal the command's process group; ``TERM 1`` and
  ``USR2 1`` only its own process, if that handles the signal; end of file ends everything.
- stdout: ``started <pid>``, or ``failed <why>``; at the end ``exit <code>`` (128 + n for signal n).
- stderr: the command's stdout and stderr, in order, as bytes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import sys
import time

GRACE = 1.0
"""Seconds between SIGTERM and SIGKILL once the daemon is gone."""


def write_report(text: str) -> None:
    """Write a line to the daemon, which may be gone."""
    with contextlib.suppress(OSError):
        os.write(1, text.encode() + b"\n")


def prctl(option: int, value: int) -> None:
    """Set a process attribute on Linux; other systems have none of those used here."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, so that none escapes (Linux)."""
    prctl(36, 1)  # PR_SET_CHILD_SUBREAPER


def enlarge(pipe: int) -> None:
    """Enlarge a pipe to 1 MiB if possible: Node drops its last output if it does not fit."""
    size = getattr(fcntl, "F_SETPIPE_SZ", None)  # Linux; 64 KiB otherwise
    if size is not None:
        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe, size, 1 << 20)


def spawn(argv: list[str]) -> int:
    """Start ``argv`` in its own session and process group; return its pid. Raises OSError."""
    report, exec_error = os.pipe()  # both close on exec: an empty read means that exec has succeeded
    pid = os.fork()
    if pid == 0:
        try:
            prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: in case this supervisor itself is killed
            os.setsid()
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(2, 1)
            for handled in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
                signal.signal(handled, signal.SIG_DFL)
            os.execvp(argv[0], argv)
        except OSError as error:
            os.write(exec_error, str(error.errno).encode())
        finally:
            os._exit(127)
    os.close(exec_error)
    number = os.read(report, 16)
    os.close(report)
    if number:
        os.waitpid(pid, 0)
        raise OSError(int(number), os.strerror(int(number)), argv[0])
    return pid


def descendants() -> list[int]:
    """Return every live descendant of this process from /proc (Linux); none elsewhere."""
    parents: dict[int, int] = {}
    try:
        names = os.listdir("/proc")
    except OSError:
        return []
    for name in names:
        if name.isdigit():
            with (
                contextlib.suppress(OSError, ValueError, IndexError),
                open(f"/proc/{name}/stat", "rb") as file,
            ):
                state, parent = file.read().rpartition(b")")[2].split()[:2]
                if state != b"Z":
                    parents[int(name)] = int(parent)
    pids = [os.getpid()]
    for pid in pids:
        pids.extend(child for child, parent in parents.items() if parent == pid)
    return pids[1:]


def signal_group(group: int, number: int) -> None:
    """Signal the command's process group, which may be gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def handles(pid: int, number: int) -> bool:
    """Return whether a process handles a signal, which would end it otherwise; True where that is unknown."""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            caught = next(line.split()[1] for line in file if line.startswith(b"SigCgt:"))
    except (OSError, StopIteration, IndexError):
        return sys.platform != "linux"
    return bool(int(caught, 16) >> (number - 1) & 1)


def sweep(group: int | None) -> None:
    """Kill everything that is left, including other process groups; several rounds, as they may fork."""
    for _ in range(20):
        if group is not None:
            signal_group(group, signal.SIGKILL)
        remaining = descendants()
        for pid in remaining:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not remaining:
            return
        time.sleep(0.02)


def reap(pid: int) -> int | None:
    """Collect ended children; return the command's exit code once it has ended."""
    code = None
    with contextlib.suppress(ChildProcessError):
        while True:
            child, status = os.waitpid(-1, os.WNOHANG)
            if child == 0:
                break
            if child == pid:
                raw = os.waitstatus_to_exitcode(status)
                code = raw if raw >= 0 else 128 - raw
    return code


def watch(pid: int, wake: int, life: int) -> int:
    """Serve the daemon's commands until the command has ended; return its exit code.

    End of file on ``life`` is the death of the outer process, and has the same effect as the daemon's.
    """
    deadline: float | None = None
    sources = [0, wake, life]
    while True:
        timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
        ready, _, _ = select.select(sources, [], [], timeout)
        if wake in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(wake, 4096)
        code = reap(pid)
        if code is not None:
            return code
        lines = os.read(0, 4096).splitlines() if 0 in ready else []
        for line in lines:
            name, _, alone = line.decode().partition(" ")
            number = signal.Signals["SIG" + name]
            if not alone:
                signal_group(pid, number)
            elif handles(pid, number):
                os.kill(pid, number)
        if life in ready or (0 in ready and not lines):
            sources = [wake]
            signal_group(pid, signal.SIGTERM)
            deadline = time.monotonic() + GRACE
        if deadline is not None and time.monotonic() >= deadline:
            sweep(pid)
            return 137


def supervise(argv: list[str], life: int) -> None:
    """Run ``argv``; return when it and everything that it started have ended."""
    wake, waker = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    try:
        pid = spawn(argv)
    except OSError as error:
        write_report(f"failed {error.strerror}: {argv[0]}")
        return
    write_report(f"started {pid}")
    code = watch(pid, wake, life)
    sweep(pid)
    write_report(f"exit {code}")


def main(argv: list[str]) -> None:
    """Run as both processes: the child supervises ``argv``, the parent watches the child."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    enlarge(2)
    life, hold = os.pipe()
    adopt_orphans()
    inner = os.fork()
    if inner == 0:
        os.close(hold)
        adopt_orphans()
        supervise(argv, life)
        return
    os.close(life)
    if os.waitpid(inner, 0)[1] != 0:
        # Killed: the missing message tells the daemon, which ends the command's group where nothing adopts
        # it.
        sweep(None)


if __name__ == "__main__":
    main(sys.argv[1:])
