"""Checks a model that a training method needs besides the one that learns, before it is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from transformers import AutoConfig

from arkor_dev.contract.units import format_bytes
from arkor_dev.local.workers.errors import JobFailure, OutOfMemory
from arkor_dev.local.workers.machine import memory

from .gpu_count import FOUR_BIT_BYTES, weights_of
from .tokenizer import load_tokenizer

if TYPE_CHECKING:
    from pathlib import Path

    from .base_model import Base

ROOM: Final = 1.1
"""Memory of a loaded model, as a multiple of its weights."""


def check_vocabulary(name: str, folder: Path, base: Base) -> None:
    """Raise JobFailure unless the model in ``folder`` has the tokens of ``base``, and as many logits."""
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    words, own = config.get_text_config().vocab_size, base.model.config.get_text_config().vocab_size
    if words != own or load_tokenizer(folder).get_vocab() != base.tokenizer.get_vocab():
        raise JobFailure(
            f"The model {name} has another vocabulary than the one that learns ({words:,} and {own:,} "
            "tokens), so their probabilities cannot be compared: choose two models of one family"
        )


def check_room(name: str, folder: Path, base: Base) -> None:
    """Raise OutOfMemory if the free memory does not hold the model in ``folder``, besides ``base``."""
    try:
        per_weight = FOUR_BIT_BYTES if base.four_bit else base.dtype.itemsize
        needed = ROOM * weights_of(folder)[0] * per_weight
    except (OSError, ValueError):  # an unreadable file, which loading reports
        return
    free = torch.cuda.mem_get_info()[0] if base.device == "cuda" else memory().free
    if free is not None and needed > free:
        raise OutOfMemory(
            f"The model {name} takes {format_bytes(round(needed))} besides the one that learns, and "
            f"{format_bytes(free)} are free: choose a smaller one, or load_in_4bit"
        )
