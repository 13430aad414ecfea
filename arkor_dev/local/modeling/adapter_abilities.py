"""Abilities of an adapter by its ``adapter_config.json``: strengths, packing, and programs that read it.

The single source for refusals and hints. It reads files and imports no training library.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.regular_files import read_small
from arkor_dev.contract.rules import quoted

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.contract.json_types import JsonObject

VARIANTS: Final = (
    "use_qalora", "use_bdlora", "alora_invocation_tokens", "arrow_config", "trainable_token_indices",
    "layer_replication",
)  # fmt: skip
"""PEFT settings with which a layer computes something other than ``W x + s B A x``."""
VLLM_RANKS: Final = (16, 32, 64, 128, 256, 320, 512)
"""Values of vLLM's max_lora_rank (0.32); the first is its default."""


def settings_of(folder: Path) -> JsonObject | None:
    """Return the adapter's settings; None if they cannot be read."""
    try:
        settings = json.loads(read_small(folder / "adapter_config.json"))
    except (OSError, ValueError, RecursionError):
        return None
    return settings if isinstance(settings, dict) else {}


def reads_weights(folder: Path) -> bool:
    """Return whether an adapter reads the base's weights or copies layers, which packed weights rule out."""
    settings = settings_of(folder) or {}
    return bool(settings.get("use_dora") or settings.get("modules_to_save"))


def why_full_strength_only(folder: Path) -> str | None:
    """Say why the adapter in ``folder`` works only at full strength, as the end of a sentence; None if it
    works at any strength. The same reasons prevent a LoRA file for llama.cpp.
    """
    settings = settings_of(folder)
    if settings is None:
        return "its adapter_config.json cannot be read"
    if settings.get("peft_type") != "LORA":
        return "it is not a LoRA adapter"
    if settings.get("use_dora"):
        return "it is a DoRA adapter, which at 0 % would not be the base model"
    if saved := settings.get("modules_to_save"):
        names = ", ".join(map(str, saved)) if isinstance(saved, list) else str(saved)
        return f"it contains fully trained layers ({quoted(names)}), which have no strength"
    if settings.get("bias", "none") not in ("none", None):
        return "it changes biases, which have no strength"
    if variant := next((name for name in VARIANTS if settings.get(name)), None):
        return f"it is not plain LoRA ({variant})"
    return None


def vllm_options(folder: Path) -> str | None:
    """Return the options with which vLLM accepts the adapter; None if vLLM rejects it.

    An adapter initialised with PiSSA or OLoRA is saved as plain LoRA of twice the rank, which vLLM accepts.
    """
    settings = settings_of(folder) or {}
    patterns = settings.get("rank_pattern")
    ranks = [settings.get("r"), *(patterns.values() if isinstance(patterns, dict) else ())]
    rank = max((value for value in ranks if isinstance(value, int)), default=0)
    initialization = str(settings.get("init_lora_weights"))
    if reads_weights(folder) or initialization.startswith(("pissa", "olora")) or rank > VLLM_RANKS[-1]:
        return None
    most = next(value for value in VLLM_RANKS if value >= rank)
    return "--enable-lora" + ("" if most == VLLM_RANKS[0] else f" --max-lora-rank {most}")
