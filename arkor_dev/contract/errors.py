"""Faults by name, on both sides of the wire; callers catch names, and no status number but here.

Whoever serves (Studio, the local backend) raises one of these, and :func:`status_of` says which status the
answer has. Whoever calls turns an answer's status back into the same name by :func:`fault_of`. Each carries a
finished sentence for a person: the thing, the cause, the next step. The command line prints it without a
traceback. Anything else that escapes is a bug and is logged as one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Mapping


class ArkorError(Exception):
    """An expected fault. ``extra`` joins ``error`` in the JSON answer.

    ``answered`` is the status that a backend gave it, None when it is our own finding; ``headers`` are those
    of that answer which the browser gets too.
    """

    answered: int | None = None
    headers: Mapping[str, str] = {}

    def __init__(self, text: str, **extra: object) -> None:
        super().__init__(text)
        self.text = text
        self.extra = extra

    def reworded(self, text: str, **extra: object) -> Self:
        """The same fault in other words."""
        other = type(self).__new__(type(self), text)
        other.__dict__.update(self.__dict__, text=text, extra=extra)
        return other


class BadRequestError(ArkorError):
    """What was asked, or written into a file, is wrong; whoever wrote it can mend it."""


class UnauthorizedError(ArkorError):
    """Nobody known is signed in, or not any more."""


class ForbiddenError(ArkorError):
    """This identity may not do that."""


class NotFoundError(ArkorError):
    """There is nothing by that name; a backend that does not know a call says the same."""


class ConflictError(ArkorError):
    """It cannot be done as things stand: there is one already, or somebody has changed it meanwhile."""


class TooLargeError(ArkorError):
    """More than is read."""


class TooOldError(ArkorError):
    """The backend no longer speaks with a client of this version."""


class PassingError(ArkorError):
    """What may pass by waiting: the same call may succeed later."""


class SlowRequestError(PassingError):
    """The request did not arrive in time."""


class RateLimitedError(PassingError):
    """Too many calls for the moment."""


class InternalError(PassingError):
    """This machine or this program is at fault, not who asked."""


class UnsupportedError(PassingError):
    """The backend has no such call."""


class BackendError(PassingError):
    """The backend (or the sign-in service) is away, or what it answers cannot be used."""


class TimedOutError(BackendError):
    """The backend has not answered in time."""


class UnavailableError(PassingError):
    """Not ready yet, or closing."""


STATUS: Final[dict[type[ArkorError], int]] = {
    BadRequestError: 400,
    UnauthorizedError: 401,
    ForbiddenError: 403,
    NotFoundError: 404,
    SlowRequestError: 408,
    ConflictError: 409,
    TooLargeError: 413,
    TooOldError: 426,
    RateLimitedError: 429,
    InternalError: 500,
    UnsupportedError: 501,
    BackendError: 502,
    UnavailableError: 503,
    TimedOutError: 504,
}
_KINDS: Final = {status: kind for kind, status in STATUS.items()}
_TOO_EARLY: Final = 425
_OURS: Final = 500


def status_of(error: ArkorError) -> int:
    """The HTTP status of an answer that tells of this fault."""
    if error.answered is not None:
        return error.answered
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), _OURS)


def fault_of(status: int, text: str, headers: Mapping[str, str] | None = None, **extra: object) -> ArkorError:
    """The fault that a backend's answer of ``status`` (400 or more) tells of; it keeps that status.

    A status that HTTP does not know would be no error to a browser, and becomes 502.
    """
    unnamed = PassingError if status >= _OURS or status == _TOO_EARLY else ArkorError
    error = _KINDS.get(status, unnamed)(text, **extra)
    error.answered = status if status < 600 else STATUS[BackendError]
    error.headers = headers or {}
    return error
