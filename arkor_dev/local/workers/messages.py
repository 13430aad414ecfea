"""Messages that every worker may send."""

from __future__ import annotations

from dataclasses import dataclass

from arkor_dev.contract.shapes import Progress

from .codec import Message


@dataclass(frozen=True)
class RunModule(Message):
    """Run ``module``: the first message to a process that waits until it is needed."""

    module: str


@dataclass(frozen=True)
class ProgressReport(Message):
    """Progress of a long preparation."""

    progress: Progress


@dataclass(frozen=True)
class Failed(Message):
    """The work ends here; ``error`` is the reason, for the user."""

    error: str
