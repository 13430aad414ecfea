"""Base models in memory: which device and number format, and which layers an adapter goes on.

Imported by worker processes only: it brings torch and transformers.
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

    ``dtype`` is what it computes in, unless the processor is quicker otherwise; ``context`` is the longest
    input, in tokens.
    """

    model: Any
    tokenizer: Any
    device: str
    dtype: Any
    context: int

    @property
    def gpu(self) -> int | None:
        """Which NVIDIA GPU computes, as CUDA counts them; None for none."""
        return torch.cuda.current_device() if self.device == "cuda" else None


def pick_device() -> tuple[str, Any]:
    """Where to compute and in what. bfloat16 only where a GPU has it: on most CPUs it is 50 times slower."""
    if torch.cuda.is_available():
        return "cuda", torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    if torch.backends.mps.is_available():
        return "mps", torch.float32
    return "cpu", torch.float32


def _four_bit(device: str, dtype: Any) -> dict[str, Any]:
    if device != "cuda":
        raise JobFailure(
            f"loadIn4bit needs an NVIDIA GPU, and this machine computes on {device}: "
            "leave loadIn4bit out of the trainer"
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
    """Load the model and tokenizer in ``path``; raises :class:`JobFailure` when they cannot be read.

    On a GPU the weights are in the number format that is ``asked`` for, by torch's name; on a CPU, and where
    they are ``learning`` themselves, in float32. With ``as_stored`` a CPU holds frozen ones in the file's
    format: half the memory where that is bfloat16.
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
    """Lay the last places of several rows side by side: else torch copies the output layer for each row."""
    return tuple(each.contiguous() if isinstance(each, torch.Tensor) else each for each in given)


def bare(model: Any) -> Any:
    """The model itself, without what PEFT puts around it."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def linear_targets(model: Any) -> str | list[str]:
    """Return what PEFT should adapt: every linear layer of the language model but its output layer.

    That is the ends of their names where no other module has such a name. Models with vision or audio towers
    have the same names there, of classes that PEFT refuses: a pattern keeps to the language model. Else it is
    PEFT's own "all-linear".
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
