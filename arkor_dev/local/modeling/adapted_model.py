"""Loads a saved LoRA adapter onto a base model. Imports torch and peft."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peft import PeftModel

from arkor_dev.local.workers.errors import JobFailure

from .adapter_config import lora_config
from .tokenizer import UNREADABLE

if TYPE_CHECKING:
    from pathlib import Path

    from torch.nn import Module


def with_adapter(model: Module, folder: Path) -> PeftModel:
    """Return ``model`` with the adapter in ``folder``. Raises JobFailure if they do not match."""
    try:
        config = lora_config(folder, model)
        device = str(
            model.device
        )  # else PEFT would read the weights into a GPU even if the model is elsewhere
        return PeftModel.from_pretrained(model, str(folder), config=config, torch_device=device).eval()
    except UNREADABLE as error:
        raise JobFailure(f"The adapter does not fit its base model: {error}") from None


def add_frozen_adapter(model: PeftModel, name: str, folder: Path, device: str) -> None:
    """Load the adapter in ``folder`` into ``model``, without activating it. Raises JobFailure if they do not
    match.
    """
    try:
        # Without weights of its own at first: drawing them would advance the run's random numbers.
        model.add_adapter(name, lora_config(folder, model.get_base_model()), low_cpu_mem_usage=True)
        model.load_adapter(str(folder), name, is_trainable=False, torch_device=device, low_cpu_mem_usage=True)
    except UNREADABLE as error:
        raise JobFailure(f"The adapter does not fit its base model: {error}") from None
