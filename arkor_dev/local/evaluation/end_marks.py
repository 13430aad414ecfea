"""Whether a model still stops: the probability of the end mark where an answer is complete."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from arkor_dev.local.modeling.example import IGNORED, Example

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from arkor_dev.contract.shapes import EvaluationStopping

    from .paired import Comparison

LAST: Final = 2
"""Learned tokens at an answer's end in which to look for its end mark: templates may add a line break."""
UNMARKED: Final = 0.05
"""Minimum share of training examples without an end mark at which they are reported as the cause."""
MOST: Final = 12
"""Maximum number of answers that are measured."""


class EndMarks(NamedTuple):
    """Of ``rows`` examples, ``ended`` have an end mark; ``truncated`` were cut to ``longest`` tokens."""

    rows: int = 0
    ended: int = 0
    truncated: int = 0
    longest: int = 0

    @classmethod
    def of(cls, examples: Sequence[Example], ends: Sequence[int], truncated: int, longest: int) -> EndMarks:
        """Count the examples with learned tokens, except replayed answers."""
        learned = [example for example in examples if example.learned and not example.replayed]
        return cls(len(learned), len(list(stops(learned, ends))), truncated, longest)

    def compared(self, compared: Comparison) -> EvaluationStopping:
        """Return the contract's figures; ``compared`` has the mean loss of end marks by base and adapter.

        ``cause`` is present if the adapter stops significantly less often, because of its training rows.
        """
        base, adapter = (math.exp(-loss) for loss in (compared.base, compared.adapter))
        sentence = f"After a complete answer the adapter stops with a probability of {_percent(adapter)}"
        stopping: EvaluationStopping = {
            "base": round(base, 5),
            "adapter": round(adapter, 5),
            "rows": self.rows,
            "ended": self.ended,
            "sentence": f"{sentence}, the base with {_percent(base)}{self._taught()}.",
        }
        if compared.verdict == "worse" and (cause := self.cause):
            stopping["cause"] = cause
        return stopping

    @property
    def cause(self) -> str:
        """Why the model learned not to stop, and what to do; empty if nearly all examples end properly."""
        missing = self.rows - self.ended
        if missing < max(1.0, UNMARKED * self.rows):
            return ""
        problem = f"{missing:,} of {self.rows:,} training examples have no end mark"
        if 2 * self.truncated >= missing:
            return (
                f"{problem}, because they were truncated at max_length = {self.longest}. Raise it, or split "
                "long rows"
            )
        return f"{problem}, because the chat template writes none after an answer"

    def _taught(self) -> str:
        """Say how many examples teach the end mark; nothing for a method that trains on generated answers."""
        return (
            f"; {self.ended:,} of {self.rows:,} training examples end with an end mark" if self.rows else ""
        )


def stops(examples: Sequence[Example], ends: Sequence[int]) -> Iterator[Example]:
    """Yield each example up to its answer's end mark, the only learned token; skip those without."""
    for example in examples:
        learned = [index for index, label in enumerate(example.labels) if index and label != IGNORED]
        index = next((index for index in reversed(learned[-LAST:]) if example.ids[index] in ends), None)
        if index is not None:
            yield Example(example.ids[: index + 1], [IGNORED] * index + [example.ids[index]], example.where)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 else f"{100 * share:.1g} %"
