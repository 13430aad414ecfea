"""mlx-lm: the YAML of ``mlx_lm.lora --config``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .conversion import model, refuse, refused, scheduler, unsupported, used
from .entries import flattened

if TYPE_CHECKING:
    from arkor_dev.contract.settings.setting import Value

    from .conversion import Conversion, KeyRule
    from .entries import Entry

NAME: Final = "mlx-lm"
OWN: Final = {
    "iters",
    "lora_parameters",
    "steps_per_report",
    "steps_per_eval",
    "fine_tune_type",
    "adapter_path",
}
"""Keys that no other tool has, of which two are in each file."""
DEFAULTS: Final[dict[str, Value]] = {
    "learning_rate": 1e-5, "steps": 1000, "batch_size": 4, "max_length": 2048, "scheduler": "constant",
    "seed": 0,
}  # fmt: skip
SCALE: Final = 20.0
SCHEDULES: Final = {"cosine_decay": "cosine", "linear_schedule": "linear"}


def recognises(entries: list[Entry]) -> bool:
    """Return whether a file is one of this tool."""
    keys = {entry.key.partition(".")[0] for entry in entries}
    return "model" in keys and len(keys & OWN) > 1


def method(entries: list[Entry]) -> tuple[str, Entry | None]:
    """Return the training method."""
    entry = next((entry for entry in entries if entry.key in ("training_mode", "train_mode")), None)
    if entry is None or entry.value in ("normal", "sft"):
        return "sft", None
    return str(entry.value), entry


def convert(conversion: Conversion, entries: list[Entry]) -> None:
    """Carry a configuration over. There are no more than LoRA's two numbers: alpha is the scale times the
    rank."""
    flat = flattened(entries)
    by_key = {entry.key: entry for entry in flat}
    if "train" in by_key and by_key["train"].value is False:
        refuse(by_key["train"], "the file does not train")
    kind = by_key.get("fine_tune_type")
    full = kind is not None and kind.value == "full"
    if full and kind is not None:
        conversion.set("full_fine_tuning", kind, True)
        flat = [entry for entry in flat if not entry.key.startswith("lora_parameters.")]
    elif kind is not None and kind.value == "dora":
        conversion.set("lora.use_dora", kind, True)
    conversion.apply(flat, RULES)
    if not full:
        conversion.default({"lora.r": 8})
        rank = conversion.count("lora.r")
        entry = by_key.get("lora_parameters.scale") or by_key.get("lora_parameters.rank") or flat[0]
        scale = entry.value if entry.key.endswith("scale") and isinstance(entry.value, int | float) else SCALE
        conversion.set("lora.alpha", entry, float(scale) * rank)
    masks = by_key.get("mask_prompt")
    conversion.set("train_on_responses_only", masks or flat[0], masks is not None and masks.value is True)
    layers = by_key.get("num_layers") or by_key.get("lora_layers")
    if layers is None or layers.value != -1:
        count = 16 if layers is None else layers.value
        conversion.note(
            layers or flat[0], f"only the last {count} layers are adapted there, all of them here"
        )
    conversion.default(DEFAULTS)


def _data(conversion: Conversion, entry: Entry) -> None:
    name = str(entry.value)
    if name.startswith((".", "/", "~")) or "/" not in name:
        folder = name.rstrip("/")
        folder = folder if folder.startswith((".", "/", "~")) else f"./{folder}"
        conversion.datasets.append(conversion.data(entry, f"{folder}/train.jsonl"))
        conversion.held_out = conversion.data(entry, f"{folder}/valid.jsonl")
    else:
        conversion.datasets.append(conversion.data(entry, name))


def _optimizer(conversion: Conversion, entry: Entry) -> None:
    name = str(entry.value)
    conversion.set("optimizer", entry, "adamw" if name == "adam" else name)
    if name == "adam":
        conversion.set("weight_decay", entry, 0.0)


def _modules(conversion: Conversion, entry: Entry) -> None:
    names = entry.value if isinstance(entry.value, list) else [entry.value]
    conversion.set(
        "lora.target_modules", entry, list(dict.fromkeys(str(name).rpartition(".")[2] for name in names))
    )


def _schedule(conversion: Conversion, entry: Entry) -> None:
    if str(entry.value) in SCHEDULES:
        scheduler(conversion, entry.__class__(entry.key, SCHEDULES[str(entry.value)], entry.line))
    else:
        conversion.note(entry, f"{entry.value} has no equivalent here: the automatic one is used")


RULES: Final[dict[str, KeyRule]] = {
    **dict.fromkeys(
        ("adapter_path", "val_batches", "test", "test_batches", "config", "project_name",
        "clear_cache_threshold",
         "lr_schedule.warmup_init", "wandb"),
    ),
    **dict.fromkeys(("train", "fine_tune_type", "mask_prompt", "num_layers", "lora_layers",
    "training_mode", "train_mode",
                     "lora_parameters.scale", "lora_parameters.alpha"), used),
    "model": model,
    "data": _data,
    "hf_dataset.*": refused("map its rows by hand: dataset = { huggingface = …, columns = … }"),
    "iters": "steps",
    "optimizer": _optimizer,
    "steps_per_report": "log_every",
    "steps_per_eval": "eval_every",
    "grad_checkpoint": "gradient_checkpointing",
    "grad_accumulation_steps": "gradient_accumulation_steps",
    "resume_adapter_file": unsupported("to start from an adapter trained here: arkor-dev start --from JOB"),
    "lora_parameters.rank": "lora.r",
    "lora_parameters.dropout": "lora.dropout",
    "lora_parameters.keys": _modules,
    "lr_schedule.name": _schedule,
    "lr_schedule.warmup": "warmup_steps",
    "lr_schedule.arguments": unsupported("the schedule ends at 0, after all steps"),
    "trust_remote_code": unsupported("code from a model's repository is never run"),
}  # fmt: skip
