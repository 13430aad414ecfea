"""The forgetting budget: the adapter best at the task, of those whose harm in general is below a limit.

The harm is how much higher the adapter's loss on general questions is than the base's; it is below the
limit with 95 % confidence. Strengths of a step's adapter are tried in ascending order, and the first that
may exceed the limit ends the search: the one before it is taken. Each is tested with the whole error. That
is fixed sequence testing, as in Learn then Test (Angelopoulos et al., Learn then Test: Calibrating
Predictive Algorithms to Achieve Risk Control, 2021, arXiv:2110.01052). It needs no correction for the
number of strengths: for one that exceeds the limit to be taken, the first in this order that does has to
pass its own test, and which one that is does not depend on the questions drawn.

Several steps of a run have a sequence each, with a part of the error (Bonferroni). So all that pass are
below the limit together, and whatever picks one of them may do so.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from .paired import compare

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

STRENGTHS: Final = tuple(number / 10 for number in range(1, 11))
"""Strengths in the order in which they are tried; 1 is the adapter as it was trained."""
STEPS: Final = 4
"""Maximum number of steps whose adapters are tried."""


class Harm(NamedTuple):
    """The harm of a ``strength`` in nats per token: its mean, and ``most``, its upper bound."""

    strength: float
    mean: float
    most: float


class StrengthChoice(NamedTuple):
    """The ``chosen`` strength, whether it is ``within`` the limit, and which one ended the search, if any."""

    chosen: Harm
    within: bool
    refused: Harm | None = None


def harm_of(strength: float, base: Sequence[float], adapter: Sequence[float], parts: int = 1) -> Harm:
    """Return the harm of a strength, given the mean losses of base and adapter on the general questions.

    Its upper bound has one of so many ``parts`` of the error. With too few questions for a verdict there is
    none.
    """
    compared = compare(base, adapter, parts=parts)
    enough = compared.groups >= compared.minimum
    return Harm(strength, -compared.mean, -compared.low if enough else math.inf)


def strongest(harm_at: Callable[[float], Harm], limit: float) -> StrengthChoice:
    """Return the strongest adapter whose harm is below ``limit``, in nats per token.

    ``harm_at`` measures a strength; it is called as often as needed. If none is below the limit, the lowest
    strength is chosen.
    """
    passed: Harm | None = None
    for strength in STRENGTHS:
        harm = harm_at(strength)
        if not harm.most < limit:
            return StrengthChoice(passed or harm, passed is not None, harm)
        passed = harm
    assert passed
    return StrengthChoice(passed, within=True)


def candidates(checkpoints: Collection[int], last: int) -> list[int]:
    """Return the steps whose adapters are tried: ``last``, and of earlier ``checkpoints`` the ones nearest to
    even parts of the run, newest first.
    """
    earlier = [step for step in checkpoints if step < last]
    wanted = [last * part / STEPS for part in range(1, STEPS)]
    found = {min(earlier, key=lambda step: (abs(step - at), step)) for at in wanted if earlier}
    return [last, *sorted(found, reverse=True)]


def parts_of(steps: Sequence[int]) -> list[int]:
    """Return for each of ``steps``, the last one first, into how many parts the error is divided for it.

    The last one gets all that it has without others, so the choice never costs it any strength. The others
    share an eighth more, which is small beside what `paired.compare` leaves unspent: an earlier step is worth
    choosing if its harm is far from the limit.
    """
    return [1, *[8 * (len(steps) - 1)] * (len(steps) - 1)]
