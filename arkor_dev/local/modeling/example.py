"""An encoded row: token ids, with the learned part marked.

Padding is masked by position and never by id, because the pad token often equals the end token.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

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
    is its answer's rating, for methods that learn from ratings. ``replayed``: it is not a row of the data,
    but an answer of the base model. ``classes`` are the numbers of its labels, for a classifier of rows that
    may have several.
    """

    ids: list[int]
    labels: list[int]
    where: str = field(default="", compare=False)
    same_row: bool = field(default=False, compare=False)
    others: tuple[Example, ...] = ()
    counts: int | None = None
    replayed: bool = field(default=False, compare=False)
    desirable: bool = True
    classes: tuple[int, ...] | None = None

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
    def weight(self) -> int:
        """The weight of the example's loss in a mean."""
        return self.learned if self.counts is None else self.counts


def weight_of(batches: Sequence[Sequence[Example]]) -> int:
    """Return the total weight of all examples in ``batches``."""
    return sum(example.weight for batch in batches for example in batch)
