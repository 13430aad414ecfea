"""What the backend tells the daemon on standard output: one JSON object a line, for the terminal."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def say(**fields: Any) -> None:
    """Write one line at once; a daemon that is gone is noticed at standard input, not here."""
    try:
        sys.stdout.write(json.dumps(fields) + "\n")
        sys.stdout.flush()
    except (BrokenPipeError, ValueError):
        pass


def progress(fields: Mapping[str, Any]) -> None:
    """How far a preparation has come: ``label``, ``done``, ``total``, ``unit``."""
    say(notice="progress", **fields)


def message(level: str, text: str) -> None:
    """A sentence for the terminal; ``level`` is info, warning or error."""
    say(notice="message", level=level, text=text)
