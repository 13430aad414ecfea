"""Where GGUF files lie in the cache: each under a name that changes with all that it was made of."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.regular_files import read_small
from arkor_dev.local.models.catalog import starter_folder, starter_gguf

if TYPE_CHECKING:
    from pathlib import Path

FORMAT: Final = 1
"""Counts up when files are made in another way."""
CONFIG_LIMIT: Final = 1 << 24


def gguf_folder(cache: Path) -> Path:
    return cache / "gguf"


def is_starter_wheel(model: Path, cache: Path) -> bool:
    """Whether the model in ``model`` came out of the wheel that has it as a GGUF file."""
    return model == starter_folder(cache) or model == starter_folder(cache).resolve()


def base_place(model: Path, quantization: str, cache: Path, *, as_came: bool = True) -> Path:
    """Where the base model in ``model`` lies as GGUF. Raises OSError where it cannot be looked at.

    The starter model of the package index came as GGUF: ``as_came`` means that file.
    """
    if as_came and is_starter_wheel(model, cache):
        return starter_gguf(cache)
    name = re.sub(r"[^\w.-]", "-", model.name)[:60]
    return gguf_folder(cache) / f"{name}-{quantization}-{_digest(model)}.gguf"


def lora_place(adapter: Path, model: Path, cache: Path) -> Path:
    """Where the adapter in ``adapter`` of the base ``model`` lies as GGUF. Raises OSError."""
    return gguf_folder(cache) / "lora" / f"{_digest(adapter)}-{_digest(model)}.gguf"


def _digest(folder: Path) -> str:
    """Of the settings in a folder, and of its weights' names, sizes and times: weights are long to read."""
    settings = [
        (path.name, hashlib.sha256(read_small(path, CONFIG_LIMIT)).hexdigest())
        for path in sorted(
            (*folder.glob("*config.json"), *folder.glob("tokenizer*"), *folder.glob("*.jinja"))
        )
    ]
    weights = [
        (path.name, stat.st_size, stat.st_mtime_ns)
        for path in sorted(folder.glob("*.safetensors"))
        for stat in (path.stat(),)
    ]
    told = json.dumps([FORMAT, str(folder.resolve()), settings, weights])
    return hashlib.sha256(told.encode()).hexdigest()[:16]
