"""An adapter in llama.cpp's format: one scale for all of its layers.

llama.cpp multiplies each layer's change by alpha / rank and by the requested scale. Further factors of PEFT's
(rsLoRA, ranks and alphas of single layers) are multiplied into the weights.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from safetensors.torch import load_file, save_file

from arkor_dev.contract.regular_files import read_small
from arkor_dev.local.modeling.adapter_config import read_lora
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.local.modeling.adapter_config import PeftLoraSettings

PREFIX: Final = "base_model.model."
LORA_B: Final = re.compile(r"(?P<layer>.+)\.(?:lora_B\.weight|lora_embedding_B)")
CONFIG_LIMIT: Final = 1 << 20


def plain_adapter(source: Path, target: Path, strength: float) -> Path:
    """Return ``source`` itself, or its equivalent with one scale at ``strength``, written to ``target``.

    Raises JobFailure for anything but a LoRA adapter, OSError and ValueError for unreadable files.
    """
    config = json.loads(read_small(source / "adapter_config.json", CONFIG_LIMIT))
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        raise JobFailure("This is not a LoRA adapter: choose the format gguf")
    if config.get("use_dora"):
        raise JobFailure("llama.cpp does not support DoRA adapters: choose the format gguf")
    settings, _ = read_lora(source)
    weights = load_file(source / "adapter_model.safetensors")
    scales: dict[str, float] = {}
    for name, weight in weights.items():
        if match := LORA_B.fullmatch(name):
            layer = match["layer"].removeprefix(PREFIX)
            scales[name] = scale_of(settings, layer, weight.shape[-1])
    uniform = {settings["lora_alpha"] / weights[name].shape[-1] for name in scales}
    if strength == 1 and len(uniform) == 1 and set(scales.values()) == uniform:
        return source
    for name, scale in scales.items():
        weights[name] = weights[name].float() * (scale * strength)
    # In llama.cpp an alpha of 0 means that the adapter has no scale of its own.
    plain_config = {**config, "lora_alpha": 0, "rank_pattern": {}, "alpha_pattern": {}, "use_rslora": False}
    target.mkdir(parents=True)
    save_file(
        {name: weight.contiguous() for name, weight in weights.items()}, target / "adapter_model.safetensors"
    )
    (target / "adapter_config.json").write_text(json.dumps(plain_config))
    return target


def scale_of(config: PeftLoraSettings, layer: str, rank: int) -> float:
    """Return PEFT's factor for a layer's change: alpha over the rank, or over its square root."""
    patterns = config["alpha_pattern"]
    alpha = next(
        (value for key, value in patterns.items() if re.fullmatch(rf"(?:.*\.)?(?:{key})", layer)),
        config["lora_alpha"],
    )
    return float(alpha / (rank**0.5 if config["use_rslora"] else rank))
