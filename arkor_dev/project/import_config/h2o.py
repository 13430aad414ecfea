"""H2O LLM Studio: the ``cfg.yaml`` of an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .conversion import flag, model, noted, refuse, unsupported, used
from .entries import flattened

if TYPE_CHECKING:
    from .conversion import Conversion, KeyRule, RowsOf
    from .entries import Entry

NAME: Final = "H2O LLM Studio"
PROBLEMS: Final = {
    "text_causal_language_modeling": "sft",
    "text_dpo_modeling": "dpo",
}
LOSSES: Final = {"DPOLoss": "sigmoid", "HingeLoss": "hinge", "IPOLoss": "ipo"}
UNSET: Final = ("None", "", None)


def recognises(entries: list[Entry]) -> bool:
    """Return whether a file is one of this tool."""
    return {"problem_type", "llm_backbone"} <= {entry.key for entry in entries}


def method(entries: list[Entry]) -> tuple[str, Entry | None]:
    """Return the training method, and the entry that sets it."""
    entry = next(entry for entry in entries if entry.key == "problem_type")
    name = PROBLEMS.get(str(entry.value), str(entry.value))
    return name, None if name == "sft" else entry


def convert(conversion: Conversion, entries: list[Entry]) -> None:
    """Carry an experiment over."""
    flat = [entry for entry in flattened(entries) if entry.value not in UNSET]
    by_key = {entry.key: entry for entry in flat}
    _data(conversion, by_key)
    conversion.apply(flat, RULES)
    lora = by_key.get("training.lora")
    if lora is not None and lora.value is False:
        for key in [key for key in conversion.settings if key.startswith("lora.")]:
            del conversion.settings[key]
        conversion.set("full_fine_tuning", lora, True)


def _data(conversion: Conversion, by_key: dict[str, Entry]) -> None:
    columns: dict[str, str] = {}
    is_pair = conversion.settings.get("method") == "dpo"
    names = {
        "prompt_column": "prompt" if is_pair else "instruction",
        "answer_column": "chosen" if is_pair else "output",
        "rejected_answer_column": "rejected",
        "system_column": "system",
    }
    for key, target in names.items():
        entry = by_key.get(f"dataset.{key}")
        if entry is None:
            continue
        values = entry.value if isinstance(entry.value, list) else [entry.value]
        if len(values) > 1:
            conversion.note(entry, f"only the column {values[0]} is used")
        if values and str(values[0]) != target:
            columns[target] = str(values[0])
    more: RowsOf = {} if is_pair else {"form": "alpaca"}
    if columns:
        more["columns"] = columns
    train, held_out = by_key.get("dataset.train_dataframe"), by_key.get("dataset.validation_dataframe")
    if train is None:
        conversion.note(by_key["llm_backbone"], "no train_dataframe: put the rows in data/train.jsonl")
    else:
        conversion.datasets.append(conversion.data(train, str(train.value), **more))
    if held_out is not None:
        conversion.held_out = conversion.data(held_out, str(held_out.value), **more)


def _number_format(conversion: Conversion, entry: Entry) -> None:
    if entry.value == "int4":
        conversion.set("load_in_4bit", entry, True)
    elif entry.value == "bfloat16":
        conversion.set("bf16", entry, True)
    elif entry.value != "float32":
        conversion.note(entry, f"{entry.value} is not supported: the automatic number format is used")


def _modules(conversion: Conversion, entry: Entry) -> None:
    names = [name.strip() for name in str(entry.value).split(",") if name.strip()]
    if names:
        conversion.set("lora.target_modules", entry, names)


def _optimizer(conversion: Conversion, entry: Entry) -> None:
    name = str(entry.value).lower()
    if name == "adamw8bit":
        conversion.note(entry, "its state is kept in float32 here: adamw")
        name = "adamw"
    conversion.set("optimizer", entry, name)


def _schedule(conversion: Conversion, entry: Entry) -> None:
    conversion.set("scheduler", entry, str(entry.value).lower())


def _seed(conversion: Conversion, entry: Entry) -> None:
    if isinstance(entry.value, int) and entry.value >= 0:
        conversion.set("seed", entry)


def _clip(conversion: Conversion, entry: Entry) -> None:
    conversion.set(
        "max_grad_norm", entry, float(entry.value) if isinstance(entry.value, int) else entry.value
    )


def _loss(conversion: Conversion, entry: Entry) -> None:
    if conversion.settings.get("method") == "dpo":
        if str(entry.value) not in LOSSES:
            refuse(entry, f"the loss {entry.value} is not supported here")
        conversion.set("loss_type", entry, LOSSES[str(entry.value)])
    elif entry.value not in ("TokenAveragedCrossEntropy", "SampleAveragedCrossEntropy"):
        refuse(entry, f"the loss {entry.value} is not supported here")
    elif entry.value == "SampleAveragedCrossEntropy":
        conversion.note(entry, "the loss is the mean over tokens here")


def _sample(conversion: Conversion, entry: Entry) -> None:
    if entry.value != 1:
        conversion.note(entry, "all rows are used: cut the file to use fewer")


def _logger(conversion: Conversion, entry: Entry) -> None:
    if entry.value == "W&B":
        conversion.set("report_to", entry, ["wandb"])
    else:
        conversion.note(entry, "is not among the trackers that are supported")


def _augmentation(conversion: Conversion, entry: Entry) -> None:
    if entry.value not in (0, False):
        conversion.note(entry, "has no equivalent here")


def _size(conversion: Conversion, entry: Entry) -> None:
    if conversion.held_out is None:
        conversion.set("eval_split", entry)


RULES: Final[dict[str, KeyRule]] = {
    "llm_backbone": model,
    "problem_type": used,
    **dict.fromkeys(("experiment_name", "output_directory", "prediction.*", "reward_model")),
    "environment.*": None,
    "environment.seed": _seed,
    "environment.trust_remote_code": unsupported("code from a model's repository is never run"),
    "architecture.*": noted("has no equivalent here"),
    "architecture.backbone_dtype": _number_format,
    "architecture.gradient_checkpointing": flag("gradient_checkpointing"),
    "architecture.pretrained": None,
    "architecture.pretrained_weights": unsupported("the weights of the model itself are used"),
    "architecture.force_embedding_gradients": unsupported("has no equivalent here"),
    "architecture.intermediate_dropout": unsupported("has no equivalent here"),
    "augmentation.*": _augmentation,
    "dataset.*": None,
    **dict.fromkeys(
        ("dataset.train_dataframe", "dataset.validation_dataframe", "dataset.prompt_column",
        "dataset.answer_column",
         "dataset.system_column", "dataset.rejected_answer_column"),
        used,
    ),
    "dataset.mask_prompt_labels": flag("train_on_responses_only"),
    "dataset.data_sample": _sample,
    "dataset.data_sample_choice": None,
    "dataset.parent_id_column": noted("rows of one conversation are not joined: bring each as a chat"),
    "dataset.validation_size": _size,
    **dict.fromkeys(
        ("dataset.text_answer_separator", "dataset.text_prompt_start", "dataset.text_system_start"),
        noted("the model's own chat template is used"),
    ),
    "tokenizer.*": None,
    "tokenizer.max_length": "max_length",
    "training.*": noted("has no equivalent here"),
    "training.batch_size": "batch_size",
    "training.epochs": "epochs",
    "training.grad_accumulation": "gradient_accumulation_steps",
    "training.gradient_clip": _clip,
    "training.learning_rate": "learning_rate",
    "training.lora": used,
    "training.lora_r": "lora.r",
    "training.lora_alpha": "lora.alpha",
    "training.lora_dropout": "lora.dropout",
    "training.lora_target_modules": _modules,
    "training.use_dora": flag("lora.use_dora"),
    "training.use_rslora": flag("lora.use_rslora"),
    "training.beta": "beta",
    "training.loss_function": _loss,
    "training.optimizer": _optimizer,
    "training.schedule": _schedule,
    "training.weight_decay": "weight_decay",
    "training.warmup_epochs": unsupported("warm-up is a share of the steps here: warmup_ratio"),
    "training.train_validation_data": unsupported("the rows that judge are not trained on"),
    **dict.fromkeys(
        ("training.drop_last_batch", "training.evaluate_before_training", "training.evaluation_epochs",
         "training.save_checkpoint", "training.save_best_checkpoint", "training.differential_learning_rate",
         "training.differential_learning_rate_layers", "training.attention_implementation",
         "training.use_flash_attention_2",
         "training.freeze_layers", "training.min_learning_rate_ratio"),
    ),
    "logging.*": None,
    "logging.logger": _logger,
}  # fmt: skip
