"""Problems in a project's ``arkor.toml``, each with its line and the allowed values."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from arkor_dev.contract.rules import quoted, shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from .positions import Path as KeyPath

FILE = "arkor.toml"
SHOWN_PROBLEMS = 8
SHOWN_NAMES = 16
# Too short to be found by similarity, and common in other tools.
ABBREVIATIONS = {"lr": "learning_rate", "rank": "r", "lora_r": "lora", "data": "dataset"}


class Problems:
    """Problems, each with its line. Texts are formatted when they are shown."""

    def __init__(self, lines: dict[KeyPath, int]) -> None:
        self.lines = lines
        self._problems: list[tuple[int, Callable[[], str]]] = []

    def __bool__(self) -> bool:
        return bool(self._problems)

    def add(self, at: KeyPath, text: str) -> None:
        """Add a problem with the key ``at``, or with the nearest one above it that has a line."""
        self._add(at, lambda: text)

    def not_allowed(self, at: KeyPath, value: object, allowed: str) -> None:
        """Add a problem: a value is not one of ``allowed``, in words."""
        self._add(at, lambda: f"{spelled(at)} = {quoted(value)} is invalid; expected {allowed}")

    def check_keys(self, at: KeyPath, table: dict[str, object], allowed: Sequence[str]) -> bool:
        """Return whether ``table`` has only ``allowed`` keys; add a problem for each other key."""
        unknown = [key for key in table if key not in allowed]
        for key in unknown:
            self._unknown_key((*at, key), key, allowed)
        return not unknown

    def _unknown_key(self, at: KeyPath, key: str, allowed: Sequence[str]) -> None:
        self._add(at, lambda: f"unknown key {spelled(at)}.{suggest(key, allowed, 'Allowed here')}")

    def _add(self, at: KeyPath, text: Callable[[], str]) -> None:
        self._problems.append((line_of(self.lines, at), text))

    def text(self) -> str:
        """Return one line for each problem, in the order of the file, the first few of them."""
        problems = sorted(self._problems, key=lambda problem: problem[0])
        lines = [f"{FILE}:{line}: {text()}" for line, text in problems[:SHOWN_PROBLEMS]]
        if len(problems) > SHOWN_PROBLEMS:
            lines.append(f"… and {len(problems) - SHOWN_PROBLEMS} more")
        return "\n".join(lines)


def line_of(lines: dict[KeyPath, int], at: KeyPath) -> int:
    """Return the line of ``at``, or of the nearest one above it that has one."""
    while at and at not in lines:
        at = at[:-1]
    return lines.get(at, 1)


def spelled(at: KeyPath) -> str:
    """Return a key as written inside its ``[[trainer]]``: ``lora.r``."""
    text = ".".join(str(part) for part in (at[2:] if len(at) > 2 else at))
    return shortened(text) if text.isprintable() else quoted(text)


def suggest(text: str, known: Iterable[str], otherwise: str) -> str:
    """Return the ``known`` word that is most similar to an unknown one, or else the first of them."""
    names = list(known)
    guess = ABBREVIATIONS.get(text, text)
    spelled = guess.lower().replace("-", "_")
    close = difflib.get_close_matches(guess, names, n=1) or difflib.get_close_matches(spelled, names, n=1)
    if close:
        return f" Did you mean {close[0]}?"
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return f" {otherwise}: {', '.join(names[:SHOWN_NAMES])}{more}"
