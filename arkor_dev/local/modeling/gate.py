"""Checks by its configuration, before loading it, whether a model can be trained fully, in part or not."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.rules import quoted
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.contract.json_types import Json, JsonObject

METHODS: Final = {
    "awq": "AWQ",
    "bitsandbytes": "bitsandbytes",
    "compressed-tensors": "compressed-tensors",
    "gptq": "GPTQ",
}
"""Names of the common formats of quantized weights in repositories."""
DEQUANTIZED: Final = {
    "fp8": (
        "The weights of this model come in FP8 and are dequantized to 16 bit, twice their size",
        "twice that once dequantized",
    ),
    "mxfp4": (
        (
            "The experts of this model come in MXFP4 and are dequantized to 16 bit, almost four times their "
            "size. An adapter learns on its other linear layers, the experts stay as they are"
        ),
        "almost four times that once dequantized",
    ),
}
"""Formats whose weights transformers dequantizes on any device: how they are trained, and their size."""
ENCODERS: Final = {"bert": "BERT", "modernbert": "ModernBERT"}
"""Architectures of encoders, which read whole texts and write none, by their names."""
ENCODER_HEADS: Final = {"bert": ("pooler", "classifier"), "modernbert": ("head", "classifier")}
"""The modules of transformers' heads of encoders, by architecture: a hidden layer, and the last layer."""
SENSES: Final = {"vision_config": "pictures", "audio_config": "sound"}
CARD: Final = re.compile(r"\A---\s*\n(.*?)\n---", re.DOTALL)
BASE: Final = re.compile(r"^base_model:\s*(?:-\s*)?[\"']?([\w.-]+/[\w.-]+)[\"']?\s*$", re.MULTILINE)
CARD_CHARACTERS: Final = 100_000


def check_trainable(path: Path) -> str | None:
    """Return a sentence on how the model in ``path`` is trained, if that differs from the usual.

    Raises JobFailure for an untrainable model. An unreadable file is left to the code that loads it.
    """
    config = _config_of(path)
    quantized = config.get("quantization_config")
    if isinstance(quantized, dict) and not (_is_four_bit(quantized) or dequantized_from(path)):
        in_bits = quantized.get("load_in_4bit") or quantized.get("load_in_8bit")
        kind = quantized.get("quant_method", "bitsandbytes" if in_bits else None)
        method = METHODS.get(kind) if isinstance(kind, str) else None
        if method and quantized.get("load_in_8bit"):
            method += " in 8 bit"
        other = (
            "Choose the repository with the full ones, often the same name without the ending -GPTQ or -AWQ"
        )
        if name := _base_of(path):
            other = f"Choose {name}, from which they were made"
        raise JobFailure(
            f"The weights of this model are quantized ({method or quoted(kind)}), and such weights are not "
            f"trained here. {other}: load_in_4bit = true quantizes it as it is loaded"
        )
    senses = [sense for key, sense in SENSES.items() if isinstance(config.get(key), dict)]
    sentences = []
    if senses:
        sentences.append(
            f"This model also takes {' and '.join(senses)}. Its language part is trained, on text; the rest "
            "stays as it is"
        )
    if stored := dequantized_from(path):
        sentences.append(DEQUANTIZED[stored][0])
    elif quantized:
        sentences.append("The weights of this model come in 4 bit: it is trained as with load_in_4bit = true")
    return ". ".join(sentences) or None


def encoder_in(path: Path) -> str | None:
    """Return the architecture's name if the model in ``path`` is an encoder, which writes no text."""
    config = _config_of(path)
    kind = config.get("model_type")
    return ENCODERS.get(kind) if isinstance(kind, str) and not config.get("is_decoder") else None


def comes_in_4_bit(path: Path) -> bool:
    """Return whether the weights in ``path`` were saved in 4 bit by bitsandbytes."""
    quantized = _config_of(path).get("quantization_config")
    return isinstance(quantized, dict) and _is_four_bit(quantized)


def dequantized_from(path: Path) -> str | None:
    """Return the format in `DEQUANTIZED` of the weights in ``path``, such as gpt-oss's, or None."""
    quantized = _config_of(path).get("quantization_config")
    kind = quantized.get("quant_method") if isinstance(quantized, dict) else None
    return kind if isinstance(kind, str) and kind in DEQUANTIZED else None


def _config_of(path: Path) -> JsonObject:
    try:
        config: Json = json.loads((path / "config.json").read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return config if isinstance(config, dict) else {}


def _is_four_bit(quantized: JsonObject) -> bool:
    return (
        quantized.get("quant_method", "bitsandbytes") == "bitsandbytes"
        and quantized.get("load_in_4bit") is True
        and not quantized.get("load_in_8bit")
        and quantized.get("bnb_4bit_quant_type", "fp4") in ("nf4", "fp4")
    )


def _base_of(path: Path) -> str | None:
    """Return the repository that the model card in ``path`` names as its base."""
    try:
        with (path / "README.md").open(encoding="utf-8", errors="replace") as file:
            card = CARD.match(file.read(CARD_CHARACTERS))
    except OSError:
        return None
    match = BASE.search(card[1]) if card else None
    return match[1] if match else None
