"""Loads an export like any other program: with transformers and PEFT.

Only an adapter's settings are checked first, since it may come from a foreign archive.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any, Final

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from arkor_dev.local.gguf.making import weights_of
from arkor_dev.local.modeling.adapter_config import lora_config
from arkor_dev.local.modeling.base_model import Base, load_base, load_dequantized, pick_device
from arkor_dev.local.modeling.tokenizer import UNREADABLE
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from pathlib import Path

SPARE: Final = 1.2
"""GPU memory that asking a model takes, as a multiple of its weights."""


def wearing(model: Any, folder: Path) -> Any:
    """Load the adapter in ``folder`` onto ``model``. Raises :class:`JobFailure` if they don't match."""
    try:
        config = lora_config(folder, model)
        place = str(model.device)  # else PEFT would read the weights into a GPU, whichever holds the model
        return PeftModel.from_pretrained(model, str(folder), config=config, torch_device=place).eval()
    except UNREADABLE as error:
        raise JobFailure(f"The adapter does not fit its base model: {error}") from None


def load_in_float32(path: Path, *, four_bit: bool = False) -> Base:
    """Load a model in float32, so that a sum of weights is rounded once; on the GPU if it has room for that.

    With ``four_bit`` its weights are those of its 4-bit ones. Raises :class:`JobFailure`.
    """
    if four_bit:
        return load_dequantized(path)
    return load_base(path, asked="float32", device=_device(path))


def free_memory() -> None:
    """Return the memory of models that nothing refers to."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _device(path: Path) -> str:
    """Return where the model in ``path`` fits in float32."""
    device = pick_device()[0]
    if device != "cuda":
        return device
    return device if torch.cuda.mem_get_info()[0] > SPARE * 4 * weights_of(path)[0] else "cpu"


def read_plainly(form: str, folder: Path, base: Path, *, four_bit: bool = False) -> tuple[Any, Any | None]:
    """The exported model in float32, and the tokenizer that came with it; an adapter comes with none."""
    if form == "adapter":
        return wearing(load_in_float32(base, four_bit=four_bit).model, folder), None
    try:
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except UNREADABLE as error:
        raise JobFailure(f"The exported files cannot be loaded: {error}") from None
    return model.to(torch.device(_device(folder))).eval(), tokenizer
