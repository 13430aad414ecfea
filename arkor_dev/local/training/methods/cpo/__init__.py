"""Contrastive preference optimisation (Xu et al. 2024, arXiv 2401.08417), and SimPO (arXiv 2405.14734)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arkor_dev.local.training.figure import MethodFigure
from arkor_dev.local.training.methods.preference_rows import PairMethod
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from torch.nn import Module

    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.training.job_settings import EffectiveSettings
    from arkor_dev.local.training.objective import Objective
    from arkor_dev.local.training.plan import Plan


class ContrastivePreferenceOptimization(PairMethod):
    """Prefer the chosen answer, without a reference; with ``loss_type = "simpo"`` by the mean per token."""

    measure = MethodFigure("loss", "CPO loss")

    def check(self, settings: EffectiveSettings) -> None:
        """Raise JobFailure for a loss that only DPO supports."""
        if settings.get("lossType") == "apo_zero":
            raise JobFailure("loss_type apo_zero compares with a reference: use it with method dpo")

    def objective(
        self, model: Module, device: str, dtype: torch.dtype, examples: Sequence[Example], plan: Plan
    ) -> Objective:
        """Return the objective selected by ``loss_type``."""
        from .loss import CpoLoss

        return CpoLoss(model, device, dtype, examples, settings=plan.method, noisy=plan.noise > 0)


METHOD = ContrastivePreferenceOptimization()
