"""Group relative policy optimisation (Shao et al. 2024, arXiv 2402.03300), with TRL's names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arkor_dev.contract.rules import quoted
from arkor_dev.contract.settings.own_sets import ENTRY
from arkor_dev.local.modeling.chat_template import Rendering
from arkor_dev.local.training.figure import MethodFigure
from arkor_dev.local.training.methods.interface import Method
from arkor_dev.local.workers.errors import JobFailure

from .rewards import rewards_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from torch.nn import Module
    from transformers import PreTrainedTokenizerBase

    from arkor_dev.data.rows import Row
    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.training.job_settings import EffectiveSettings
    from arkor_dev.local.training.objective import Objective
    from arkor_dev.local.training.plan import Plan
    from arkor_dev.local.training.rows.encoding import Encoding


class GroupRelativePolicyOptimization(Method):
    """Sample several answers to each prompt, and make those likelier whose reward is above their group's."""

    learns = "sampled"
    measure = MethodFigure("reward", "Mean reward", higher=True)
    figures = (
        measure,
        MethodFigure("rewardStd", "Spread of the reward"),
        MethodFigure("noSignal", "Prompts without signal"),
        MethodFigure("completionLength", "Answer length", "tokens"),
        MethodFigure("truncated", "Answers cut"),
        MethodFigure("entropy", "Entropy", "nats per token"),
    )

    def check(self, settings: EffectiveSettings) -> None:
        """Raise JobFailure without a reward, or for settings incompatible with sampled answers."""
        environment = settings.get("environment")
        if environment and not ENTRY.fullmatch(environment):
            raise JobFailure(f"environment must be a class as module:class, not {quoted(environment)}")
        rewards_of(
            settings.evaluations, settings.get("rewardFuncs"), settings.get("rewardWeights"), environment
        )
        if settings.get("packing"):
            raise JobFailure("grpo learns from answers that it samples, which are not packed: remove packing")
        if (settings.get("workers") or 1) > 1:
            raise JobFailure("grpo trains in one process: remove workers")

    def renderings(
        self, tokenizer: PreTrainedTokenizerBase, row: Row, encoding: Encoding
    ) -> tuple[list[Rendering], list[int]]:
        """Return the prompt, of which no token is learned."""
        from arkor_dev.local.training.rows.prompts import rendered_prompt

        return [Rendering(rendered_prompt(tokenizer, row), [])], []

    def encode(
        self, tokenizer: PreTrainedTokenizerBase, row: Row, encoding: Encoding
    ) -> tuple[list[Example], bool]:
        """Return the prompt as an example."""
        from arkor_dev.local.training.rows.prompts import encode_prompt

        return [encode_prompt(tokenizer, row, encoding.longest)], False

    def objective(
        self, model: Module, device: str, dtype: torch.dtype, examples: Sequence[Example], plan: Plan
    ) -> Objective:
        """Return the objective selected by ``loss_type``."""
        from .loss import GrpoLoss

        return GrpoLoss(model, device, dtype, examples, settings=plan.method, noisy=plan.noise > 0)


METHOD = GroupRelativePolicyOptimization()
