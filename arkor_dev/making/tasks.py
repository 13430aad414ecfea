"""The requests of a making run: about passages of documents, or about rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from arkor_dev.data.rows import RowMessage
    from arkor_dev.teacher.request import TeacherRequest


@dataclass(frozen=True, slots=True)
class Task:
    """A request about a ``source`` (a document, or a row), and how its answer becomes rows.

    ``made_from`` is the key of the passage or row: rows made from it are held out of training together.
    ``read`` yields what an answer contains, or why an item is dropped. Raises
    UnreadableAnswerError.
    """

    source: str
    made_from: str
    request: TeacherRequest
    read: Callable[[str], Iterator[Candidate | Opinion | str]]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row that the teacher proposes: its ``messages``, and the ``quote`` that it rests on."""

    messages: list[RowMessage]
    quote: str = ""


class Opinion(NamedTuple):
    """What a judge says about a row: its ``verdict``, accepted or rejected, and why."""

    verdict: str
    reason: str
