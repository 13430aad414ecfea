"""Base models in memory: their device and number format, and which layers an adapter adapts.

Imported by worker processes only: it imports torch and transformers.
"""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoModelForCausalLM
from transformers.pytorch_utils import Conv1D

from arkor_dev.contract.extras import install_command
from arkor_dev.local.workers.errors import JobFailure

from .tokenizer import UNREADABLE, context_of, load_tokenizer, unreadable

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(slots=True)
class Base:
    """A base model ready for use, with its tokenizer.

    ``dtype`` is what it computes in, unless another format is faster on this processor; ``context`` is the
    longest input in tokens.
    """

    model: Any
    tokenizer: Any
    device: str
    dtype: Any
    context: int

    @property
    def gpu(self) -> int | None:
        """Return the index of the NVIDIA GPU in use, as CUDA counts them; None without one."""
        return torch.cuda.current_device() if self.device == "cuda" else None


def pick_device() -> tuple[str, Any]:
    """Return the device and number format. bfloat16 only on a GPU: on most CPUs it is 50 times slower."""
    if torch.cuda.is_available():
        return "cuda", torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    if torch.backends.mps.is_available():
        return "mps", torch.float32
    return "cpu", torch.float32


def _four_bit(device: str, dtype: Any) -> dict[str, Any]:
    if device != "cuda":
        raise JobFailure(
            f"loadIn4bit needs an NVIDIA GPU, and this machine computes on {device}: remove loadIn4bit "
            "from the trainer"
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        raise JobFailure(
            f"4-bit quantization needs one more package. Install it with: {install_command('gpu4bit')}"
        )
    from transformers import BitsAndBytesConfig

    config = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype)
    return {"quantization_config": config, "device_map": {"": 0}}


def load_base(
    path: Path,
    four_bit: bool = False,
    asked: str | None = None,
    learning: bool = False,
    as_stored: bool = False,
) -> Base:
    """Load the model and tokenizer in ``path``. Raises JobFailure if they cannot be read.

    On a GPU the weights have the number format ``asked``, by torch's name; on a CPU, and if they are
    ``learning`` themselves, float32. With ``as_stored`` frozen ones stay in the file's format on a CPU: half
    the memory for bfloat16.
    """
    device, dtype = pick_device()
    if asked and device != "cpu":
        dtype = getattr(torch, asked)
    extra = _four_bit(device, dtype) if four_bit else {}
    tokenizer = load_tokenizer(path)
    try:
        model = AutoModelForCausalLM.from_pretrained(
            path,
            dtype=torch.float32 if learning else "auto" if as_stored and device == "cpu" else dtype,
            trust_remote_code=False,
            use_safetensors=True,
            **extra,
        )
    except UNREADABLE as error:
        raise unreadable(path, error) from error
    if not four_bit:
        model.to(device)
    if (head := model.get_output_embeddings()) is not None:
        head.register_forward_pre_hook(_in_one_piece)
    return Base(model, tokenizer, device, dtype, context_of(model.config))


def _in_one_piece(_: Any, given: tuple[Any, ...]) -> tuple[Any, ...]:
    """Copy the last positions of several rows side by side: torch would otherwise copy the output layer for
    each row.
    """
    return tuple(each.contiguous() if isinstance(each, torch.Tensor) else each for each in given)


def bare(model: Any) -> Any:
    """Return the model without PEFT's wrappers."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def linear_targets(model: Any) -> str | list[str]:
    """Return what PEFT should adapt: every linear layer of the language model except its output layer.

    These are the last parts of their names if no other module has such a name. Models with vision or audio
    towers have the same names there, of classes that PEFT refuses: then a pattern selects the language model.
    Otherwise it is PEFT's own "all-linear".
    """
    head = model.get_output_embeddings()
    linear = [name for name, module in model.named_modules() if _is_linear(module) and module is not head]
    spoken = [name for name in linear if "language_model" in name.split(".")] or linear
    ends = sorted({_end(name) for name in spoken})
    others = {_end(name) for name, _ in model.named_modules() if name and name not in set(spoken)}
    if others.isdisjoint(ends):
        return ends
    if len(spoken) < len(linear):
        return rf"(.*\.)?language_model\.(.*\.)?({'|'.join(map(re.escape, ends))})"
    return "all-linear"


def _is_linear(module: Any) -> bool:
    return isinstance(module, torch.nn.Linear | Conv1D)


def _end(name: str) -> str:
    return name.rpartition(".")[2]
