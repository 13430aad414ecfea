"""Generalized knowledge distillation (Agarwal et al. 2023, arXiv 2306.13649), with TRL's names."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from arkor_dev.contract.settings.conflicts import FROM_BASE
from arkor_dev.data.methods.record import BASE
from arkor_dev.local.training.figure import MethodFigure
from arkor_dev.local.training.methods.interface import Method
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


class Distillation(Method):
    """Give each token of an answer the probability that the teacher gives it.

    Only the last answer of a conversation is learned: the rows', the model's own, or the teacher's.
    """

    figures = (
        MethodFigure("divergence", "Divergence from the teacher", "nats per token"),
        MethodFigure("completionLength", "Answer length", "tokens"),
        MethodFigure("truncated", "Answers cut"),
    )

    def check(self, settings: EffectiveSettings) -> None:
        """Raise JobFailure without a teacher, or for settings that do not go with it."""
        teacher = settings.get("teacher")
        if teacher is None:
            raise JobFailure(
                'distill needs a teacher: set teacher to a model with the same vocabulary, or to "base"'
            )
        if teacher.startswith(("http://", "https://")):
            raise JobFailure(
                "A teacher at an address gives texts only, and distill learns from probabilities: let it "
                "make rows (Make rows), or set teacher to a model or a folder"
            )
        changes_base = settings.get("fullFineTuning") or settings.get("initLoraWeights") in FROM_BASE
        if teacher == BASE and changes_base:
            raise JobFailure(
                "This training changes the base model's weights, so the base cannot be its teacher: set "
                "teacher to a model or a folder"
            )
        self.check_sampling(settings)

    def check_sampling(self, settings: EffectiveSettings) -> None:
        """Raise JobFailure for settings incompatible with sampled answers and a teacher's probabilities."""
        if settings.get("packing"):
            raise JobFailure(
                f"{self.name} learns from answers that it samples, which are not packed: remove packing"
            )
        if (settings.get("workers") or 1) > 1:
            raise JobFailure(f"{self.name} trains in one process: remove workers")
        if settings.get("labelSmoothingFactor"):
            raise JobFailure(
                f"{self.name} learns the teacher's probabilities, which are not smoothed: remove "
                "label_smoothing_factor"
            )

    def renderings(
        self, tokenizer: PreTrainedTokenizerBase, row: Row, encoding: Encoding
    ) -> tuple[list[Rendering], list[int]]:
        """Return the text of the last answer, with the prompt before it."""
        return [rendered(tokenizer, row, _last(encoding))[0][-1]], []

    def encode(
        self, tokenizer: PreTrainedTokenizerBase, row: Row, encoding: Encoding
    ) -> tuple[list[Example], bool]:
        """Return the prompt with the row's last answer."""
        examples, truncated = encode(tokenizer, row, _last(encoding))
        return [replace(examples[-1], same_row=False)], truncated

    def objective(
        self, model: Module, device: str, dtype: torch.dtype, examples: Sequence[Example], plan: Plan
    ) -> Objective:
        """Return the divergence from the teacher."""
        from .loss import DistillationLoss

        return DistillationLoss(model, device, dtype, examples, settings=plan.method, noisy=plan.noise > 0)


def _last(encoding: Encoding) -> Encoding:
    return replace(encoding, responses_only=True, last_only=True)


METHOD = Distillation()
