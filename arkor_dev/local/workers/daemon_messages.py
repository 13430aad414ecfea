"""Messages from the backend to the daemon, for the terminal: one JSON object per line on standard output."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from arkor_dev.contract.shapes import Progress


def say(**fields: object) -> None:
    """Write one line immediately. The end of standard input, not of output, shows that the daemon is gone."""
    try:
        sys.stdout.write(json.dumps(fields) + "\n")
        sys.stdout.flush()
    except (BrokenPipeError, ValueError):
        pass


def progress(fields: Progress) -> None:
    """Report the progress of a preparation: ``label``, ``done``, ``total``, ``unit``."""
    say(notice="progress", **fields)


def progress_ended(label: str) -> None:
    """Report that a preparation ended before it was complete."""
    say(notice="progressEnded", label=label)


def message(level: str, text: str) -> None:
    """Send a sentence for the terminal; ``level`` is info, warning or error."""
    say(notice="message", level=level, text=text)
