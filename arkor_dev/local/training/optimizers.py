"""Creates the optimizer, and selects the weights that decay."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import torch
from transformers.optimization import Adafactor

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor
    from torch.nn import Module

    from .plan import OptimizerPlan

KEPT_FREE: Final = re.compile(r"bias|layernorm|rmsnorm|(?:^|[._])norm(?:$|\.)")
"""Weights without weight decay: biases, and norms, whose neutral value is one."""


def make_optimizer(model: Module, plan: OptimizerPlan) -> torch.optim.Optimizer:
    """Create the optimizer of ``plan`` over the trained weights of ``model``."""
    free = {
        id(weight)
        for module in model.modules()
        if isinstance(module, torch.nn.LayerNorm)
        for weight in module.parameters(recurse=False)
    }
    decays: list[Tensor] = []
    stays: list[Tensor] = []
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            (stays if id(weight) in free or KEPT_FREE.search(name.lower()) else decays).append(weight)
    groups = [
        {"params": weights, "weight_decay": decay}
        for weights, decay in ((decays, plan.weight_decay), (stays, 0.0))
        if weights
    ]
    adam = {"betas": plan.betas, "eps": plan.epsilon}
    match plan.kind:
        case "sgd":
            return torch.optim.SGD(groups, lr=plan.rate)
        case "lion":
            return Lion(groups, plan.rate, plan.betas)
        case "adafactor":
            return Adafactor(groups, lr=plan.rate, scale_parameter=False, relative_step=False)
        case "adamw_torch":
            return torch.optim.AdamW(groups, lr=plan.rate, **adam)
    # The default of transformers and TRL: one fused operation instead of ten for each weight.
    return torch.optim.AdamW(groups, lr=plan.rate, fused=True, **adam)


class Lion(torch.optim.Optimizer):  # type: ignore[misc]
    """Lion: moves each weight by the learning rate along the sign of a momentum (Chen et al. 2023).

    Uses half of AdamW's memory. A good learning rate is a third to a tenth of AdamW's.
    """

    def __init__(self, groups: list[dict[str, object]], rate: float, betas: tuple[float, float]) -> None:
        super().__init__(groups, {"lr": rate, "betas": betas, "weight_decay": 0.0})

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def step(self, closure: Callable[[], float] | None = None) -> None:
        """Update every weight that has a gradient."""
        for group in self.param_groups:
            (fast, slow), rate = group["betas"], group["lr"]
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                momentum = self.state[weight].setdefault("momentum", torch.zeros_like(weight))
                weight.mul_(1 - rate * group["weight_decay"])
                weight.sub_(momentum.lerp(weight.grad, 1 - fast).sign_(), alpha=rate)
                momentum.lerp_(weight.grad, 1 - slow)
