"""The backend's background work, such as an export: how its progress is polled and reported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

LOOK_SECONDS = 0.5
"""Pause between two polls."""

OnProgress = Callable[[Mapping[str, Any]], None]
"""Gets the record of the work, with its ``state`` and ``progress``, at every poll."""


def unreported(_: Mapping[str, Any]) -> None:
    """Report no progress."""
