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


@contextlib.contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raise `_TimeUpError` in this thread if the block takes too long; this interrupts only Python code."""
    thread, lock, finished = threading.get_ident(), threading.Lock(), False

    def interrupt(kind: type[BaseException] | None) -> None:
        number = ctypes.c_ulong(thread)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(number, ctypes.py_object(kind) if kind else None)

    def time_up() -> None:
        with lock:
            if not finished:
                interrupt(_TimeUpError)

    timer = threading.Timer(seconds, time_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        with lock:
            finished = True
            interrupt(None)  # a late exception must not reach later code


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
        with _limited(SECONDS), _limited_growth(), _limited_processor_time():
            return render()
    except MemoryError:
        raise JobFailure(
            f"The model's chat template needs more than {MEMORY >> 20} MiB for one conversation: the "
            "model's folder is damaged or malicious"
        ) from None
    except _TimeUpError:
        raise JobFailure(SLOW_TEMPLATE) from None
