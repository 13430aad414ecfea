"""Messages to and from the process that tokenizes data sets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict

from arkor_dev.contract.shapes import JobConfig, Progress
from arkor_dev.local.workers.codec import Codec, Message, Trusted

if TYPE_CHECKING:
    from arkor_dev.contract.dataset_shapes import Finding


@dataclass(frozen=True)
class OpenView(Message):
    """Open the view ``id`` of what a job with ``config`` would train on."""

    id: str
    config: Annotated[JobConfig, Trusted()]
    project: str
    scratch: str


@dataclass(frozen=True)
class ModelReady(Message):
    """The view's model is on this machine, in the folder ``path``."""

    id: str
    path: str


@dataclass(frozen=True)
class AskView(Message):
    """Call the method ``what`` of the view ``id`` with ``fields``; ``training``: a job is training now."""

    number: int
    id: str
    what: str
    fields: dict[str, Any]
    training: bool


@dataclass(frozen=True)
class CloseView(Message):
    """Close the view ``id``."""

    id: str


class ViewStatus(TypedDict):
    """The fields of a ``DatasetView`` that the process knows which reads it."""

    state: Literal["opening", "reading", "ready", "changed"]
    form: str
    rows: int | None
    indexed: int
    bySource: list[int]
    """How many rows of each source are trained on."""
    read: int
    excluded: int
    leftOut: int
    maxLength: int | None
    context: int | None
    tokens: int
    learned: int
    roles: dict[str, int]
    findings: list[Finding]


@dataclass(frozen=True)
class ViewAnswered(Message):
    """The result for the question ``number``; None while the view is still being opened.

    ``missing``: the row does not exist.
    """

    number: int
    answer: Any = None
    missing: bool = False


@dataclass(frozen=True)
class ViewProgress(Message):
    """Progress of opening the view ``id``."""

    id: str
    progress: Progress


@dataclass(frozen=True)
class ViewFailed(Message):
    """The view ``id`` is closed, for this reason."""

    id: str
    reason: str


ViewMessage = ViewAnswered | ViewProgress | ViewFailed
VIEW_MESSAGES = Codec[ViewMessage](ViewAnswered, ViewProgress, ViewFailed)
