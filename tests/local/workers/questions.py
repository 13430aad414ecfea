"""Messages to and from the tests' own workers."""

from __future__ import annotations

from dataclasses import dataclass

from arkor_dev.local.workers.codec import Message


@dataclass(frozen=True)
class Question(Message):
    """A text."""

    text: str


@dataclass(frozen=True)
class Libraries(Message):
    """Which libraries a process had imported, what it was asked, its ``__name__``, whether CUDA is in use."""

    libraries: list[str]
    asked: str
    name: str
    cuda: bool
