"""The base of methods that learn from pairs of answers: how their rows become examples."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from arkor_dev.data.preferences import PAIRS

from .methods.interface import Figure, Method
from .rows.encoding import encode, rendered

if TYPE_CHECKING:
    from arkor_dev.data.rows import Row
    from arkor_dev.local.modeling.chat_template import Rendering
    from arkor_dev.local.modeling.example import Example

    from .rows.encoding import Encoding


class PairMethod(Method):
    """Learn to prefer the chosen answer over the rejected one. Of each, the last message counts."""

    forms: ClassVar = PAIRS
    figures = (
        Figure("rewardMargin", "Reward margin"),
        Figure("rewardAccuracy", "Reward accuracy"),
        Figure("rewardChosen", "Reward of chosen"),
        Figure("rewardRejected", "Reward of rejected"),
        Figure("logpsChosen", "Log-probability of chosen", "nats"),
        Figure("logpsRejected", "Log-probability of rejected", "nats"),
    )

    def renderings(self, tokenizer: Any, row: Row, encoding: Encoding) -> tuple[list[Rendering], list[int]]:
        """Return the texts of both answers, each with the prompt before it."""
        last = replace(encoding, responses_only=True, last_only=True)
        return [rendered(tokenizer, each, last)[0][-1] for each in _both(row)], []

    def encode(self, tokenizer: Any, row: Row, encoding: Encoding) -> tuple[list[Example], bool]:
        """Return one example, the rejected answer as its other sequence."""
        last = replace(encoding, responses_only=True, last_only=True)
        (chosen, cut), (rejected, cut_too) = (encode(tokenizer, each, last) for each in _both(row))
        return [replace(chosen[-1], others=(rejected[-1],), counts=1, same_row=False)], cut or cut_too


def _both(row: Row) -> tuple[Row, Row]:
    """Return the row with its chosen answer, and with the rejected one."""
    return row, replace(row, messages=row.extra["rejected"])
