"""Kahneman-Tversky optimisation (Ethayarajh et al. 2024, arXiv 2402.01306), with TRL's names and defaults."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from arkor_dev.local.training.figure import MethodFigure
from arkor_dev.local.training.methods.preference_rows import PreferenceMethod, adapter_alone, both
from arkor_dev.local.training.rows.encoding import encode, rendered
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from torch.nn import Module
    from transformers import PreTrainedTokenizerBase

    from arkor_dev.data.rows import Row
    from arkor_dev.local.modeling.chat_template import Rendering
    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.training.job_settings import EffectiveSettings
    from arkor_dev.local.training.objective import Objective
    from arkor_dev.local.training.plan import Plan
    from arkor_dev.local.training.rows.encoding import Encoding


class KahnemanTverskyOptimization(PreferenceMethod):
    """Make good answers likelier and bad ones less likely than the reference does, from single ratings."""

    measure = MethodFigure("loss", "KTO loss")
    relative = True
    in_batch = True
    figures = (*PreferenceMethod.figures, MethodFigure("kl", "KL from the start", "nats"))

    def check(self, settings: EffectiveSettings) -> None:
        """Raise JobFailure for settings with which the KL cannot be estimated, and for full fine-tuning."""
        adapter_alone(self.name, settings)
        if settings.get("batchSize") < 2:
            raise JobFailure(
                "kto pairs each prompt with another answer of its batch, so it needs batch_size 2 or more"
            )
        if (settings.get("workers") or 1) > 1:
            raise JobFailure("kto estimates one figure from the whole batch, so it trains on one worker")

    def renderings(
        self, tokenizer: PreTrainedTokenizerBase, row: Row, encoding: Encoding
    ) -> tuple[list[Rendering], list[int]]:
        """Return the text of the rated answer, or of both answers of a pair, with the prompt before it."""
        last = replace(encoding, responses_only=True, last_only=True)
        return [rendered(tokenizer, answer, last)[0][-1] for answer, _ in _ratings(row)], []

    def encode(
        self, tokenizer: PreTrainedTokenizerBase, row: Row, encoding: Encoding
    ) -> tuple[list[Example], bool]:
        """Return one example per answer."""
        last = replace(encoding, responses_only=True, last_only=True)
        examples: list[Example] = []
        truncated = False
        for answer, desirable in _ratings(row):
            encoded, cut = encode(tokenizer, answer, last)
            truncated |= cut
            examples.append(replace(encoded[-1], counts=1, same_row=bool(examples), desirable=desirable))
        return examples, truncated

    def objective(
        self, model: Module, device: str, dtype: torch.dtype, examples: Sequence[Example], plan: Plan
    ) -> Objective:
        """Return KTO's objective."""
        from .loss import KtoLoss

        return KtoLoss(model, device, dtype, examples, settings=plan.method, noisy=plan.noise > 0)


def _ratings(row: Row) -> list[tuple[Row, bool]]:
    """Return a row's answers with their ratings; in a pair, the chosen answer is the good one."""
    if "rejected" in row.extra:
        return list(zip(both(row), (True, False), strict=True))
    return [(row, row.extra["desirable"])]


METHOD = KahnemanTverskyOptimization()
