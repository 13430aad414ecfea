"""Paths of GGUF files in the cache: each name depends on all inputs of the file."""

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
"""Version of the conversion, to be increased when files are made differently."""
CONFIG_LIMIT: Final = 1 << 24


def gguf_folder(cache: Path) -> Path:
    return cache / "gguf"


def is_starter_wheel(model: Path, cache: Path) -> bool:
    """Return whether the model in ``model`` came from the wheel with its GGUF file."""
    return model == starter_folder(cache) or model == starter_folder(cache).resolve()


def base_path(model: Path, quantization: str, cache: Path, *, as_came: bool = True) -> Path:
    """Return the path of the base model in ``model`` as GGUF. Raises OSError.

    The package index provides the starter model as GGUF: ``as_came`` selects that file.
    """
    if as_came and is_starter_wheel(model, cache):
        return starter_gguf(cache)
    name = re.sub(r"[^\w.-]", "-", model.name)[:60]
    return gguf_folder(cache) / f"{name}-{quantization}-{_digest(model)}.gguf"


def lora_path(adapter: Path, model: Path, cache: Path) -> Path:
    """Return the path of the adapter in ``adapter`` of the base ``model`` as GGUF. Raises OSError."""
    return gguf_folder(cache) / "lora" / f"{_digest(adapter)}-{_digest(model)}.gguf"


def _digest(folder: Path) -> str:
    """Hash a folder's settings, and its weights' names, sizes and times: hashing weights is slow."""
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
    content = json.dumps([FORMAT, str(folder.resolve()), settings, weights])
    return hashlib.sha256(content.encode()).hexdigest()[:16]
