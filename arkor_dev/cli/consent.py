"""Asks for confirmation before an irreversible action."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.core.plain_text import one_line

if TYPE_CHECKING:
    from arkor_dev.core.settings import Settings

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
    return _answer(stake, question)


def require_trust(settings: Settings, host: str) -> None:
    """Ask, once for each project and host, whether to use the ``host`` that ``arkor.toml`` names for ssh.

    Raises BadRequestError unless a person agrees, or has agreed before.
    """
    from arkor_dev.connection.ssh.trust import is_trusted, trust

    if is_trusted(settings, host):
        return
    stake = (
        f"{one_line(settings.project, 500)} names the machine {host} in arkor.toml. arkor-dev would sign in "
        "there with your ssh keys, send the project's files, install a program and leave it running."
    )
    if not can_ask():
        raise BadRequestError(
            f"{stake} Nobody has agreed to that yet. Agree with --ssh {host}, once, or choose --local or "
            "--managed."
        )
    if not _answer(stake, f"Do you trust this project, and use {host}?"):
        raise BadRequestError(f"{host} was not contacted. For another backend: --local or --managed")
    trust(settings, host)


def _answer(stake: str, question: str) -> bool:
    try:
        answer = input(f"{stake}\n{question} [y/N] ")
    except (EOFError, KeyboardInterrupt) as key:
        print()  # noqa: T201 (the terminal's cursor is still behind the question)
        if isinstance(key, EOFError):
            return False
        raise
    return answer.strip().lower() in ("y", "yes")
