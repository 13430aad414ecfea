"""How strongly an adapter answers: its change of the base, from none of it to half as much again.

A LoRA layer computes ``W x + s B A x`` (Hu et al. 2021, section 4.1), so a part of its change is a part of
the scaling ``s``. That goes for an adapter of such layers alone: what changes a model in another way (DoRA,
layers that learned in full) has no part that could be taken: at a scaling of zero it would not be the base.

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
    """As what the model answers: an adapter by the engine's name for it, and how much of it; or the base."""

    adapter: str | None = None
    strength: float = FULL_STRENGTH


def why_full_strength_only(folder: Path) -> str | None:
    """Why the adapter in ``folder`` answers at 100 % alone, as a sentence's end; None where it need not."""
    try:
        config = json.loads(read_small(folder / "adapter_config.json"))
    except (OSError, ValueError, RecursionError):
        return "its adapter_config.json cannot be read"
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        return "it is no LoRA adapter"
    if config.get("use_dora"):
        return "it is a DoRA adapter, of which 0 % would not be the base model"
    if saved := config.get("modules_to_save"):
        named = ", ".join(map(str, saved)) if isinstance(saved, list) else str(saved)
        return f"it holds layers that learned in full ({quoted(named)}), which have no strength"
    if config.get("bias", "none") not in ("none", None):
        return "it changes biases, which have no strength"
    if variant := next((name for name in VARIANTS if config.get(name)), None):
        return f"it is of another kind than plain LoRA ({variant})"
    return None


class AdapterScale:
    """The scalings of one adapter's layers in a loaded model, as they were trained and as they are set."""

    def __init__(self, model: Any, adapter: str) -> None:
        self._adapter = adapter
        self._strength = FULL_STRENGTH
        scalings = (getattr(module, "scaling", None) for module in model.modules())
        self._layers = [
            (each, each[adapter]) for each in scalings if isinstance(each, dict) and adapter in each
        ]

    def turn(self, strength: float) -> None:
        """Let the adapter's change count ``strength`` times; at 1 it is what was trained, bit for bit."""
        if strength != self._strength:
            self._strength = strength
            for scaling, trained in self._layers:
                scaling[self._adapter] = trained * strength
