"""The shapes of the features ``edit``, ``delete`` and ``queue`` (docs/contract.md#optional-features)."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class JobChanges(TypedDict):
    """``PATCH /v1/jobs/:id``: any of what a person says of a job. ``notes`` is Markdown. Feature ``edit``."""

    name: NotRequired[str]
    notes: NotRequired[str]
    tags: NotRequired[list[str]]
    starred: NotRequired[bool]


class Queue(TypedDict):
    """The jobs that wait, the next one first; while it is ``held`` none of them starts. Feature ``queue``."""

    held: bool
    order: list[str]


class QueueChanges(TypedDict):
    """``PATCH /v1/queue``: jobs that are not named in ``order`` stay in theirs, behind those that are."""

    order: NotRequired[list[str]]
    held: NotRequired[bool]


class JobOnDisk(TypedDict):
    """What a job's files take on the disk, in bytes."""

    id: str
    name: str
    bytes: int


class ModelOnDisk(TypedDict):
    """What a base model takes on the disk, in bytes.

    ``used``: some job asks for it. ``shared``: it lies where other programs use it as well.
    """

    name: str
    bytes: int
    used: NotRequired[bool]
    shared: NotRequired[bool]


class Disk(TypedDict):
    """``GET /v1/disk``, in bytes: what each job and base model takes. Feature ``delete``.

    ``leftovers`` is what belongs to no job, ``database`` the jobs' records and events, ``free`` what the disk
    has left.
    """

    jobs: list[JobOnDisk]
    models: list[ModelOnDisk]
    leftovers: int
    database: int
    free: int
