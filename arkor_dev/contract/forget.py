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


KINDS: Final = ("data", "file", "export", "event", "log", "job", "answer", "cache")
"""What a place is that may hold text of deleted rows."""


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
    """The rows that a job deleted from another's adapter, how, and which copies of them this machine has.

    ``job`` was trained without ``rows``, ``of`` is the job that had them. ``first`` is the first step that
    used one of them, None if none did; ``start`` the step after which the job continued, 0 from the start;
    ``steps`` those of the whole run. ``exact``: on this device the bits are those of a training from the
    start without the rows. ``before`` and ``after`` are hashes of both adapters' weights, ``intact``: the
    file still has the latter. ``searchable``: the rows have passages that no other row has. ``unsearched``
    are files, parts of files and folders that were not searched, each with the reason. The lists of copies
    and of these are cut; ``copiesCount`` and ``unsearchedCount`` are their whole lengths.
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
    copiesCount: int
    dependents: list[Dependent]
    unsearched: list[str]
    unsearchedCount: int
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

_TEXTS: Final = Rule(
    "list", noun="a list of texts", test=lambda texts: all(isinstance(text, str) for text in texts)
)
_OR_NULL: Final = Rule(
    "other", noun="text or null", test=lambda value: value is None or isinstance(value, str)
)
FORGOTTEN: Final = Schema(
    Field("job", Rule("text", 1, 200), needed=True),
    Field("name", Rule("text", 1, 1000), needed=True),
    Field("rows", _TEXTS, needed=True),
    Field("weights", _OR_NULL, needed=True),
)
"""An earlier job in the config of one that deletes rows (``shapes.Forgotten``)."""
LEFT_OUT: Final = Schema(
    Field("rows", _TEXTS, needed=True),
    Field("hash", Rule("text", 1, 200), needed=True),
)
"""The rows that a job leaves out (``shapes.LeftOut``)."""
FORGETTING: Final = Schema(
    Field("leftOut", Rule("object"), null=True, inner=LEFT_OUT),
    Field("forgets", Rule("list"), null=True, inner=FORGOTTEN),
)
"""What the config of such a job says, of which a client sends nothing."""

_SHOWN: Final = Rule("other", noun="text", test=lambda value: isinstance(value, str))
_SIZE: Final = Rule("whole", 0, 2**53, "a number")
_LIST: Final = Rule("list", noun="a list of objects", of=Rule("object"))
_COPY: Final = Schema(
    Field("id", _SHOWN, needed=True),
    Field("kind", Rule("choice", choices=KINDS), needed=True),
    Field("name", _SHOWN, needed=True),
    Field("deletable", FLAG, needed=True),
    Field("job", _SHOWN),
)
_REPEAT: Final = Schema(
    Field("job", _SHOWN, needed=True),
    Field("state", Rule("choice", choices=("training", "completed", "failed")), needed=True),
    Field("same", FLAG),
)
_DELETED_ROW: Final = Schema(Field("where", _SHOWN, needed=True), Field("sha256", _SHOWN, needed=True))
_DEPENDENT: Final = Schema(
    Field("kind", Rule("choice", choices=("adapter", "endpoint", "export")), needed=True),
    Field("name", _SHOWN, needed=True),
    Field("certain", FLAG, needed=True),
    Field("why", _SHOWN, needed=True),
    Field("job", _SHOWN),
)
CERTIFICATE: Final = Schema(
    *(Field(name, _SHOWN, needed=True) for name in ("job", "of", "ofName", "message", "after", "searchedAt")),
    *(
        Field(name, _SIZE, needed=True)
        for name in ("start", "steps", "files", "bytes", "copiesCount", "unsearchedCount")
    ),
    *(Field(name, FLAG, needed=True) for name in ("exact", "intact", "searchable")),
    Field(
        "first",
        Rule("other", noun="a number", test=lambda value: value is None or _SIZE.fits(value)),
        needed=True,
    ),
    Field("before", _OR_NULL, needed=True),
    Field("rows", _LIST, needed=True, inner=_DELETED_ROW),
    Field("copies", _LIST, needed=True, inner=_COPY),
    Field("deleted", _LIST, needed=True, inner=_COPY),
    Field("dependents", _LIST, needed=True, inner=_DEPENDENT),
    Field("unsearched", _TEXTS, needed=True),
    Field("repeat", Rule("object"), inner=_REPEAT),
)
"""A ``Certificate`` from a file or a backend: either may be anyone's."""

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
