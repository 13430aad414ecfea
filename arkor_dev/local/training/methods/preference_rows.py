"""Bases of methods that learn from preferences: the encoding of their rows, and the figures they report."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from arkor_dev.local.training.figure import MethodFigure
from arkor_dev.local.training.rows.encoding import encode, rendered
from arkor_dev.local.workers.errors import JobFailure

from .interface import Method

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from arkor_dev.data.rows import Row
    from arkor_dev.local.modeling.chat_template import Rendering
    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.training.job_settings import EffectiveSettings
    from arkor_dev.local.training.rows.encoding import Encoding


class PreferenceMethod(Method):
    """Base of methods that learn from preferences. Only the last message of each answer is learned."""

    figures: ClassVar[tuple[MethodFigure, ...]] = (
        MethodFigure("rewardMargin", "Reward margin"),
        MethodFigure("rewardAccuracy", "Reward accuracy"),
        MethodFigure("rewardChosen", "Reward of chosen"),
        MethodFigure("rewardRejected", "Reward of rejected"),
        MethodFigure("logpsChosen", "Log-probability of chosen", "nats"),
        MethodFigure("logpsRejected", "Log-probability of rejected", "nats"),
    )


class PairMethod(PreferenceMethod):
    """Base of methods that learn from pairs of a chosen and a rejected answer."""

    def renderings(
        self, tokenizer: PreTrainedTokenizerBase, row: Row, encoding: Encoding
    ) -> tuple[list[Rendering], list[int]]:
        """Return the texts of both answers, each with the prompt before it."""
        last = replace(encoding, responses_only=True, last_only=True)
        return [rendered(tokenizer, answer, last)[0][-1] for answer in both(row)], []

    def encode(
        self, tokenizer: PreTrainedTokenizerBase, row: Row, encoding: Encoding
    ) -> tuple[list[Example], bool]:
        """Return one example, with the rejected answer as its other sequence."""
        last = replace(encoding, responses_only=True, last_only=True)
        (chosen, cut), (rejected, cut_too) = (encode(tokenizer, answer, last) for answer in both(row))
        return [replace(chosen[-1], others=(rejected[-1],), counts=1, same_row=False)], cut or cut_too


def both(row: Row) -> tuple[Row, Row]:
    """Return the row with its chosen answer, and with the rejected one."""
    return row, replace(row, messages=row.extra["rejected"])


def adapter_alone(method: str, settings: EffectiveSettings) -> None:
    """Raise JobFailure for full fine-tuning, which would need a second model as its reference."""
    if settings.get("fullFineTuning"):
        raise JobFailure(
            f"{method} compares the adapter with the model below it, so it cannot train the whole model: "
            "remove full_fine_tuning, or use cpo or orpo, which need no reference"
        )
