"""torchtune: the YAML of a recipe, with ``_component_`` for each part; the tool itself has ended."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from .conversion import TEXT_ONLY, flag, noted, refuse, refused, unsupported, used
from .entries import flattened

if TYPE_CHECKING:
    from .conversion import Conversion, DatasetTable, KeyRule, RowsOf
    from .entries import Entry

NAME: Final = "torchtune"
COMPONENT: Final = "_component_"
DOWNLOAD: Final = re.compile(r"^#.*\btune download ([\w.\-]+/[\w.\-]+)", re.MULTILINE)
"""The comment at the head of a recipe's configuration that names its model."""
DATASETS: Final[dict[str, DatasetTable]] = {
    "alpaca_dataset": {"huggingface": "tatsu-lab/alpaca", "form": "alpaca"},
    "alpaca_cleaned_dataset": {"huggingface": "yahma/alpaca-cleaned", "form": "alpaca"},
    "grammar_dataset": {
        "huggingface": "liweili/c4_200m",
        "form": "alpaca",
        "columns": {"instruction": "input"},
    },
    "samsum_dataset": {
        "huggingface": "Samsung/samsum",
        "form": "alpaca",
        "columns": {"instruction": "dialogue", "output": "summary"},
    },
    "slimorca_dataset": {"huggingface": "Open-Orca/SlimOrca-Dedup", "form": "sharegpt"},
}
"""Data sets that have a component of their own."""
OPTIMIZERS: Final = {
    "AdamW": "adamw",
    "PagedAdamW": "adamw",
    "PagedAdamW8bit": "adamw",
    "AdamW8bit": "adamw",
    "SGD": "sgd",
}
MODULES: Final = {"output_proj": "o_proj"}
"""Names of attention's layers that are others in transformers."""
MLP: Final = ("gate_proj", "up_proj", "down_proj")


def recognises(entries: list[Entry]) -> bool:
    """Return whether a file is one of this tool."""
    return any(
        entry.key.endswith(COMPONENT) and str(entry.value).startswith("torchtune.") for entry in entries
    )


def method(entries: list[Entry]) -> tuple[str, Entry | None]:
    """Return the training method by the loss."""
    by_key = {entry.key: entry for entry in flattened(entries)}
    loss = by_key.get(f"loss.{COMPONENT}")
    if "teacher_model" in {entry.key for entry in entries}:
        return "distillation", None
    if any(entry.key.startswith(("reward", "policy_", "ppo")) for entry in entries):
        return "ppo", None
    if loss is not None and str(loss.value).rpartition(".")[2] == "DPOLoss":
        return "dpo", loss
    return "sft", None


def convert(conversion: Conversion, entries: list[Entry]) -> None:
    """Carry a recipe's configuration over."""
    flat = flattened(entries)
    by_key = {entry.key: entry for entry in flat}
    if f"optimizer.{COMPONENT}" not in by_key or "epochs" not in by_key:
        refuse(entries[0], "the recipe does not train: it has no optimizer, or no epochs")
    _model(conversion, by_key)
    _data(conversion, by_key)
    _schedule(conversion, by_key)
    conversion.apply(flat, RULES)
    if by_key.get("clip_grad_norm") is None or by_key["clip_grad_norm"].value is None:
        conversion.set("max_grad_norm", by_key["epochs"], 0.0)  # no clipping there


def _model(conversion: Conversion, by_key: dict[str, Entry]) -> None:
    component = by_key.get(f"model.{COMPONENT}")
    if component is None:
        refuse(by_key["epochs"], "the model is not named")
    name = str(component.value).rpartition(".")[2]
    if "vision" in str(component.value) or "multimodal" in str(component.value):
        refuse(component, TEXT_ONLY)
    named, folder = DOWNLOAD.search(conversion.text), by_key.get("checkpointer.checkpoint_dir")
    if named is not None:
        conversion.model = named[1]
    elif folder is not None:
        conversion.model = str(folder.value).rstrip("/")
        conversion.note(folder, "a folder on that machine: name the model here, such as owner/name")
    if not name.startswith(("lora_", "qlora_", "dora_", "qdora_")):
        conversion.set("full_fine_tuning", component, True)
        return
    if name.startswith("q"):
        conversion.set("load_in_4bit", component, True)
    modules: list[str] = []
    attention = by_key.get("model.lora_attn_modules")
    if attention is not None and isinstance(attention.value, list):
        modules += [MODULES.get(str(module), str(module)) for module in attention.value]
    for key, names in (("model.apply_lora_to_mlp", MLP), ("model.apply_lora_to_output", ("lm_head",))):
        if key in by_key and by_key[key].value is True:
            modules += names
    if modules and attention is not None:
        conversion.set("lora.target_modules", attention, modules)
    conversion.default({"lora.r": 8, "lora.alpha": 16})


def _data(conversion: Conversion, by_key: dict[str, Entry]) -> None:
    component = by_key.get(f"dataset.{COMPONENT}")
    if component is None:
        line = next((entry for key, entry in by_key.items() if key.startswith("dataset")), by_key["epochs"])
        conversion.note(line, "several data sets are put together by hand: list them as dataset = [ … ]")
        return
    name = str(component.value).rpartition(".")[2]
    if "multimodal" in str(component.value):
        refuse(component, TEXT_ONLY)
    source, files = by_key.get("dataset.source"), by_key.get("dataset.data_files")
    if source is None and name in DATASETS:
        conversion.datasets.append({**DATASETS[name]})
    elif source is None and name == "stack_exchange_paired_dataset":
        columns = {"prompt": "question", "chosen": "response_j", "rejected": "response_k"}
        conversion.datasets.append({"huggingface": "lvwerra/stack-exchange-paired", "columns": columns})
    elif source is None:
        conversion.note(component, f"the rows of {name} are not known here: put them in data/train.jsonl")
    elif str(source.value) in ("json", "csv", "text", "parquet") and files is not None:
        names = files.value if isinstance(files.value, list) else [files.value]
        conversion.datasets += [conversion.data(files, str(one)) for one in names]
    else:
        more: RowsOf = {"form": "text"} if name == "text_completion_dataset" else {}
        conversion.datasets.append(conversion.data(source, str(source.value), **more))
    learns_prompt = by_key.get("dataset.train_on_input")
    if name.startswith("alpaca_") and learns_prompt is None:  # so it is by default there
        conversion.set("train_on_responses_only", component, False)
    split = by_key.get("dataset.split")
    if split is not None and conversion.datasets and split.value != "train":
        plain = re.fullmatch(r"\w+", str(split.value))
        if plain and "huggingface" in conversion.datasets[0]:
            conversion.datasets[0]["split"] = str(split.value)
        else:
            conversion.note(split, f"all rows of the split are used, not {split.value}")


def _schedule(conversion: Conversion, by_key: dict[str, Entry]) -> None:
    component = by_key.get(f"lr_scheduler.{COMPONENT}")
    if component is None:
        conversion.set("scheduler", by_key["epochs"], "constant")
    elif str(component.value).endswith("get_cosine_schedule_with_warmup"):
        conversion.set("scheduler", component, "cosine")
    else:
        conversion.note(component, "the schedule has no equivalent here: the automatic one is used")


def _optimizer(conversion: Conversion, entry: Entry) -> None:
    name = str(entry.value).rpartition(".")[2]
    if name not in OPTIMIZERS:
        conversion.note(entry, f"{name} has no equivalent here: adamw is used")
        return
    conversion.set("optimizer", entry, OPTIMIZERS[name])
    if "8bit" in name:
        conversion.note(entry, "its state is kept in float32 here: adamw")


def _dtype(conversion: Conversion, entry: Entry) -> None:
    if entry.value == "bf16":
        conversion.set("bf16", entry, True)
    elif entry.value != "fp32":
        conversion.note(entry, f"{entry.value} is not supported: the automatic number format is used")


def _tracker(conversion: Conversion, entry: Entry) -> None:
    for word, name in (("WandB", "wandb"), ("TensorBoard", "tensorboard")):
        if word in str(entry.value):
            conversion.set("report_to", entry, [name])


def _learns_prompt(conversion: Conversion, entry: Entry) -> None:
    conversion.set("train_on_responses_only", entry, entry.value is not True)


def _one_step(conversion: Conversion, entry: Entry) -> None:
    conversion.note(entry, "an epoch is all rows here: set steps to stop earlier")


def _several(conversion: Conversion, entry: Entry) -> None:
    if entry.value:
        conversion.note(entry, "has no equivalent here")


RULES: Final[dict[str, KeyRule]] = {
    **dict.fromkeys(
        ("output_dir", "tokenizer.*", "checkpointer.*", "resume_from_checkpoint",
        "save_adapter_weights_only", "shuffle",
         "device", "compile", "log_peak_memory_stats", "log_level", "profiler.*", "metric_logger.*",
         "optimizer.fused",
         "ac_mode", "ac_option", "cudnn_deterministic_mode", "fsdp_cpu_offload", "fsdp_reshard_after_forward",
         "custom_sharded_layers", "enable_async_checkpointing", "keep_last_n_checkpoints", "loss.*",
         "quantizer.*",
         "ref_checkpointer.*", "optimizer_in_bwd", "memory_efficient_fsdp_wrap", "tensor_parallel_plan.*",
         "use_clearml", "save_every_n_steps", "base_model_path", "dataset.packed_max_seq_len"),
    ),
    "model.*": _several,
    **dict.fromkeys(
        (f"model.{COMPONENT}", "model.lora_attn_modules", "model.apply_lora_to_mlp",
        "model.apply_lora_to_output",
         f"dataset.{COMPONENT}", "dataset.source", "dataset.data_files",
         "dataset.split", f"lr_scheduler.{COMPONENT}"),
        used,
    ),
    "model.lora_rank": "lora.r",
    "model.lora_alpha": "lora.alpha",
    "model.lora_dropout": "lora.dropout",
    "model.use_dora": flag("lora.use_dora"),
    "model.quantize_base": flag("load_in_4bit"),
    "tokenizer.max_seq_len": "max_length",
    "tokenizer.prompt_template": unsupported("the model's own chat template is used"),
    f"metric_logger.{COMPONENT}": _tracker,
    "dataset.*": _several,
    "dataset.packed": flag("packing"),
    "dataset.train_on_input": _learns_prompt,
    "dataset.column_map": noted("set the columns by hand: columns = { … }"),
    "loss.beta": "beta",
    "loss.label_smoothing": unsupported("has no equivalent here"),
    "quantizer._component_": refused("quantization-aware training is not supported here"),
    "optimizer.*": _several,
    f"optimizer.{COMPONENT}": _optimizer,
    "optimizer.lr": "learning_rate",
    "optimizer.weight_decay": "weight_decay",
    "lr_scheduler.*": _several,
    "lr_scheduler.num_warmup_steps": "warmup_steps",
    "tensor_parallel_dim": None,
    "data_parallel_replicate_dim": None,
    "data_parallel_shard_dim": None,
    "max_steps_per_epoch": _one_step,
    "clip_grad_norm": "max_grad_norm",
    "log_every_n_steps": "log_every",
    "dtype": _dtype,
    "enable_activation_checkpointing": flag("gradient_checkpointing"),
    "enable_activation_offloading": flag("activation_offloading"),
}  # fmt: skip
