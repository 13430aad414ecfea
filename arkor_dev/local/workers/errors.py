"""The two kinds of fault that a person is meant to read.

One is the answer to a request, the other the end of a job; both carry finished sentences that name the
thing, the cause and the next step. Anything else that escapes is a bug and is logged as one.
"""

from __future__ import annotations


class RequestError(Exception):
    """A request that cannot be served: ``status`` is the HTTP status, ``text`` goes into ``{"error"}``.

    A text may quote what was sent, so it is cut to a thousand characters.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text if len(text) <= 1000 else f"{text[:999]}…"


class JobFailure(Exception):  # noqa: N818 - it ends a job; it is no error in the program
    """A job, or a model's preparation, that cannot go on; ``str()`` is the reason shown to the person."""


def out_of_memory(error: BaseException) -> bool:
    """Whether torch or Python ran out of memory; torch says so on the CPU by text alone."""
    return isinstance(error, MemoryError) or "out of memory" in str(error) or "allocate memory" in str(error)
