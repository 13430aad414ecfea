"""Chat templates within limits: they are programs that come with a model.

transformers runs them in jinja's immutable sandbox, where they reach neither Python nor their arguments'
insides; but a sandboxed program may still loop for ever or print without end. Here it has so many seconds
and so many characters. What no limit of Python's reaches (one operation that takes minutes) is left to
whoever may kill the process.
"""

from __future__ import annotations

import contextlib
import ctypes
import threading
from typing import TYPE_CHECKING, Any, Final

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECONDS: Final = 3.0
"""For one conversation; a usual template takes a thousandth of a second."""
CHARACTERS: Final = 4 * 2**20


class _BoundedTemplate(jinja2.Template):
    """A template that stops printing after ``CHARACTERS``."""

    def render(self, *args: Any, **more: Any) -> str:
        pieces: list[str] = []
        size = 0
        for piece in self.generate(*args, **more):
            size += len(piece)
            if size > CHARACTERS:
                raise JobFailure(
                    f"The model's chat template prints more than {CHARACTERS:,} characters for one "
                    "conversation: the model's folder is broken, or was made to do harm"
                )
            pieces.append(piece)
        return "".join(pieces)


# The class that transformers makes its environment from; it has no option for this.
ImmutableSandboxedEnvironment.template_class = _BoundedTemplate


class _TimeUpError(Exception):
    """Raised in the middle of whatever the thread is doing."""


@contextlib.contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raise :class:`_TimeUpError` in this thread when the body takes longer; Python code alone is reached."""
    thread, lock, over = threading.get_ident(), threading.Lock(), False

    def interrupt(kind: type[BaseException] | None) -> None:
        number = ctypes.c_ulong(thread)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(number, ctypes.py_object(kind) if kind else None)

    def time_up() -> None:
        with lock:
            if not over:
                interrupt(_TimeUpError)

    timer = threading.Timer(seconds, time_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        with lock:
            over = True
            interrupt(None)  # one that was raised too late must not hit what comes next


def within_limits(render: Callable[[], str]) -> str:
    """What ``render`` returns; :class:`JobFailure` when the template takes too long or prints too much."""
    try:
        with _limited(SECONDS):
            return render()
    except _TimeUpError:
        raise JobFailure(
            f"The model's chat template takes longer than {SECONDS:g} s for one conversation: the model's "
            "folder is broken, or was made to do harm"
        ) from None
