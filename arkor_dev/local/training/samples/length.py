"""How long answers may be, so that all of them take a small part of a run: by what the first ones took.

Answers of different steps are compared, so the length is settled once, after a few tokens; it is made less
later where the time does not suffice. Pure: times are handed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SHARE: Final = 0.05
"""The part of a run's time that all answers may take."""
MOST_TOKENS: Final = 128
FEWEST_TOKENS: Final = 8
"""Tokens of an answer at least, however slow: less says nothing."""
PROBE: Final = 4
"""After so many tokens the pace is known."""
SLACK: Final = 0.8
"""Answers are made shorter again where there is time for less than this part of their length."""


@dataclass
class Length:
    """``tokens`` is how long an answer may be, None before that is settled.

    ``rounds`` are how often all prompts are still answered, ``spent`` the seconds that this has taken.
    """

    rounds: int
    tokens: int | None = None
    spent: float = 0.0

    def settle(self, whole: float, first: float, each: float) -> int:
        """How long the answers of this round may be.

        ``whole`` is the time of the run without answers, as far as known, ``first`` what reading the prompts
        takes and ``each`` one token of all answers, in seconds.
        """
        left = max(0.0, SHARE * whole - self.spent) / max(1, self.rounds)
        fitting = int((left - first) / each) if each > 0 else MOST_TOKENS
        fitting = max(FEWEST_TOKENS, min(MOST_TOKENS, fitting))
        if self.tokens is None or fitting < SLACK * self.tokens:
            self.tokens = fitting
        return self.tokens

    def took(self, seconds: float) -> None:
        """A round is over."""
        self.spent += seconds
        self.rounds = max(0, self.rounds - 1)
