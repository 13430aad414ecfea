"""The rule by which the weights that learn follow the gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .plan import Plan


def make_optimizer(plan: Plan, weights: Sequence[Any]) -> Any:
    """The optimizer that ``plan`` names, over ``weights``."""
    kind = torch.optim.SGD if plan.optim == "sgd" else torch.optim.AdamW
    return kind(weights, lr=plan.learning_rate, weight_decay=plan.weight_decay)
