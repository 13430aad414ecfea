"""The low-rank adapter (LoRA, Hu et al. 2021): its configuration, and the model that wears it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

from arkor_dev.local.modeling.base_model import adapter_targets
from arkor_dev.local.models.catalog import travelling_name

if TYPE_CHECKING:
    from .plan import Plan


def adapted(model: Any, name: str, plan: Plan, four_bit: bool) -> Any:
    """``model`` with a fresh adapter, ready to train: only the adapter's weights want gradients.

    ``name`` is the model's own, which the adapter's files will name.
    """
    if four_bit:
        model = prepare_model_for_kbit_training(model)
    model.config.use_cache = False
    # PEFT writes these into the adapter and into its README; the model's name is what travels, and not
    # the path that it has on this machine.
    model.name_or_path = model.config._name_or_path = travelling_name(name)  # noqa: SLF001
    settings = LoraConfig(
        r=plan.rank,
        lora_alpha=plan.alpha,
        lora_dropout=0.0,
        target_modules=adapter_targets(model),
        task_type="CAUSAL_LM",
    )
    wearing = get_peft_model(model, settings)
    wearing.train()
    return wearing
