"""TRL, transformers, PEFT and Unsloth: their arguments in JSON, in YAML, in a script or in a notebook.

Most of their keys have the same name here. In a script the calls are read that hold such arguments.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from .conversion import COMMON, OWN_TEMPLATE, Conversion, flag, noted, rewards
from .entries import Computed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .entries import Entry

NAME: Final = "TRL"
UNSLOTH: Final = "Unsloth"
"""Unsloth's scripts call TRL, too."""
ARGUMENTS: Final = re.compile(r"(\w*TrainingArguments|[A-Z]{2,5}Config)")
"""Calls with training arguments: SFTConfig, TrainingArguments, UnslothTrainingArguments …"""
METHOD: Final = re.compile(r"(SFT|DPO|KTO|ORPO|CPO|GRPO|RLOO|PPO|Reward)(?:Config|Trainer)")
"""Classes whose names identify the training method."""


def _model(conversion: Conversion, entry: Entry) -> None:
    name = str(entry.value)
    lower = name.lower()
    conversion.model = name
    # Unsloth publishes its own 4-bit copies; here the original is loaded and quantized.
    for ending in ("-unsloth-bnb-4bit", "-bnb-4bit"):
        if lower.endswith(ending):
            conversion.model = name[: -len(ending)]
            conversion.set("load_in_4bit", entry, True)
            conversion.note(entry, f"the 16-bit weights are loaded in 4-bit: {conversion.model}")


def _checkpointing(conversion: Conversion, entry: Entry) -> None:
    conversion.set("gradient_checkpointing", entry, entry.value in (True, "unsloth"))


def _seed(conversion: Conversion, entry: Entry) -> None:
    if entry.group == "get_peft_model":
        conversion.unneeded.append(
            entry.key
        )  # it only initialises the adapter; the run's seed does that here
    else:
        conversion.set("seed", entry)


def _data(conversion: Conversion, entry: Entry) -> None:
    conversion.datasets.append(conversion.data(entry, str(entry.value)))


def _text_field(conversion: Conversion, entry: Entry) -> None:
    if entry.value != "text":
        conversion.note(entry, f"map the column by hand: columns = {{ text = {str(entry.value)!r} }}")


def _initial(conversion: Conversion, entry: Entry) -> None:
    if entry.value is not True:
        conversion.set("lora.init_lora_weights", entry)


WITHOUT_EFFECT: Final = (
    "task_type", "lora_task_type", "inference_mode", "loftq_config", "use_peft",
)  # fmt: skip
"""Keys of PEFT that have no effect on training here."""
PEFT: Final[dict[str, Any]] = {
    **dict.fromkeys(WITHOUT_EFFECT),
    "r": "lora.r",
    "lora_r": "lora.r",
    "lora_alpha": "lora.alpha",
    "lora_dropout": "lora.dropout",
    "target_modules": COMMON["target_modules"],
    "lora_target_modules": COMMON["target_modules"],
    "modules_to_save": "lora.modules_to_save",
    "lora_modules_to_save": "lora.modules_to_save",
    "use_rslora": "lora.use_rslora",
    "use_dora": "lora.use_dora",
    "init_lora_weights": _initial,
    "layers_to_transform": "lora.layers_to_transform",
    "use_gradient_checkpointing": _checkpointing,
    "random_state": _seed,
}
MODEL: Final[dict[str, Any]] = {
    "model_name": _model,
    "model_name_or_path": _model,
    "pretrained_model_name_or_path": _model,
    "load_in_4bit": flag("load_in_4bit"),
    "load_in_8bit": COMMON["load_in_8bit"],
    "max_seq_length": "max_length",
    "full_finetuning": flag("full_fine_tuning"),
    "trust_remote_code": COMMON["trust_remote_code"],
}
TRAINER: Final[dict[str, Any]] = {
    "beta": "beta",  # as older versions of TRL expect it
    "packing": "packing",
    "max_seq_length": "max_length",
    "dataset_text_field": _text_field,
}
OF_TRL: Final = (
    "padding_free", "use_liger_kernel", "dataset_config", "dataset_train_split", "dataset_test_split",
    "dataset_kwargs", "eos_token", "torch_compile",
)  # fmt: skip
"""Keys of TRL that have no effect on training here."""
RULES: Final[dict[str, Any]] = {
    **COMMON,
    **PEFT,
    **MODEL,
    **dict.fromkeys(OF_TRL),
    "dataset_name": _data,
    "dataset_text_field": _text_field,
    "chat_template_path": noted(OWN_TEMPLATE),
}


def convert(conversion: Conversion, entries: list[Entry]) -> None:
    """Carry over arguments from JSON, YAML or the command line of ``trl``."""
    conversion.apply(entries, RULES)
    if not any(entry.key == "use_peft" and entry.value for entry in entries) and not any(
        entry.key in PEFT and entry.value for entry in entries
    ):
        entry = entries[0]
        conversion.note(entry, "no LoRA settings: an adapter is trained; full_fine_tuning = true trains all")


def convert_script(conversion: Conversion, entries: list[Entry]) -> None:
    """Carry over a script's calls that load, adapt and train a model."""
    for entry in entries:
        _script_entry(conversion, entry)
    if not any(entry.group in ("LoraConfig", "get_peft_model") for entry in entries) and entries:
        conversion.set("full_fine_tuning", entries[0], True)


def _script_entry(conversion: Conversion, entry: Entry) -> None:
    positional = entry.key.isdecimal()
    rules: Mapping[str, Any] | None = None
    if entry.group == "from_pretrained":
        key = "model_name_or_path" if entry.key == "0" else entry.key
        if key in MODEL and (conversion.model is None or key != "model_name_or_path"):
            entry = replace(entry, key=key)
            rules = MODEL
    elif entry.group == "load_dataset":
        _load_dataset(conversion, entry)
    elif entry.group in ("LoraConfig", "get_peft_model") and not positional:
        rules = {**PEFT, "bias": None, "model": None, "max_seq_length": "max_length"}
    elif entry.group == "BitsAndBytesConfig" and entry.key in ("load_in_4bit", "load_in_8bit"):
        rules = MODEL
    elif ARGUMENTS.fullmatch(entry.group) and not positional:
        rules = RULES
    elif entry.group.endswith("Trainer") and entry.key == "reward_funcs":
        rewards(conversion, entry)  # also where the script computes it
    elif entry.group.endswith("Trainer") and entry.key in TRAINER:
        rules = TRAINER
    elif entry.group.endswith("Trainer") and entry.key == "model" and isinstance(entry.value, str):
        rules = {"model": _model}
    elif entry.group == "train_on_responses_only" and entry.key == "instruction_part":
        conversion.unneeded.append("train_on_responses_only")  # the default here
    if rules is not None:
        conversion.apply([entry], rules)


def _load_dataset(conversion: Conversion, entry: Entry) -> None:
    """Carry over the first data set that a script loads; its later ones may be for something else."""
    if isinstance(entry.value, Computed):
        if entry.key in ("0", "path", "data_files"):
            conversion.note(entry, f"the data set is computed by the script: {entry.value.source}")
        return
    line = conversion.lines.get("load_dataset")
    if entry.key in ("0", "path") and line is None:
        conversion.lines["load_dataset"] = entry.line
        if entry.value in ("json", "csv", "parquet", "text"):
            return
        _data(conversion, entry)
    elif line != entry.line:
        return
    elif entry.key == "data_files":
        files = entry.value.get("train") if isinstance(entry.value, dict) else entry.value
        for name in files if isinstance(files, list) else [files]:
            _data(conversion, replace(entry, value=name))
    elif entry.key == "split" and conversion.datasets and entry.value != "train":
        if re.fullmatch(r"\w+", str(entry.value)):
            conversion.datasets[-1]["split"] = entry.value
        else:
            conversion.note(entry, f"all rows of the split are used, not {entry.value}")
    elif entry.key in ("name", "1") and conversion.datasets:
        conversion.datasets[-1]["subset"] = str(entry.value)


def method(entries: list[Entry]) -> tuple[str, Entry | None]:
    """Return the training method by the name of a script's trainer or arguments, and that call's first entry.

    Arguments in JSON or YAML do not name a method: they count as those of supervised training.
    """
    for entry in entries:
        if match := METHOD.fullmatch(entry.group):
            name = match[1].lower()
            return name, entry if name != "sft" else None
    return "sft", None
