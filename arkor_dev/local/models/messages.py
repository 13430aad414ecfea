"""Messages to and from the process that makes one base model available."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from arkor_dev.local.workers.codec import Message


@dataclass(frozen=True)
class FetchModel(Message):
    """Make the model ``name`` available on this machine; ``starter`` is true for the starter model."""

    name: str
    starter: bool
    cache: Path


@dataclass(frozen=True)
class ModelFetched(Message):
    """The model is in the folder ``path``."""

    path: Path
