"""Facts about a model that can be determined without torch: its tokenizer, context length and device.

Inspecting data needs nothing else, which takes a fraction of the time and memory.
"""

from __future__ import annotations

import ctypes
import json
import platform
import shutil
import sys
from typing import TYPE_CHECKING, Final

from transformers import AutoConfig, AutoTokenizer

from arkor_dev.contract.gpus import amd_gpus, torch_build
from arkor_dev.local.workers.errors import JobFailure

from .chat_template import ready_tokenizer

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedConfig, PreTrainedTokenizerBase

DEFAULT_CONTEXT: Final = 2048
UNREADABLE: Final = (OSError, ValueError, KeyError, RuntimeError)
"""Exceptions that transformers raises for unreadable files."""
CONFIG: Final = "tokenizer_config.json"
PIECES: Final = "tokenizer.model"
"""SentencePiece's model file, which llama.cpp's converter needs for Gemma, Llama 2, Mistral and Phi."""
PATH_KEYS: Final = (
    "vocab_file",
    "tokenizer_file",
    "merges_file",
    "name_or_path",
    "is_local",
    "local_files_only",
)
"""Keys under which transformers stores a tokenizer's path."""


def load_tokenizer(path: Path) -> PreTrainedTokenizerBase:
    """Return the tokenizer in ``path``, ready for training and chat. Raises JobFailure."""
    try:
        tokenizer = ready_tokenizer(
            AutoTokenizer.from_pretrained(path, trust_remote_code=False, local_files_only=True)
        )
    except UNREADABLE as error:
        raise unreadable(path, error) from error
    tokenizer.came_with = path / PIECES
    return tokenizer


def save_tokenizer(tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write the complete result of `load_tokenizer` into ``folder``, without its path."""
    tokenizer.save_pretrained(str(folder))
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    plain = {key: value for key, value in config.items() if key not in PATH_KEYS}
    text = json.dumps(plain, indent=2, sort_keys=True, ensure_ascii=False)
    (folder / CONFIG).write_text(f"{text}\n", encoding="utf-8")
    pieces = getattr(tokenizer, "came_with", None)
    if pieces is not None and pieces.is_file() and not (folder / PIECES).exists():
        shutil.copyfile(pieces, folder / PIECES)


def context_of(config: PreTrainedConfig) -> int:
    """Return a model's context length in tokens, from its configuration."""
    return getattr(config.get_text_config(), "max_position_embeddings", None) or DEFAULT_CONTEXT


def load_context(path: Path) -> int:
    """Return the context length in tokens of the model in ``path``. Raises JobFailure."""
    try:
        return context_of(AutoConfig.from_pretrained(path, trust_remote_code=False, local_files_only=True))
    except UNREADABLE as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> JobFailure:
    """Explain why a model failed to load: a missing folder, custom code, or the library's message."""
    if (
        not path.is_dir()
    ):  # the library mistakes the path for a Hub id, and explains why it is not a valid one
        return JobFailure(
            f"The model's folder {path} no longer exists. If the project was moved or renamed, open "
            "Studio at its new location and run the job again"
        )
    for file in (path / "config.json", path / "tokenizer_config.json"):
        try:
            needs_code = "auto_map" in json.loads(file.read_text())
        except (OSError, ValueError, TypeError):
            continue
        if needs_code:
            return JobFailure(
                f"The model in {path} needs custom code to load (auto_map in its {file.name}), which is "
                "never run here: choose a model whose architecture transformers supports itself"
            )
    return JobFailure(f"The model in {path} cannot be loaded: {error}")


def default_length(device: str) -> int:
    """Return the default maximum row length in tokens."""
    return 512 if device == "cpu" else 1024


def likely_device() -> str:
    """Return the device that ``pick_device`` will likely find, without torch: cuda, mps or cpu."""
    if sys.platform == "darwin":
        return "mps" if platform.machine() == "arm64" else "cpu"
    kind = torch_build()
    if kind == "cpu":
        return "cpu"
    if kind == "rocm":  # torch calls an AMD GPU "cuda"
        return "cuda" if amd_gpus() else "cpu"
    count = ctypes.c_int()
    try:
        driver = ctypes.CDLL("libcuda.so.1")
        driver_works = driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
    except (OSError, AttributeError):
        return "cpu"
    return "cuda" if driver_works and count.value > 0 else "cpu"
