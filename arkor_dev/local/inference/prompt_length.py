"""Counts the tokens of a text only as far as the context goes.

Refusing a megabyte then takes no longer than refusing a text that just exceeds the context.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PIECE: Final = 8192
"""Number of characters tokenized at once."""
SLACK: Final = 4
"""Extra tokens that a piece may have compared to the whole text, since words may be split at both ends."""
TOO_LONG: Final = "The conversation has more than {0} tokens, and {1} reads at most {0}: shorten it"
"""The error message for a text that `exceeds` its context."""


def exceeds(count: Callable[[str], int], texts: Sequence[str], most: int) -> bool:
    """Return whether ``texts`` definitely have more than ``most`` tokens; ``count`` is for a piece."""
    total = 0
    for text in texts:
        for start in range(0, len(text), PIECE):
            total += max(0, count(text[start : start + PIECE]) - SLACK)
            if total > most:
                return True
    return False
