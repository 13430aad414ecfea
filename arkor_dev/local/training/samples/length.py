"""How long answers may be, and how often all prompts are answered, so that it takes a small part of a run.

What the first answers took tells. Answers of different steps are compared, so their length is settled once;
where the time does not suffice they are made shorter, then rarer, and then fewer prompts are asked. Pure:
times are handed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SHARE: Final = 0.05
"""The part of a run's time that all answers may take."""
ENOUGH: Final = 2.0
"""Seconds that they may take in any case: a run of less than a minute shows something too."""
MOST_TOKENS: Final = 128
FEWEST_TOKENS: Final = 8
"""Tokens of an answer at least: less says nothing."""
PROBE: Final = 4
"""Answers that take too long are given up before they have so many tokens; later they end where they are."""
SLACK: Final = 0.8
"""Answers are made shorter again where there is time for less than this part of their length."""
ALONE: Final = 0.5
"""One answer is not written in a quarter of the time of four: this part of a token's time stays."""


@dataclass
class Length:
    """``tokens`` is how long an answer may be, None before that is known; ``settled`` after the first round.

    ``rounds`` are how often all prompts are still to be answered, ``spent`` the seconds that this has taken.
    """

    rounds: int
    tokens: int | None = None
    settled: bool = False
    spent: float = 0.0
    _first: float = 0.0
    _each: float = 0.0
    _whole: float = 0.0

    def left(self, whole: float) -> float:
        """Seconds that are left for answers in a run of so many without them."""
        return max(0.0, max(ENOUGH, SHARE * whole) - self.spent)

    def settle(self, whole: float, first: float, each: float, least: int = 1) -> int:
        """How long the answers of this round may be; 0 where ``least`` rounds of the shortest take too long.

        ``whole`` is the time of the run without answers, as far as known, ``first`` what reading the prompts
        takes and ``each`` one token of all answers, in seconds.
        """
        self._first, self._each, self._whole = first, each, whole
        count = self.affordable(whole, least)
        if count < least:
            return 0
        spare = self.left(whole) / count - first
        fitting = min(MOST_TOKENS, max(FEWEST_TOKENS, int(spare / each))) if each > 0 else MOST_TOKENS
        if self.tokens is None or not self.settled or fitting < SLACK * self.tokens:
            self.tokens = fitting
        return self.tokens

    def affordable(self, whole: float, least: int) -> int:
        """For how many of the rounds to come, ``least`` of them at least, there is time at the last pace."""
        rounds, shortest = max(least, self.rounds), self._first + FEWEST_TOKENS * self._each
        return min(rounds, int(self.left(whole) / shortest)) if shortest > 0 else rounds

    def fewer(self, prompts: int, least: int) -> int:
        """How many of so many ``prompts`` there is time for, where :meth:`settle` has found none for all."""
        writing = FEWEST_TOKENS * self._each
        spare = self.left(self._whole) / least - ALONE * writing
        taken, self._first, self._each = self._first + (1 - ALONE) * writing, 0.0, 0.0
        return max(0, min(int(prompts * spare / taken), prompts - 1))

    def took(self, seconds: float) -> None:
        """So long was answered, be it for nothing."""
        self.spent += seconds

    def done(self) -> None:
        """A round is over, or is left out."""
        self.rounds = max(0, self.rounds - 1)


def foreseen(rounds: int, prompts: int, whole: float, first: float, each: float) -> float:
    """Seconds that so many rounds of all ``prompts`` will take at most; times as in :meth:`Length.settle`."""
    length, least = Length(rounds), min(2, rounds)
    left, tokens = length.left(whole), length.settle(whole, first, each, least)
    if tokens:
        return min(left, rounds * (first + tokens * each))
    # That all of them take too long is seen when they have been read; fewer take the time that is left.
    return left if length.fewer(prompts, least) else min(left, first + each)
