"""AutoTrain: a YAML file with ``task``, ``base_model`` and ``params``; the tool itself has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .conversion import COMMON, OWN_TEMPLATE, flag, model, noted, refuse, reporters, used
from .entries import flattened

if TYPE_CHECKING:
    from arkor_dev.contract.settings.setting import Value

    from .conversion import Conversion, KeyRule, RowsOf
    from .entries import Entry

NAME: Final = "AutoTrain"
TASK: Final = "task"
TRAINERS: Final = {"default": "sft", "generic": "sft", "sft": "sft"}
DEFAULTS: Final[dict[str, Value]] = {
    "learning_rate": 3e-5, "epochs": 1, "batch_size": 2, "gradient_accumulation_steps": 4,
    "warmup_ratio": 0.1,
}  # fmt: skip
LORA: Final[dict[str, Value]] = {"lora.r": 16, "lora.alpha": 32, "lora.dropout": 0.05}
PARTS: Final = ("text_column", "prompt_text_column", "rejected_text_column")


def recognises(entries: list[Entry]) -> bool:
    """Return whether a file is one of this tool."""
    return {TASK, "base_model", "project_name"} <= {entry.key for entry in entries}


def method(entries: list[Entry]) -> tuple[str, Entry | None]:
    """Return the training method, and the entry that sets it: ``llm-dpo``, or ``llm`` with a trainer."""
    by_key = {entry.key: entry for entry in flattened(entries)}
    task, _, trainer = str(by_key[TASK].value).partition("-")
    entry = by_key[TASK] if trainer else by_key.get("params.trainer", by_key[TASK])
    if task != "llm":
        return str(by_key[TASK].value), by_key[TASK]
    name = trainer or (str(entry.value) if entry.key != TASK else "default")
    name = TRAINERS.get(name, name)
    return name, None if name == "sft" else entry


def convert(conversion: Conversion, entries: list[Entry]) -> None:
    """Carry a project over."""
    flat = flattened(entries)
    by_key = {entry.key: entry for entry in flat}
    _data(conversion, by_key)
    peft = by_key.get("params.peft")
    if peft is None or not peft.value:
        conversion.set("full_fine_tuning", peft or by_key["base_model"], True)
        flat = [entry for entry in flat if not entry.key.startswith(("params.lora", "params.target_modules"))]
    else:
        conversion.default(LORA)
        if "params.quantization" not in by_key:
            conversion.set("load_in_4bit", peft, True)  # so it is by default there
    conversion.apply(flat, RULES)
    if conversion.settings.get("method", "sft") == "sft":  # all of a text is learned there
        conversion.set("train_on_responses_only", by_key["base_model"], False)
    conversion.default(DEFAULTS)


def _data(conversion: Conversion, by_key: dict[str, Entry]) -> None:
    path = by_key.get("data.path")
    if path is None:
        return
    columns: dict[str, str] = {}
    learns = conversion.settings.get("method", "sft")
    targets = {"text_column": "chosen", "prompt_text_column": "prompt", "rejected_text_column": "rejected"}
    for key in PARTS:
        entry = by_key.get(f"data.column_mapping.{key}")
        if entry is None or entry.value is None:
            continue
        target = targets[key] if learns != "sft" else _form(str(entry.value))
        if learns == "grpo":
            target = "prompt"
        if str(entry.value) != target:
            columns[target] = str(entry.value)
    more: RowsOf = {"columns": columns} if columns else {}
    split = by_key.get("data.train_split")
    if split is not None and split.value not in (None, "train"):
        more["split"] = str(split.value)
    conversion.datasets.append(conversion.data(path, str(path.value), **more))
    held_out = by_key.get("data.valid_split")
    if held_out is not None and held_out.value is not None:
        more["split"] = str(held_out.value)
        conversion.held_out = conversion.data(path, str(path.value), **more)


def _form(column: str) -> str:
    """Return our name of the column of supervised rows: a chat's, or that of text."""
    return column if column in ("messages", "conversations") else "text"


def _quantization(conversion: Conversion, entry: Entry) -> None:
    if entry.value == "int4":
        conversion.set("load_in_4bit", entry, True)
    elif entry.value != "none":
        conversion.note(entry, "only 4-bit base models are supported: load_in_4bit = true")


def _precision(conversion: Conversion, entry: Entry) -> None:
    if entry.value in ("bf16", "fp16"):
        conversion.set(str(entry.value), entry, True)


def _length(conversion: Conversion, entry: Entry) -> None:
    value = entry.value[0] if isinstance(entry.value, list) and entry.value else entry.value
    if isinstance(value, int) and value > 0:
        conversion.set("max_length", entry, value)


def _log(conversion: Conversion, entry: Entry) -> None:
    reporters(conversion, entry)


def _columns(conversion: Conversion, entry: Entry) -> None:
    if entry.key.rpartition(".")[2] not in PARTS:
        conversion.note(entry, "has no equivalent here")


def _steps(conversion: Conversion, entry: Entry) -> None:
    if isinstance(entry.value, int) and entry.value > 0:
        conversion.set("log_every", entry)


def _generations(conversion: Conversion, entry: Entry) -> None:
    if conversion.settings.get("method") == "grpo":
        conversion.set("num_generations", entry)
    else:
        refuse(entry, "is for rewards only")


RULES: Final[dict[str, KeyRule]] = {
    TASK: used,
    "base_model": model,
    "log": _log,
    **dict.fromkeys(("project_name", "backend", "hub.*", "params.padding", "params.merge_adapter",
    "params.unsloth",
                     "params.use_flash_attention_2", "params.disable_gradient_checkpointing", "params.seed")),
    "data.*": _columns,
    **dict.fromkeys(("data.path", "data.train_split", "data.valid_split"), used),
    "data.chat_template": noted(OWN_TEMPLATE),
    "data.column_mapping.answer_column": noted("reward functions read it: name it in the evaluation"),
    "params.*": noted("has no equivalent here"),
    "params.trainer": used,
    "params.peft": used,
    "params.seed": "seed",
    "params.block_size": _length,
    "params.model_max_length": None,
    "params.max_prompt_length": COMMON["max_prompt_length"],
    "params.max_completion_length": "max_completion_length",
    "params.num_completions": _generations,
    "params.epochs": "epochs",
    "params.batch_size": "batch_size",
    "params.lr": "learning_rate",
    "params.gradient_accumulation": "gradient_accumulation_steps",
    "params.quantization": _quantization,
    "params.target_modules": COMMON["target_modules"],
    "params.lora_r": "lora.r",
    "params.lora_alpha": "lora.alpha",
    "params.lora_dropout": "lora.dropout",
    "params.optimizer": COMMON["optimizer"],
    "params.scheduler": COMMON["lr_scheduler"],
    "params.mixed_precision": _precision,
    "params.warmup_ratio": "warmup_ratio",
    "params.weight_decay": "weight_decay",
    "params.max_grad_norm": "max_grad_norm",
    "params.logging_steps": _steps,
    "params.save_total_limit": "save_total_limit",
    "params.dpo_beta": "beta",
    "params.packing": flag("packing"),
    "params.eval_strategy": COMMON["eval_strategy"],
}  # fmt: skip
