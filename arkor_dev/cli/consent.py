"""Asks for confirmation before an irreversible action."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.core.plain_text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable

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
    from arkor_dev.client.which_backend import agree_to, stake_of
    from arkor_dev.project.trust import is_trusted

    if not is_trusted(settings, host):
        _require(
            settings, [host],
            stake_of(settings, host),
            agree=agree_to(host),
            instead="For another backend: --local or --managed",
        )  # fmt: skip


def require_cluster_trust(
    settings: Settings, address: str, storage: str | None = None, *, typed: str = "--on {}, once,"
) -> None:
    """Ask, once for each project and address, whether to use the cluster and store that ``arkor.toml`` names.

    A cluster of the command line or the environment is consent itself; ``typed`` says how to type it. Raises
    like `require_trust`.
    """
    from arkor_dev.project.trust import untrusted

    if names := untrusted(settings, address, storage):
        typing = f", with {typed.format(address)}" if names == [address] else ""
        _require(
            settings, names,
            f"{one_line(settings.project, 500)} names {' and '.join(names)} in arkor.toml, for jobs on a "
            "cluster. arkor-dev would send the project's data there, and your Ray token to a cluster that "
            "requires one.",
            agree=f"Agree at a terminal{typing} or on Studio's Home, or train on this machine: --on here",
            instead="To train on this machine: --on here",
        )  # fmt: skip


def ask_about_notices(settings: Settings, say: Callable[[str], object]) -> None:
    """Ask, once for each project and content, whether the ``[notify]`` of ``arkor.toml`` may take effect.

    Without consent, or a terminal to ask at, the run starts all the same, without notices.
    """
    from arkor_dev.notices.consent import agree, pending

    asks = pending(settings)
    if asks is None:
        return
    stake = (
        f"[notify] of {one_line(settings.project, 500)} would {', and '.join(asks['does'])} when a job ends."
    )
    if not can_ask():
        say(f"{stake} Nobody has agreed to that, so it does not. Agree at a terminal or on Studio's Home.")
    elif _answer(stake, "Do you trust this project, and allow that?"):
        agree(settings, asks["mark"])


def _require(settings: Settings, names: list[str], stake: str, *, agree: str, instead: str) -> None:
    """Ask for consent to ``names`` and record it; ``agree`` says how to without a terminal."""
    from arkor_dev.project.trust import trust

    said = " and ".join(names)
    if not can_ask():
        raise BadRequestError(f"{stake} Nobody has agreed to that yet. {agree}")
    if not _answer(stake, f"Do you trust this project, and use {said}?"):
        raise BadRequestError(f"{said} {'was' if len(names) == 1 else 'were'} not contacted. {instead}")
    for name in names:
        trust(settings, name)


def _answer(stake: str, question: str) -> bool:
    try:
        answer = input(f"{stake}\n{question} [y/N] ")
    except (EOFError, KeyboardInterrupt) as key:
        print()  # noqa: T201 (the terminal's cursor is still behind the question)
        if isinstance(key, EOFError):
            return False
        raise
    return answer.strip().lower() in ("y", "yes")
