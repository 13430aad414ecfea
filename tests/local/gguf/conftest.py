"""Models and adapters to be made into GGUF files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.local.other_models import make_qwen

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_qwen(tmp_path_factory.mktemp("qwen"))


def lora(base: Path, folder: Path, **config: Any) -> Path:
    """An adapter of ``base`` with weights that matter, as PEFT writes one."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(1)
    told = {"r": 4, "lora_alpha": 12, "target_modules": ["q_proj", "v_proj", "down_proj"], **config}
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), LoraConfig(**told))
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.05)
    model.save_pretrained(folder)
    return folder
