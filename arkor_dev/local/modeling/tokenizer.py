"""What of a model can be known without torch: its tokenizer, how much it takes, and where it is computed.

Looking at data needs no more than this, in a fraction of the time and memory.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import json
import platform
import shutil
import sys
from typing import TYPE_CHECKING, Any, Final

from transformers import AutoConfig, AutoTokenizer

from arkor_dev.local.workers.errors import JobFailure

from .chat_template import ready_tokenizer

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT_CONTEXT: Final = 2048
UNREADABLE: Final = (OSError, ValueError, KeyError, RuntimeError)
"""What transformers raises for files that it cannot make a model of."""
CONFIG: Final = "tokenizer_config.json"
PIECES: Final = "tokenizer.model"
"""SentencePiece's own file, which llama.cpp's converter reads of Gemma, Llama 2, Mistral and Phi."""
OF_HERE: Final = (
    "vocab_file",
    "tokenizer_file",
    "merges_file",
    "name_or_path",
    "is_local",
    "local_files_only",
)
"""What transformers writes into a tokenizer's settings of where it was loaded from."""


def load_tokenizer(path: Path) -> Any:
    """The tokenizer in ``path``, ready for training and chat; raises :class:`JobFailure`."""
    try:
        tokenizer = ready_tokenizer(
            AutoTokenizer.from_pretrained(path, trust_remote_code=False, local_files_only=True)
        )
    except UNREADABLE as error:
        raise unreadable(path, error) from error
    tokenizer.came_with = path / PIECES
    return tokenizer


def save_tokenizer(tokenizer: Any, folder: Path) -> None:
    """Write what :func:`load_tokenizer` has read into ``folder``, as whole as it came, without its path."""
    tokenizer.save_pretrained(str(folder))
    told = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    plain = {key: value for key, value in told.items() if key not in OF_HERE}
    text = json.dumps(plain, indent=2, sort_keys=True, ensure_ascii=False)
    (folder / CONFIG).write_text(f"{text}\n", encoding="utf-8")
    pieces = getattr(tokenizer, "came_with", None)
    if pieces is not None and pieces.is_file() and not (folder / PIECES).exists():
        shutil.copyfile(pieces, folder / PIECES)


def context_of(config: Any) -> int:
    """The longest input of a model, in tokens, by its configuration."""
    return getattr(config.get_text_config(), "max_position_embeddings", None) or DEFAULT_CONTEXT


def load_context(path: Path) -> int:
    """The longest input of the model in ``path``, in tokens; raises :class:`JobFailure`."""
    try:
        return context_of(AutoConfig.from_pretrained(path, trust_remote_code=False, local_files_only=True))
    except UNREADABLE as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> JobFailure:
    """Why a model failed to load: its folder is gone, it names code of its own, or as the library says."""
    if not path.is_dir():  # the library takes the path for a name on the hub, and says why it is none
        return JobFailure(
            f"The model's folder {path} no longer exists. If the project was moved or renamed "
            "meanwhile, open Studio where it is now and run the job again"
        )
    for file in (path / "config.json", path / "tokenizer_config.json"):
        try:
            own = "auto_map" in json.loads(file.read_text())
        except (OSError, ValueError, TypeError):
            continue
        if own:
            return JobFailure(
                f"The model in {path} needs code of its own to be loaded (auto_map in its {file.name}), and "
                "a model's code is not run here: choose a model whose architecture transformers knows itself"
            )
    return JobFailure(f"The model in {path} cannot be loaded: {error}")


def default_length(device: str) -> int:
    """The longest row, in tokens, of a job that does not say."""
    return 512 if device == "cpu" else 1024


def likely_device() -> str:
    """What ``pick_device`` will find, as far as that can be told without torch: cuda, mps or cpu."""
    if sys.platform == "darwin":
        return "mps" if platform.machine() == "arm64" else "cpu"
    if importlib.metadata.version("torch").endswith("+cpu"):
        return "cpu"
    count = ctypes.c_int()
    try:
        driver = ctypes.CDLL("libcuda.so.1")
        found = driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
    except (OSError, AttributeError):
        return "cpu"
    return "cuda" if found and count.value > 0 else "cpu"
