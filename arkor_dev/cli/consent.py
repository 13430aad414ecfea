"""Asks for confirmation before an irreversible action."""

from __future__ import annotations

import sys
from typing import Final

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.core.plain_text import one_line

SEND: Final = "Send it?"
"""The question before a large upload to another machine."""


def can_ask() -> bool:
    """Return whether a person at a terminal can see and answer a question."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def confirm(stake: str, question: str, *, yes: bool) -> bool:
    """Describe ``stake`` is at stake and ask for confirmation; ``yes`` confirms in advance.

    Raises BadRequestError without a terminal: silence is not consent.
    """
    if yes:
        return True
    stake = one_line(stake, 1000)
    if not can_ask():
        raise BadRequestError(f"{stake} There is no terminal to ask at: add --yes to confirm.")
    try:
        answer = input(f"{stake}\n{question} [y/N] ")
    except (EOFError, KeyboardInterrupt) as key:
        print()  # noqa: T201 (the terminal's cursor is still behind the question)
        if isinstance(key, EOFError):
            return False
        raise
    return answer.strip().lower() in ("y", "yes")
