"""Adapter strength: how much of an adapter's change to its base is applied, from 0 to 1.5.

A LoRA layer computes ``W x + s B A x`` (Hu et al. 2021, section 4.1), so scaling ``s`` scales the change.
That holds only for adapters made of such layers. One that changes a model otherwise (DoRA, fully trained
layers) would not be the base model at a scaling of zero.

``why_full_strength_only`` only reads files; `AdapterScale` changes a model that the worker has loaded.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.regular_files import read_small
from arkor_dev.contract.rules import quoted

if TYPE_CHECKING:
    from pathlib import Path

FULL_STRENGTH: Final = 1.0
MAX_STRENGTH: Final = 1.5
VARIANTS: Final = (
    "use_qalora", "use_bdlora", "alora_invocation_tokens", "arrow_config", "trainable_token_indices",
    "layer_replication",
)  # fmt: skip
"""Settings of PEFT with which a layer computes something else, or more, than the sum above."""


@dataclass(frozen=True, slots=True)
class ActiveAdapter:
    """What answers: an adapter, by the engine's name for it, with its strength; None for the base."""

    adapter: str | None = None
    strength: float = FULL_STRENGTH


def why_full_strength_only(folder: Path) -> str | None:
    """Say why the adapter in ``folder`` works only at full strength, as the end of a sentence; None if it
    need not.
    """
    try:
        config = json.loads(read_small(folder / "adapter_config.json"))
    except (OSError, ValueError, RecursionError):
        return "its adapter_config.json cannot be read"
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        return "it is not a LoRA adapter"
    if config.get("use_dora"):
        return "it is a DoRA adapter, which at 0 % would not be the base model"
    if saved := config.get("modules_to_save"):
        names = ", ".join(map(str, saved)) if isinstance(saved, list) else str(saved)
        return f"it has fully trained layers ({quoted(names)}), which have no strength"
    if config.get("bias", "none") not in ("none", None):
        return "it changes biases, which have no strength"
    if variant := next((name for name in VARIANTS if config.get(name)), None):
        return f"it is not plain LoRA ({variant})"
    return None


class AdapterScale:
    """The scaling factors of an adapter's layers in a loaded model, as trained and as currently set."""

    def __init__(self, model: Any, adapter: str) -> None:
        self._adapter = adapter
        self._strength = FULL_STRENGTH
        scalings = (getattr(module, "scaling", None) for module in model.modules())
        self._layers = [
            (each, each[adapter]) for each in scalings if isinstance(each, dict) and adapter in each
        ]

    def set(self, strength: float) -> None:
        """Multiply the adapter's change by ``strength``; 1 restores the trained one, bit for bit."""
        if strength != self._strength:
            self._strength = strength
            for scaling, trained in self._layers:
                scaling[self._adapter] = trained * strength
