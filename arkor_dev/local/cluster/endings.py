"""What ends a job here without its worker's last word, and what the backend is told of it."""

from __future__ import annotations

import traceback
from typing import Any

from arkor_dev.local.workers.errors import JobFailure

from .answers import HostileError
from .connection import LostError, NoPlaceError


class EndedError(LostError):
    """A worker has ended without its last word, or is gone; ``str()`` is a sentence on that."""


class StandsError(Exception):
    """The job was to go on where it trained, and nowhere else; ``str()`` says why it stands."""


def last_word(error: Exception) -> dict[str, Any]:
    """The message that ends a job by an error; what nobody has foreseen is in this process's log, too."""
    if isinstance(error, NoPlaceError):
        return {"waits": str(error)}
    if isinstance(error, StandsError):
        return {"end": "paused", "fields": {"reason": "ended", "message": str(error)}}
    if isinstance(error, LostError):
        return {"lost": str(error)}
    text = str(error)
    if not isinstance(error, JobFailure):
        traceback.print_exception(error)
        text = f"{type(error).__name__}: {error}"
    if isinstance(error, HostileError):
        text = f"The cluster's node sent {error}: do not use it"
    return {"end": "failed", "fields": {"error": text}}
