"""Named errors, shared by both sides of the wire. Callers catch names; only this module knows status codes.

A server (Studio, the local backend) raises one of these; :func:`status_of` maps it to a status. A client maps
the status back to the same class with :func:`fault_of`. Each carries a sentence for the user: what happened,
why, what to do. The command line prints it without a traceback. Any other exception that escapes is a bug and
is logged as one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

from .regular_files import DISK_FULL

if TYPE_CHECKING:
    from collections.abc import Mapping


class ArkorError(Exception):
    """An expected error. ``extra`` is added to the JSON response beside ``error``.

    ``answered`` is the backend's status, None if the error is our own; ``headers`` are those of its response
    that the browser receives, too.
    """

    answered: int | None = None
    headers: Mapping[str, str] = {}

    def __init__(self, text: str, **extra: object) -> None:
        super().__init__(text)
        self.text = text
        self.extra = extra

    def reworded(self, text: str, **extra: object) -> Self:
        """Return the same error with another message."""
        other = type(self).__new__(type(self), text)
        other.__dict__.update(self.__dict__, text=text, extra=extra)
        return other


class BadRequestError(ArkorError):
    """The request, or a file that a person wrote, is invalid; its author can correct it."""


class UnauthorizedError(ArkorError):
    """The caller is not, or no longer, signed in."""


class ForbiddenError(ArkorError):
    """The identity lacks permission."""


class NotFoundError(ArkorError):
    """Nothing has this name; also the response of a backend without the route."""


class ConflictError(ArkorError):
    """The current state prevents it: a name is taken, or something has changed in the meantime."""


class TooLargeError(ArkorError):
    """The input exceeds a size limit."""


class TooOldError(ArkorError):
    """The backend no longer supports clients of this version."""


class TemporaryError(ArkorError):
    """A temporary error: the same call may succeed later."""


class SlowRequestError(TemporaryError):
    """The request did not arrive in time."""


class RateLimitedError(TemporaryError):
    """Too many calls in a short time."""


class InternalError(TemporaryError):
    """This machine or program failed, not the request."""


class InsufficientStorageError(InternalError):
    """The disk is full; the same call succeeds once something was deleted."""


class UnsupportedError(TemporaryError):
    """The backend does not support the call."""


class BackendError(TemporaryError):
    """The backend (or the sign-in service) is unreachable, or its response is unusable."""


class TimedOutError(BackendError):
    """The backend did not answer in time."""


class UnavailableError(TemporaryError):
    """The service is starting or shutting down."""


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
    InsufficientStorageError: 507,
}
_KINDS: Final = {status: kind for kind, status in STATUS.items()}
_TOO_EARLY: Final = 425
_OURS: Final = 500
_SQLITE_FULL: Final = 13
MAKE_ROOM: Final = (
    "To make room, run arkor-dev local gc, which deletes what no job uses, or delete jobs: arkor-dev local "
    "status, or Disk use on the Jobs page, shows what takes space"
)


def status_of(error: ArkorError) -> int:
    """Return the HTTP status of a response that reports this error."""
    if error.answered is not None:
        return error.answered
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), _OURS)


def is_disk_full(error: BaseException) -> bool:
    """Return whether an error of the system or of SQLite means that the disk, or the quota, is full."""
    if isinstance(error, OSError):
        return error.errno in DISK_FULL
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == _SQLITE_FULL


def unwritten(name: str, error: OSError) -> InternalError:
    """Return the error for a file of the project, ``name``, that could not be written and is as it was."""
    if is_disk_full(error):
        return InsufficientStorageError(f"The disk is full, so {name} is as it was. {MAKE_ROOM}.")
    return InternalError(f"{name} cannot be written: {error.strerror or error}. It is as it was.")


def fault_of(status: int, text: str, headers: Mapping[str, str] | None = None, **extra: object) -> ArkorError:
    """Return the error for a backend's response of ``status`` (400 or more), keeping that status.

    A status unknown to HTTP becomes 502, since a browser would not treat it as an error.
    """
    unnamed = TemporaryError if status >= _OURS or status == _TOO_EARLY else ArkorError
    error = _KINDS.get(status, unnamed)(text, **extra)
    error.answered = status if status < 600 else STATUS[BackendError]
    error.headers = headers or {}
    return error
