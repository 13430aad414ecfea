"""Prepares and saves the trained weights: a low-rank adapter (LoRA, Hu et al. 2021) or the whole model."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Final

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from arkor_dev.local.modeling.adapter_config import task_of
from arkor_dev.local.modeling.base_model import linear_targets
from arkor_dev.local.modeling.classes import TASK
from arkor_dev.local.modeling.head import head_parts, with_head
from arkor_dev.local.modeling.tokenizer import save_tokenizer
from arkor_dev.local.models.catalog import portable_name
from arkor_dev.local.workers.errors import JobFailure, out_of_memory

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from peft import PeftModel
    from torch import Tensor
    from torch.nn import Module
    from transformers import PreTrainedTokenizerBase

    from arkor_dev.local.modeling.base_model import Base
    from arkor_dev.local.modeling.classes import Classes

    from .plan import AdapterPlan

WEIGHTS: Final = "adapter_model.safetensors"
CONFIG: Final = "adapter_config.json"


def adapted(model: Module, name: str, plan: AdapterPlan, classes: Classes | None = None) -> PeftModel:
    """Add a new adapter to ``model``, with a head for ``classes``: only their weights require gradients.

    ``name`` is the base model's name, written into the adapter's files. Raises :class:`JobFailure` for layers
    that don't exist or that PEFT cannot adapt.
    """
    targets = _targets(model, plan)
    _check_names(model, plan.saved, "modules_to_save")
    _name(model, name)
    saved = list(plan.saved)
    if classes:
        with_head(model, classes)
        saved += [part for part in head_parts(model.config) if part not in saved]
    settings = LoraConfig(
        r=plan.rank,
        lora_alpha=plan.alpha,
        lora_dropout=plan.dropout,
        target_modules=targets,
        layers_to_transform=list(plan.layers) or None,
        modules_to_save=saved or None,
        use_rslora=plan.rslora,
        use_dora=plan.dora,
        init_lora_weights=True if plan.init == "default" else plan.init,
        task_type=task_of(model.config),
    )
    try:
        wearing = get_peft_model(model, settings)
    except (ValueError, TypeError, RuntimeError, NotImplementedError) as error:
        if out_of_memory(error):
            raise
        raise JobFailure(f"The model {name} does not support this adapter: {error}") from None
    for weight in wearing.parameters():
        if weight.requires_grad:
            weight.data = weight.data.float()
    wearing.train()
    return wearing


def full_model(model: Module, name: str) -> Module:
    """Prepare ``model`` for training with all weights requiring gradients. ``name`` as in :func:`adapted`."""
    _name(model, name)
    model.requires_grad_(True)
    model.train()
    return model


def _name(model: Module, name: str) -> None:
    # It is written into saved files and PEFT's README: use the portable name, not this machine's path.
    model.config.use_cache = False
    model.name_or_path = model.config._name_or_path = portable_name(name)  # noqa: SLF001


def convert_weights(model: Module, dtype: torch.dtype, streamed: Collection[int] = ()) -> None:
    """Convert ``model``'s weights to ``dtype`` once, not per step; buffers such as positions need float32.

    Weights whose ids are ``streamed`` stay as they are.
    """
    for weight in model.parameters():
        if weight.is_floating_point() and id(weight) not in streamed:
            weight.data = weight.data.to(dtype)


def prepare_frozen(base: Base, dtype: torch.dtype, *, streams: bool) -> None:
    """Convert the weights of ``base``, mapped or on a CPU, to ``dtype``, and move them to its device; with
    ``streams``, those of its layers as each is used.
    """
    stream = base.stream
    if stream and streams:
        stream.start(dtype)
    convert_weights(base.model, dtype, stream.weights if stream else ())
    if stream:
        if stream.transfers:
            base.model.to(stream.transfers.device)
        stream.release()


def _targets(model: Module, plan: AdapterPlan) -> str | list[str]:
    targets = linear_targets(model) if plan.targets == ("all-linear",) else list(plan.targets)
    if isinstance(targets, list):
        _check_names(model, targets, "target_modules")
    elif plan.layers:
        raise JobFailure(
            "lora.layers_to_transform needs lora.target_modules for this model: name the layers that get an "
            f"adapter, such as {_linear_names(model)}"
        )
    blocks = getattr(model.config.get_text_config(), "num_hidden_layers", None)
    if blocks is not None and any(layer >= blocks for layer in plan.layers):
        raise JobFailure(f"lora.layers_to_transform: the model has {blocks} blocks, 0 to {blocks - 1}")
    return targets


def _check_names(model: Module, names: Sequence[str], setting: str) -> None:
    """Raise JobFailure for a name without a layer, which PEFT would ignore silently."""
    names_in_model = [name for name, _ in model.named_modules()]
    for suffix in names:
        if not any(name == suffix or name.endswith(f".{suffix}") for name in names_in_model):
            raise JobFailure(
                f"lora.{setting}: the model has no layer called {suffix}. Its linear layers are "
                f"{_linear_names(model)}"
            )


def _linear_names(model: Module) -> str:
    linear = (name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear))
    return ", ".join(dict.fromkeys(name.rpartition(".")[2] for name in linear))


def initial_weights(model: Module) -> dict[str, Tensor]:
    """Return a new adapter's initial weights, by name, if its initialisation subtracted them from the base
    (PiSSA, OLoRA); otherwise nothing.
    """
    if model.peft_config["default"].init_lora_weights in ("pissa", "olora"):
        return {
            name: weight.detach().clone() for name, weight in model.named_parameters() if ".lora_" in name
        }
    return {}


def load_weights(weights: Mapping[str, Tensor], folder: Path) -> None:
    """Load the trained ``weights``, by name, from ``folder``. Raises JobFailure."""
    saved: dict[str, Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        saved |= load_file(path)
    keys = {name: name.replace(".modules_to_save.default", "").replace(".default.", ".") for name in weights}
    for name, weight in weights.items():
        stored = saved.get(keys[name])
        if stored is None or stored.shape != weight.shape:
            shape = list(weight.shape)
            raise JobFailure(
                f"The adapter that this job starts from has no {keys[name]} of the shape {shape}"
            )
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(saved[keys[name]])


def restore_initial_weights(model: Module, fresh: Mapping[str, Tensor], saved: Mapping[str, Tensor]) -> None:
    """Make ``model`` start from ``saved`` instead of ``fresh``, its own `initial_weights`.

    On the same machine both are equal. Another machine may decompose the base's weights differently, but the
    adapter must start from exactly the weights that were subtracted.
    """
    if all(torch.equal(weight.cpu(), saved[name]) for name, weight in fresh.items()):
        return
    learning = dict(model.named_parameters())
    with torch.no_grad():
        for module in model.modules():
            if not hasattr(module, "get_delta_weight") or "default" not in getattr(module, "lora_A", {}):
                continue
            own = [module.lora_A["default"].weight, module.lora_B["default"].weight]
            names = [
                next(name for name, weight in learning.items() if weight is wanted_weight)
                for wanted_weight in own
            ]
            parts = []
            for initial in (fresh, saved):
                for weight, name in zip(own, names, strict=True):
                    weight.copy_(initial[name])
                parts.append(module.get_delta_weight("default"))
            base = module.get_base_layer().weight
            base.copy_(base + (parts[0] - parts[1]).to(base.dtype))


def save_adapter(
    model: Module, initial: Mapping[str, Tensor], folder: Path, classes: Classes | None = None
) -> None:
    """Write the adapter into ``folder``, for the unmodified base; ``initial`` is its `initial_weights`.

    One with a head for ``classes`` is saved as PEFT saves that of transformers' class for classification.
    """
    model.create_or_update_model_card = _write_no_card
    model.save_pretrained(str(folder), selected_adapters=["default"], save_embedding_layers=False)
    config = json.loads((folder / CONFIG).read_text())
    if isinstance(config["target_modules"], list):
        # PEFT uses a set, whose order varies: sort, so that equal adapters give equal files.
        config["target_modules"].sort()
    if classes:
        config["task_type"] = TASK
        classes.write(folder)
    (folder / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True))
    if initial:
        _make_plain(folder, initial)


def _write_no_card(_: str) -> None:
    """Prevent PEFT from writing its model card, which is slower than the adapter; ours replaces it."""


def save_whole(model: Module, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write the model and its tokenizer into ``folder``, which can then be loaded like any other model."""
    model.config.use_cache = True
    model.save_pretrained(str(folder))
    model.config.use_cache = False
    tokenizer.name_or_path = model.name_or_path
    save_tokenizer(tokenizer, folder)


def _make_plain(folder: Path, initial: Mapping[str, Tensor]) -> None:
    """Convert an adapter relative to its start into one for the base itself, of twice the rank.

    ``B0 A0`` was subtracted from the base, so the change is ``B A - B0 A0``: a product of concatenations.
    """
    weights = load_file(folder / WEIGHTS)
    for name, first in initial.items():
        key = name.replace(".default.", ".")
        first = first.to(weights[key])
        down = ".lora_A." in name
        weights[key] = torch.cat([weights[key], first if down else -first], dim=0 if down else 1).contiguous()
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    config = json.loads((folder / CONFIG).read_text())
    growth = math.sqrt(2) if config["use_rslora"] else 2
    config |= {"r": 2 * config["r"], "lora_alpha": growth * config["lora_alpha"], "init_lora_weights": True}
    (folder / CONFIG).write_text(json.dumps(config, indent=2))
