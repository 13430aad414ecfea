"""Adapter strength: how much of an adapter's change to its base is applied, from 0 to 1.5.

A LoRA layer computes ``W x + s B A x`` (Hu et al. 2021, section 4.1), so scaling ``s`` scales the change.
That holds only for adapters made of such layers. An adapter that changes the model in another way (DoRA,
fully trained layers) would not give the base model at a scaling of zero (`modeling.adapter_abilities`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from arkor_dev.local.modeling.interfaces import ModuleTree

FULL_STRENGTH: Final = 1.0
MAX_STRENGTH: Final = 1.5


@dataclass(frozen=True, slots=True)
class ActiveAdapter:
    """The adapter that answers, by the engine's name for it, and its strength; None for the base."""

    adapter: str | None = None
    strength: float = FULL_STRENGTH


class AdapterScale:
    """The scaling factors of an adapter's layers in a loaded model, both the trained and the current ones."""

    def __init__(self, model: ModuleTree, adapter: str) -> None:
        self._adapter = adapter
        self._strength = FULL_STRENGTH
        scalings = (getattr(module, "scaling", None) for module in model.modules())
        self._layers = [
            (scaling, scaling[adapter])
            for scaling in scalings
            if isinstance(scaling, dict) and adapter in scaling
        ]

    def set(self, strength: float) -> None:
        """Multiply the adapter's change by ``strength``; 1 restores the trained scaling exactly."""
        if strength != self._strength:
            self._strength = strength
            for scaling, trained in self._layers:
                scaling[self._adapter] = trained * strength
