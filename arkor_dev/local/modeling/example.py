"""An encoded row: token ids, with the learned part marked.

Padding is masked by position and never by id, because the pad token often equals the end token.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

IGNORED: Final = -100
"""The label of a token that is not learned, torch's default ``ignore_index``."""


@dataclass(frozen=True, slots=True)
class Example:
    """A row, or a part of one, as token ids; ``labels`` has the same length, ``IGNORED`` outside the answers.

    ``where`` is the row's location in the data, for the user. ``same_row``: the previous example in the list
    is from the same row. ``others`` are further sequences that belong to the example, such as a rejected
    answer. ``counts`` is its weight in a mean, if that is not the number of its learned tokens. ``desirable``
    is its answer's rating, for methods that learn from ratings; ``score`` is that of two texts. ``replayed``:
    it is not a row of the data, but an answer of the base model. ``weights`` are those of its tokens' losses,
    of the same length; None if all that are learned count as 1. ``classes`` are the numbers of its labels,
    for a classifier of rows that may have several. ``second`` is where the second of two texts begins, if its
    tokens have another type, as for BERT.
    """

    ids: list[int]
    labels: list[int]
    where: str = field(default="", compare=False)
    same_row: bool = field(default=False, compare=False)
    others: tuple[Example, ...] = ()
    counts: float | None = None
    replayed: bool = field(default=False, compare=False)
    desirable: bool = True
    score: float | None = None
    weights: list[float] | None = None
    classes: tuple[int, ...] | None = None
    second: int | None = None

    @property
    def sequences(self) -> tuple[Example, ...]:
        """The example's own sequence, followed by the others."""
        return (self, *self.others)

    @property
    def tokens(self) -> int:
        """The number of tokens in all sequences."""
        return len(self.ids) + sum(len(other.ids) for other in self.others)

    @property
    def learned(self) -> int:
        """The number of learned tokens in the example's own sequence."""
        return sum(label != IGNORED for label in self.labels[1:])

    @property
    def learned_weights(self) -> list[float]:
        """The weights of the learned tokens' losses, ``[learned]``."""
        weights = self.weights or [1.0] * len(self.labels)
        return [
            weight for label, weight in zip(self.labels[1:], weights[1:], strict=True) if label != IGNORED
        ]

    @property
    def weight(self) -> float:
        """The weight of the example's loss in a mean."""
        if self.counts is not None:
            return self.counts
        return self.learned if self.weights is None else sum(self.learned_weights)


def weight_of(batches: Sequence[Sequence[Example]]) -> float:
    """Return the total weight of all examples in ``batches``."""
    return sum(example.weight for batch in batches for example in batch)


Batches: TypeAlias = "Sequence[Sequence[Example]]"
"""The examples of one update of the weights, by the batch in which they are computed."""
