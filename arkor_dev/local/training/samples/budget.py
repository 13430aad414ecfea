"""Time budget of sample answers: rounds, length limit, and which checkpoints answer.

The base model and the final adapter always answer, with at least ``USEFUL_TOKENS``: comparing these two is
the purpose of a run. Checkpoints in between answer as far as that fits into ``SHARE`` of the run's time, or
into ``MINIMUM_SECONDS`` for a short run. Pure: all times are arguments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SHARE: Final = 0.05
"""Maximum fraction of a run's time spent on the answers of checkpoints."""
MINIMUM_SECONDS: Final = 2.0
"""The corresponding time in seconds for short runs."""
USEFUL_TOKENS: Final = 64
"""Least length limit of an answer, in tokens: two or three sentences; less can't be judged."""
ASSUMED_STEPS: Final = 4
"""What a round is assumed to take before the first, in training steps: three answers of a 135M model take
about that on a CPU. A short run waits for none of them: the verdict comes first."""
MOST_TOKENS: Final = 128
"""The length limit, in tokens, if there is time for it in every round."""


@dataclass
class SampleBudget:
    """Remaining rounds of answers, and their cost.

    ``required`` counts the remaining rounds of base and final adapter, ``optional`` those of checkpoints.
    ``tokens`` is the length limit: None before the first round, then fixed, since answers of different steps
    are compared. ``spent`` is in seconds, of which the last round took ``last``.
    """

    required: int = 0
    optional: int = 0
    tokens: int | None = None
    spent: float = 0.0
    last: float = 0.0
    _cost: float = 0.0

    def limit(self, duration: float, first: float, token: float) -> int:
        """Return the length limit of this round's answers, in tokens.

        ``duration`` is the known duration of the run without answers, ``first`` the time to read the prompts,
        and ``token`` the time to generate one token of every answer, in seconds.
        """
        tokens = self.tokens or MOST_TOKENS
        if self.tokens is None and self._seconds_left(duration) < self._due * (first + MOST_TOKENS * token):
            tokens = USEFUL_TOKENS
        self._cost = first + tokens * token
        return tokens

    def affordable(self, duration: float, step: float) -> int:
        """Return how many optional rounds fit besides the required ones, each as long as the last round.

        Before the first round, each is assumed to take ``ASSUMED_STEPS``. ``step`` is the seconds of a step.
        """
        cost = self._cost or ASSUMED_STEPS * step
        if not cost:
            return self.optional
        return min(self.optional, max(0, int(self._seconds_left(duration) / cost) - self.required))

    def finish(self, seconds: float, tokens: int, *, required: bool) -> None:
        """Record a round that took ``seconds``, with answers of at most ``tokens``."""
        self.spent += seconds
        self.last = seconds
        self.tokens = tokens
        if required:
            self.required = max(0, self.required - 1)
        else:
            self.skip()

    def skip(self) -> None:
        """Skip an optional round."""
        self.optional = max(0, self.optional - 1)

    @property
    def _due(self) -> int:
        return max(1, self.required + self.optional)

    def _seconds_left(self, duration: float) -> float:
        return max(0.0, max(MINIMUM_SECONDS, SHARE * duration) - self.spent)


def expected_seconds(optional: int, duration: float, first: float, token: float) -> float:
    """Return the time of all answers of a run with this many checkpoints if every answer has full length.

    Times are as in :meth:`SampleBudget.limit`.
    """
    budget = SampleBudget(required=2, optional=optional)
    seconds = first + budget.limit(duration, first, token) * token
    return (2 + budget.affordable(duration, 0.0)) * seconds
