"""Loads an export like any other program: with transformers and PEFT.

Only an adapter's settings are checked first, since it may come from a foreign archive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from arkor_dev.local.modeling.adapter_config import lora_config
from arkor_dev.local.modeling.base_model import pick_device
from arkor_dev.local.modeling.tokenizer import UNREADABLE
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from pathlib import Path


def wearing(model: Any, folder: Path) -> Any:
    """Load the adapter in ``folder`` onto ``model``. Raises :class:`JobFailure` if they don't match."""
    try:
        config = lora_config(folder, model)
        return PeftModel.from_pretrained(model, str(folder), config=config).eval()
    except UNREADABLE as error:
        raise JobFailure(f"The adapter does not fit its base model: {error}") from None


def read_plainly(form: str, folder: Path, base: Path) -> tuple[Any, Any | None]:
    """Load the exported model and its tokenizer; an adapter has no tokenizer."""
    device, dtype = pick_device()
    alone = form != "adapter"
    try:
        model = AutoModelForCausalLM.from_pretrained(
            folder if alone else base,
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
        )
        tokenizer = None
        if alone:
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except UNREADABLE as error:
        raise JobFailure(f"The exported files cannot be loaded: {error}") from None
    model = model.to(torch.device(device))
    return (model.eval() if alone else wearing(model, folder)), tokenizer
