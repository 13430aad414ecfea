"""Odds ratio preference optimisation (Hong et al. 2024, arXiv 2403.07691)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arkor_dev.local.training.figure import MethodFigure
from arkor_dev.local.training.methods.preference_rows import PairMethod

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from torch.nn import Module

    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.training.objective import Objective
    from arkor_dev.local.training.plan import Plan


class OddsRatioPreferenceOptimization(PairMethod):
    """Learn the chosen answer as supervised training does, and lower the odds of the rejected one."""

    measure = MethodFigure("loss", "ORPO loss")

    def objective(
        self, model: Module, device: str, dtype: torch.dtype, examples: Sequence[Example], plan: Plan
    ) -> Objective:
        """Return ORPO's objective."""
        from .loss import OrpoLoss

        return OrpoLoss(model, device, dtype, examples, settings=plan.method, noisy=plan.noise > 0)


METHOD = OddsRatioPreferenceOptimization()
