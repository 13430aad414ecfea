"""A worker's side of its two pipes, which also ensures that it never outlives the backend.

Three mechanisms end a worker, since each has gaps: the kernel's parent-death signal (Linux only), the end of
its standard input (read by a thread, so that it is noticed even during a long tensor operation), and the
backend, which kills the whole process group. Standard output is reserved for messages before any library can
print to it.
"""

from __future__ import annotations

import ctypes
import json
import os
import queue
import signal
import sys
import threading
import traceback
from typing import IO, TYPE_CHECKING, Any, NoReturn

from .codec import KIND, Codec, M, Message, encode
from .errors import JobFailure
from .messages import Failed, ProgressReport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent ends (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def kill_own_group() -> None:
    """Kill this process and all its children, immediately and without cleanup."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


class Link:
    """JSON lines from the backend on standard input, and to it on the original standard output."""

    def __init__(self, handlers: Mapping[type[Message], Callable[[Any], None]] | None = None) -> None:
        """Take over both pipes. ``handlers``, by a message's class, run at once in the reader's thread."""
        die_with_parent()
        self._handlers = {kind.__name__: (Codec(kind), run) for kind, run in (handlers or {}).items()}
        self._inbox: queue.SimpleQueue[dict[str, object]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._out: IO[bytes] = os.fdopen(os.dup(1), "wb", buffering=0)
        os.dup2(2, 1)
        threading.Thread(target=self._read, name="parent watch", daemon=True).start()

    def _read(self) -> None:
        for line in sys.stdin.buffer:
            message = json.loads(line)
            if handler := self._handlers.get(message.get(KIND)):
                codec, run = handler
                run(codec.of(message))
            else:
                self._inbox.put(message)
        kill_own_group()

    def receive_of(self, codec: Codec[M]) -> M:
        """Wait for the next message without a handler. Raises ValueError if ``codec`` does not know it."""
        return codec.of(self._inbox.get())

    def receive(self, kind: type[M]) -> M:
        """Wait for the next message without a handler. Raises ValueError if it is no ``kind``."""
        return self.receive_of(Codec(kind))

    def send(self, message: Message) -> None:
        """Write one message; end this process if the backend is gone."""
        line = encode(message)
        try:
            with self._lock:
                self._out.write(line)
        except BrokenPipeError:
            kill_own_group()

    def progress(self, label: str, done: float, total: float | None, unit: str) -> None:
        """Report the progress of a long preparation."""
        self.send(ProgressReport({"label": label, "done": done, "total": total, "unit": unit}))


def main() -> None:
    """``python -m arkor_dev.local.workers.link MODULE ARGS…``: run the module; end it with the parent."""
    die_with_parent()
    os.execv(sys.executable, [sys.executable, "-m", *sys.argv[1:]])


if __name__ == "__main__":
    main()


def serve(
    kinds: Codec[M] | type[M],
    work: Callable[[M, Link], Message],
    reason: Callable[[Exception], str],
    *,
    nice: int = 0,
) -> NoReturn:
    """Send the result of ``work`` on the first message, one of ``kinds``, or `Failed`; end this process.

    The error is the text of a `JobFailure`, or the result of ``reason`` for any other exception. ``nice``
    lowers this process's priority below that of chats and the page.
    """
    if hasattr(os, "nice"):
        os.nice(nice)
    link = Link()
    request = link.receive_of(kinds if isinstance(kinds, Codec) else Codec(kinds))
    try:
        link.send(work(request, link))
    except JobFailure as failure:
        link.send(Failed(str(failure)))
    except Exception as error:  # noqa: BLE001 - the last line of defence of a process about to end
        traceback.print_exc()
        link.send(Failed(reason(error)))
    sys.stderr.flush()
    os._exit(0)
