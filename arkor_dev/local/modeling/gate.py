"""Which models are not trained here, or only in part: by their configuration, before they are loaded."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.rules import quoted
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from pathlib import Path

METHODS: Final = {
    "awq": "AWQ",
    "bitsandbytes": "bitsandbytes",
    "compressed-tensors": "compressed-tensors",
    "fp8": "FP8",
    "gptq": "GPTQ",
    "mxfp4": "MXFP4",
}
"""Names of the common ways in which a repository's weights are quantized."""
SENSES: Final = {"vision_config": "pictures", "audio_config": "sound"}


def check_trainable(path: Path) -> str | None:
    """Return a sentence on which part of the model in ``path`` is trained, unless all of it is.

    Raises JobFailure for an untrainable model. An unreadable file is left to the code that loads it.
    """
    try:
        config = json.loads((path / "config.json").read_text())
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(config, dict):
        return None
    quantized = config.get("quantization_config")
    if isinstance(quantized, dict):
        kind = quantized.get("quant_method", "bitsandbytes" if quantized.get("load_in_4bit") else None)
        method = METHODS.get(kind) if isinstance(kind, str) else None
        raise JobFailure(
            f"The weights of this model are quantized ({method or quoted(kind)}), and such weights are not "
            "trained here. Choose the repository with the full ones, often the same name without the ending "
            "-GPTQ, -AWQ, -FP8 or -bnb-4bit: load_in_4bit = true quantizes them as they are loaded"
        )
    senses = [sense for key, sense in SENSES.items() if isinstance(config.get(key), dict)]
    if senses:
        return (
            f"This model also takes {' and '.join(senses)}. Its language part is trained, on text; the rest "
            "stays as it is"
        )
    return None
