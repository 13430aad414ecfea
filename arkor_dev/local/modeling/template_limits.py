"""Limits for chat templates, which are programs that come with a model.

transformers runs them in jinja's immutable sandbox, in which they can access neither Python nor the internals
of their arguments. But a sandboxed program may still loop forever, print endlessly, or create a value that
fills the memory (``[0] * 2000000000``, and dozens of other ways). So its time, its output and its memory are
limited; the system enforces the memory limit for any operation. A single operation that takes minutes cannot
be interrupted, so the system ends the process after some more processor time.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import threading
import time
from typing import TYPE_CHECKING, Final

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from arkor_dev.local.workers.errors import SLOW_TEMPLATE, JobFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECONDS: Final = 3.0
"""Time limit in seconds for one conversation; a common template takes a millisecond."""
LOOK_SECONDS: Final = 0.25
"""How often the time limit is checked, in seconds."""
KILL_SECONDS: Final = 4
"""Processor time in whole seconds, and up to one more, after which the system kills the process."""
LINUX_TICKS: Final = ~0 << 3
"""The clock of this process's time in ticks: its number's complement (of 0: itself), and a kind."""
CHARACTERS: Final = 4 * 2**20
MEMORY: Final = 512 * 2**20
"""Maximum number of bytes by which the process may grow meanwhile; other threads hardly allocate then."""
STATM: Final = "/proc/self/statm"


class _BoundedTemplate(jinja2.Template):
    """A template that is stopped after ``CHARACTERS`` of output."""

    def render(self, *args: object, **more: object) -> str:
        pieces: list[str] = []
        size = 0
        for piece in self.generate(*args, **more):
            size += len(piece)
            if size > CHARACTERS:
                raise JobFailure(
                    f"The model's chat template writes more than {CHARACTERS:,} characters for one "
                    "conversation: the model's folder is damaged or malicious"
                )
            pieces.append(piece)
        return "".join(pieces)


# The template class of transformers' environment; transformers has no option for it.
ImmutableSandboxedEnvironment.template_class = _BoundedTemplate


class _TimeUpError(Exception):
    """The time limit is over; raised asynchronously in the rendering thread."""


class _Deadline:
    """A rendering of the current thread, which `interrupt` may interrupt until it has finished."""

    def __init__(self, seconds: float) -> None:
        self.end: Final = time.monotonic() + seconds
        self._thread: Final = threading.get_ident()
        self._lock: Final = threading.Lock()
        self._finished = False

    def interrupt(self) -> None:
        """Raise `_TimeUpError` in its thread; this interrupts only Python code."""
        with self._lock:
            if not self._finished:
                self._raise(_TimeUpError)

    def finish(self) -> None:
        """Finish it; a late exception must not reach later code."""
        with self._lock:
            self._finished = True
            self._raise(None)

    def _raise(self, kind: type[BaseException] | None) -> None:
        number = ctypes.c_ulong(self._thread)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(number, ctypes.py_object(kind) if kind else None)


class _Watchdog:
    """Interrupts renderings at their deadlines, from one thread, which ends when none has begun for a while.

    A thread for each of them takes longer to start than a common template to render.
    """

    def __init__(self) -> None:
        self._lock: Final = threading.Lock()
        self._deadlines: Final = set[_Deadline]()
        self._thread: threading.Thread | None = None

    @contextlib.contextmanager
    def limit(self, seconds: float) -> Iterator[None]:
        """Raise `_TimeUpError` in this thread if the block takes longer."""
        deadline = _Deadline(seconds)
        with self._lock:
            # In a process that was forked meanwhile, the thread of the old one is not alive.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._watch, name="template limits", daemon=True)
                self._thread.start()
            self._deadlines.add(deadline)
        try:
            yield
        finally:
            self._deadlines.discard(deadline)
            deadline.finish()

    def _watch(self) -> None:
        while True:
            time.sleep(LOOK_SECONDS)
            now = time.monotonic()
            with self._lock:
                if not self._deadlines:
                    self._thread = None
                    return
                due = [each for each in list(self._deadlines) if each.end < now]
                self._deadlines.difference_update(due)  # each is interrupted once
            for each in due:
                each.interrupt()


_watchdog: Final = _Watchdog()


@functools.cache
def _statm(_: int) -> int:
    """Return the file with this process's sizes, kept open because a data set is rendered row by row."""
    return os.open(STATM, os.O_RDONLY | os.O_CLOEXEC)


@contextlib.contextmanager
def _limited_growth() -> Iterator[None]:
    """Limit this process's growth to ``MEMORY`` bytes, if the system can (Linux)."""
    try:
        import resource

        pages = int(os.pread(_statm(os.getpid()), 200, 0).split()[5])
        before = resource.getrlimit(resource.RLIMIT_DATA)
    except (ImportError, OSError):
        yield
        return
    _, hard = before
    most = pages * resource.getpagesize() + MEMORY
    soft = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def _limited_time() -> float:
    """Return the processor time that this process has taken, in seconds, as RLIMIT_CPU counts it.

    Linux counts clock ticks for it, which on a busy machine exceed the time that ``getrusage`` returns by a
    tenth: after a minute of training, a limit based on that ends the process at once.
    """
    try:
        return time.clock_gettime(LINUX_TICKS)
    except (AttributeError, OSError, OverflowError):  # another system
        return time.process_time()


@contextlib.contextmanager
def _limited_processor_time() -> Iterator[None]:
    """Have the system kill this process if the block takes ``KILL_SECONDS``, if it can."""
    try:
        import resource

        before = resource.getrlimit(resource.RLIMIT_CPU)
        most = int(_limited_time()) + 1 + KILL_SECONDS
    except (ImportError, OSError):
        yield
        return
    limits = [limit for limit in before if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_CPU, (min(most, *limits), before[1]) if limits else (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CPU, before)


def within_limits(render: Callable[[], str]) -> str:
    """Return the result of ``render``. Raises JobFailure if the template exceeds a limit.

    A template that cannot be interrupted ends the process, by SIGXCPU.
    """
    try:
        with _watchdog.limit(SECONDS), _limited_growth(), _limited_processor_time():
            return render()
    except MemoryError:
        raise JobFailure(
            f"The model's chat template needs more than {MEMORY >> 20} MiB for one conversation: the "
            "model's folder is damaged or malicious"
        ) from None
    except _TimeUpError:
        raise JobFailure(SLOW_TEMPLATE) from None
