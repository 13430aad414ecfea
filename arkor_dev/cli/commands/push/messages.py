"""Messages between ``arkor-dev push`` and its process that talks to the Hub: one order, then lines."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict


class LookOrder(TypedDict):
    """Ask for the repository's state: a `Repository`."""

    do: Literal["look"]
    repo: str


class PushOrder(TypedDict):
    """Upload ``files`` of ``folder`` in one commit, which also deletes ``remove``: a `Pushed`.

    ``private``: the repository must be private, and is created so. ``places`` are folders whose paths no file
    may reveal; ``pause`` is the one before the first retry, in seconds.
    """

    do: Literal["push"]
    repo: str
    private: bool
    folder: str
    files: list[str]
    remove: list[str]
    places: list[str]
    message: str
    pause: float


class RepositoryState(TypedDict):
    """A repository; one that does not exist has neither files nor the ``commit`` of its last change."""

    exists: bool
    private: bool | None
    files: list[str]
    commit: str | None


class Repository(RepositoryState):
    """A repository as ``user`` of the Hub at the address ``endpoint`` sees it."""

    user: str
    endpoint: str


class Commit(TypedDict):
    """A commit; ``changed`` is false if the repository had all of it."""

    commit: str
    private: bool | None
    changed: bool


class Pushed(Commit):
    """An upload of ``sent`` bytes."""

    sent: int


class UploadProgress(TypedDict):
    """How far an upload has come, in bytes; ``secondsLeft`` is an estimate."""

    label: str
    done: NotRequired[int]
    total: NotRequired[int]
    unit: NotRequired[str]
    secondsLeft: NotRequired[int]


class Message(TypedDict):
    """One line of the process: ``progress``, or at the end either ``answer`` or ``error``.

    A ``final`` error is the order's fault, others are the Hub's or the network's.
    """

    progress: NotRequired[UploadProgress]
    answer: NotRequired[Repository | Pushed]
    error: NotRequired[str]
    final: NotRequired[bool]
