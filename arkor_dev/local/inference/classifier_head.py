"""A classifier's head, beside the model that computes the hidden states of texts. Imports torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from safetensors import safe_open

from arkor_dev.local.modeling.classes import HEAD_WEIGHT, Classes, read_temperature
from arkor_dev.local.modeling.tokenizer import UNREADABLE
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

MOST_TOKENS: Final = 32_768
"""Maximum number of tokens of a request: other answers wait until all are read."""
TOGETHER: Final = 2048
"""Maximum number of tokens read at once, padding included, unless a single text is longer."""


@dataclass(frozen=True, slots=True)
class ClassifierHead:
    """The ``names`` of its classes, and its ``weight``, ``[classes, hidden size]`` in float32, divided by its
    temperature. ``multiple`` as in `Classes`.
    """

    names: tuple[str, ...]
    weight: Any
    multiple: bool = False

    @classmethod
    def read(cls, folder: Path, device: Any) -> ClassifierHead:
        """Read the head of the adapter in ``folder``. Raises :class:`JobFailure`."""
        classes = Classes.read(folder)
        names = classes.names
        try:
            with safe_open(folder / "adapter_model.safetensors", "pt") as file:
                weight = file.get_tensor(HEAD_WEIGHT).float().to(device)
        except UNREADABLE as error:
            raise JobFailure(f"The classifier's head cannot be read: {error}") from None
        if weight.ndim != 2 or len(weight) != len(names):
            raise JobFailure("The classifier's head does not fit its labels")
        return cls(names, weight / read_temperature(folder), classes.multiple)

    def probabilities(self, hidden: Tensor) -> list[list[float]]:
        """Return the probability of each class for the ``hidden`` states, ``[texts, hidden size]``."""
        logits = hidden.float() @ self.weight.T
        by_text: list[list[float]] = (logits.sigmoid() if self.multiple else logits.softmax(-1)).tolist()
        return by_text


def check_lengths(texts: Sequence[Sequence[int]], context: int) -> None:
    """Raise :class:`JobFailure` if the tokens of a text are none or more than ``context``, or if all are more
    than a request may have.
    """
    for number, ids in enumerate(texts):
        if not ids:
            raise JobFailure(f"input[{number}] has no tokens: send a text that is not empty")
        if len(ids) > context:
            raise JobFailure(
                f"input[{number}] has {len(ids)} tokens, and this model reads at most {context}: shorten it"
            )
    if (total := sum(map(len, texts))) > MOST_TOKENS:
        raise JobFailure(f"input has {total} tokens, and {MOST_TOKENS} is the most: send fewer texts at once")


def batches(texts: Sequence[Sequence[int]]) -> list[list[int]]:
    """Group the texts' numbers into batches of similar length, the longest first."""
    order = sorted(range(len(texts)), key=lambda number: -len(texts[number]))
    groups: list[list[int]] = []
    for number in order:
        if groups and (len(groups[-1]) + 1) * len(texts[groups[-1][0]]) <= TOGETHER:
            groups[-1].append(number)
        else:
            groups.append([number])
    return groups
