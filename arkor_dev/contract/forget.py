"""Shapes and request bodies of the feature ``forget``: docs/contract.md#forget."""

from __future__ import annotations

from typing import Final, Literal, NotRequired, TypedDict

from .rules import FLAG, Rule
from .schema import Field, Schema

MOST_ROWS: Final = 1000
MOST_COPIES: Final = 10_000
"""Maximum number of copies in a certificate."""


class DeletedRow(TypedDict):
    """A row that was deleted from an adapter: its place when it was trained on, and a hash of its content."""

    where: str
    sha256: str


class TextCopy(TypedDict):
    """A place that still holds text of the deleted rows. ``name`` is what a person calls it.

    ``deletable``: the backend can delete it. ``job`` is the id of the job that it belongs to.
    """

    id: str
    kind: Literal["data", "file", "export", "event", "log", "job", "answer", "cache"]
    name: str
    deletable: bool
    job: NotRequired[str]


class Dependent(TypedDict):
    """An adapter, or what uses one, that learned from the rows: ``certain``, or it may have."""

    kind: Literal["adapter", "endpoint", "export"]
    name: str
    certain: bool
    why: str
    job: NotRequired[str]


class ForgetRepeat(TypedDict):
    """The job, trained again from the start without the rows. ``same``: its adapter has the same bits."""

    job: str
    state: Literal["training", "completed", "failed"]
    same: NotRequired[bool]


class Certificate(TypedDict):
    """What a job deleted from another's adapter, how, and what is left of it on this machine.

    ``job`` was trained without ``rows``, ``of`` is the job that had them. ``first`` is the first step that
    used one of them, None if none did; ``start`` the step after which the job continued, 0 from the start;
    ``steps`` those of the whole run. ``exact``: on this device the bits are those of a training from the
    start without the rows. ``before`` and ``after`` are hashes of both adapters' weights, ``intact``: the
    file still has the latter. ``searchable``: the rows have passages that no other row has. ``unsearched``
    are files that could not be read.
    """

    job: str
    of: str
    ofName: str
    rows: list[DeletedRow]
    first: int | None
    start: int
    steps: int
    message: str
    exact: bool
    before: str | None
    after: str
    intact: bool
    searchedAt: str
    searchable: bool
    files: int
    bytes: int
    copies: list[TextCopy]
    dependents: list[Dependent]
    unsearched: list[str]
    deleted: list[TextCopy]
    repeat: NotRequired[ForgetRepeat]


FORGET: Final = Schema(
    Field(
        "rows",
        Rule(
            "list",
            1,
            MOST_ROWS,
            f"a list of 1 to {MOST_ROWS:,} rows: numbers, hashes or places",
            test=lambda rows: all(isinstance(row, str) and 0 < len(row) <= 1000 for row in rows),
        ),
        needed=True,
    ),
)
"""``{rows}``: each a row's number on the Data page, its entry (a hash) there, or its place
(``data/chats.jsonl, line 3``).
"""

SEARCH_AGAIN: Final = Schema(
    Field(
        "delete",
        Rule(
            "list",
            0,
            MOST_COPIES,
            "a list of ids of copies",
            test=lambda ids: all(isinstance(id_, str) for id_ in ids),
        ),
        null=True,
    ),
    Field("repeat", FLAG, null=True),
)
"""``{delete?, repeat?}``: the copies to delete first, and whether to train again from the start."""
