"""LLaMA-Factory's second version (``examples/v1``): a YAML file with ``model_class`` and ``peft_config``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .conversion import COMMON, OWN_TEMPLATE, TEXT_ONLY, model, noted, refuse, unsupported, used
from .entries import flattened

if TYPE_CHECKING:
    from arkor_dev.contract.settings.setting import Value

    from .conversion import Conversion, KeyRule
    from .entries import Entry

NAME: Final = "LLaMA-Factory"
DEFAULTS: Final[dict[str, Value]] = {"learning_rate": 1e-4, "batch_size": 1, "epochs": 3, "max_length": 2048}


def recognises(entries: list[Entry]) -> bool:
    """Return whether a file is one of this tool."""
    keys = {entry.key for entry in entries}
    return "model" in keys and bool({"model_class", "peft_config.name", "kernel_config.name"} & keys)


def method(entries: list[Entry]) -> tuple[str, Entry | None]:
    """Return the training method: supervised, unless ``stage`` or ``rm`` says another."""
    entry = next((entry for entry in entries if entry.key in ("stage", "train_stage")), None)
    return ("sft", None) if entry is None or entry.value == "sft" else (str(entry.value), entry)


def convert(conversion: Conversion, entries: list[Entry]) -> None:
    """Carry a file over."""
    flat = flattened(entries)
    by_key = {entry.key: entry for entry in flat}
    if "peft_config.export_dir" in by_key or "export_dir" in by_key or "train_dataset" not in by_key:
        refuse(flat[0], "the file merges or runs a model, and trains none (it has no train_dataset)")
    if "model_class" in by_key and by_key["model_class"].value != "llm":
        refuse(by_key["model_class"], TEXT_ONLY)
    kind = by_key.get("peft_config.name")
    if kind is None:
        conversion.set("full_fine_tuning", by_key["model"], True)
    elif kind.value != "lora":
        conversion.note(kind, "only LoRA and full fine-tuning are supported: it becomes LoRA")
    conversion.apply(flat, RULES)
    micro, total = (by_key.get(key) for key in ("micro_batch_size", "global_batch_size"))
    size = conversion.count("batch_size") if "batch_size" in conversion.settings else 1
    if total is not None and isinstance(total.value, int) and micro is not None and total.value >= size:
        conversion.set("gradient_accumulation_steps", total, max(1, total.value // size))
        conversion.note(total, "is reached on one device here, by accumulating gradients")
    conversion.default(DEFAULTS)


def _data(conversion: Conversion, entry: Entry) -> None:
    name = str(entry.value)
    if name.endswith((".yaml", ".yml")):
        conversion.note(entry, f"{name} describes the rows: put their path in its place")
        conversion.datasets.append({"path": "data/train.jsonl"})
    else:
        conversion.datasets.append(conversion.data(entry, name))


def _held_out(conversion: Conversion, entry: Entry) -> None:
    conversion.note(entry, "is not carried over, and a share of the rows is held out")


def _quantization(conversion: Conversion, entry: Entry) -> None:
    if entry.value == 4:
        conversion.set("load_in_4bit", entry, True)
    else:
        conversion.note(entry, "only 4-bit base models are supported: load_in_4bit = true")


def _batching(conversion: Conversion, entry: Entry) -> None:
    if entry.value not in ("normal", "padding_free"):
        conversion.note(entry, f"{entry.value} has no equivalent here: a batch has batch_size rows")


RULES: Final[dict[str, KeyRule]] = {
    **COMMON,
    **dict.fromkeys(
        ("output_dir", "kernel_config.*", "dist_config.*", "init_config.*", "sample_backend",
        "max_new_tokens",
         "batching_workers", "model_class", "flash_attn"),
    ),
    "model": model,
    "template": noted(OWN_TEMPLATE),
    "train_dataset": _data,
    "eval_dataset": _held_out,
    "global_batch_size": used,
    "micro_batch_size": "batch_size",
    "cutoff_len": "max_length",
    "batching_strategy": _batching,
    "peft_config.*": unsupported("has no equivalent here"),
    "peft_config.name": used,
    "peft_config.r": "lora.r",
    "peft_config.lora_alpha": "lora.alpha",
    "peft_config.lora_dropout": "lora.dropout",
    "peft_config.target_modules": COMMON["target_modules"],
    "peft_config.modules_to_save": "lora.modules_to_save",
    "peft_config.use_rslora": "lora.use_rslora",
    "peft_config.use_dora": "lora.use_dora",
    "quant_config.*": unsupported("has no equivalent here"),
    "quant_config.name": None,
    "quant_config.quantization_bit": _quantization,
    "optim_config.*": unsupported("has no equivalent here"),
    "lr_scheduler_config.*": unsupported("has no equivalent here"),
}  # fmt: skip
