"""Messages to and from the attributing process."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from arkor_dev.local.execution.messages import JobRequest
from arkor_dev.local.workers.codec import Message


@dataclass(frozen=True)
class AttributionRequest(Message):
    """What to find out about the adapter of ``job``: causes of an answer, contradicting rows, or a proof.

    ``messages`` is the conversation, ``answer`` what it is asked about, or None for the adapter's own;
    ``folders`` are the proof's adapters by name. The model follows.
    """

    job: JobRequest
    task: Literal["why", "rows", "prove"]
    messages: list[dict[str, Any]] = field(default_factory=list)
    answer: str | None = None
    folders: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Attributed(Message):
    """What was found, in the form that the contract has for the task."""

    found: dict[str, Any]
