"""The contract's ``RunMetadata``: the facts of a run that is about to start."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from .origin import facts_of


def metadata_of(run: Any) -> dict[str, Any]:
    """Return the facts of a ``training.run.Run`` that has created its model."""
    return {
        "totalSteps": run.plan.steps,
        "epochs": round(run.plan.steps / run.plan.per_epoch, 4),
        "device": run.base.device,
        "dtype": run.choice.name,
        "dtypeReason": run.choice.reason,
        "trainRows": run.rows["train"],
        "evalRows": run.rows["heldOut"],
        "trainableParameters": sum(weight.numel() for weight in run.trainable),
        "model": run.base_name,
        "settings": dict(run.settings),
        **({"figures": [asdict(figure) for figure in run.method.figures]} if run.method.figures else {}),
        **({"modelNote": run.base_note} if run.base_note else {}),
        **facts_of(run.origin()),
    }
