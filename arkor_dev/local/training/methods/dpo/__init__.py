"""Direct preference optimisation (Rafailov et al. 2023, arXiv 2305.18290), with TRL's names and defaults."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arkor_dev.local.training.figure import MethodFigure
from arkor_dev.local.training.methods.preference_rows import PairMethod, adapter_alone
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from torch.nn import Module

    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.training.job_settings import EffectiveSettings
    from arkor_dev.local.training.objective import Objective
    from arkor_dev.local.training.plan import Plan


class DirectPreferenceOptimization(PairMethod):
    """Prefer the chosen answer more than the reference, the model at the start of the run."""

    measure = MethodFigure("loss", "DPO loss")
    relative = True

    def check(self, settings: EffectiveSettings) -> None:
        """Raise JobFailure for full fine-tuning, and for a loss without a reference."""
        adapter_alone(self.name, settings)
        if settings.get("lossType") == "simpo":
            raise JobFailure("loss_type simpo needs no reference: use it with method cpo")

    def objective(
        self, model: Module, device: str, dtype: torch.dtype, examples: Sequence[Example], plan: Plan
    ) -> Objective:
        """Return the objective selected by ``loss_type``."""
        from .loss import DpoLoss

        return DpoLoss(model, device, dtype, examples, settings=plan.method, noisy=plan.noise > 0)


METHOD = DirectPreferenceOptimization()
