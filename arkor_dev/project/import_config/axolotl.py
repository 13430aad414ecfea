"""Axolotl: a YAML file with ``base_model``."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from .conversion import (
    AXOLOTL,
    COMMON,
    OWN_TEMPLATE,
    TEXT_ONLY,
    flag,
    held_out,
    model,
    negated,
    noted,
    refuse,
    refused,
    unsupported,
    used,
)
from .entries import entries_of
from .yaml_subset import Section

if TYPE_CHECKING:
    from collections.abc import Callable

    from arkor_dev.contract.settings.setting import Value

    from .conversion import Conversion, DatasetTable, KeyRule, RowsOf
    from .entries import Entry

NAME: Final = AXOLOTL
FORMS: Final = {"alpaca": "alpaca", "sharegpt": "sharegpt", "completion": "text"}
"""Our form of rows by the first part of ``type``."""
PAIR_COLUMNS: Final = {
    "intel": {"prompt": "question"},
    "prompt_pairs": {},
    "argilla": {"prompt": "instruction", "chosen": "chosen_response", "rejected": "rejected_response"},
    "icr": {"prompt": "input"},
    "ultra": {},
}
"""Columns of preferences by the second part of ``type``, as in ``chatml.intel``."""
RATING_COLUMNS: Final = {
    "argilla": {"prompt": "instruction", "completion": "completion"},
    "intel": {"prompt": "question"},
}
"""Columns of ratings by the second part of ``type``."""
METHODS: Final = {"ipo": "dpo", "simpo": "cpo"}
"""Our method for a value of ``rl`` that is one of that method's losses here."""
PART: Final = (
    "path", "name", "type", "split", "data_files", "ds_type", "field", "field_messages", "field_prompt",
    "field_chosen", "field_rejected", "field_completion", "field_label", "message_property_mappings",
    "message_field_role", "message_field_content", "chat_template", "roles_to_train", "train_on_eos",
    "trust_remote_code",
)  # fmt: skip
"""Keys of a data set that are read, or have no effect here: of a chat only the answers are learned."""
DEFAULTS: Final[dict[str, Value]] = {
    "epochs": 1, "batch_size": 1, "scheduler": "cosine", "max_length": 512, "warmup_ratio": 0.03,
}  # fmt: skip
"""Values of keys that are left out, where ours are different."""


def _adapter(conversion: Conversion, entry: Entry) -> None:
    if entry.value == "qlora":
        conversion.set("load_in_4bit", entry, True)
    elif entry.value != "lora":
        conversion.note(entry, "only LoRA adapters are supported: it becomes one")


def _datasets(conversion: Conversion, entry: Entry) -> None:
    for part in entry.value if isinstance(entry.value, list) else [entry.value]:
        source = _source(conversion, entry, part)
        if source is not None:
            conversion.datasets.append(source)


def _test_datasets(conversion: Conversion, entry: Entry) -> None:
    parts = entry.value if isinstance(entry.value, list) else [entry.value]
    conversion.held_out = _source(conversion, entry, parts[0]) if parts else None
    if len(parts) > 1:
        conversion.note(entry, "only the first set of evaluation rows is used")


def _source(conversion: Conversion, entry: Entry, part: object) -> DatasetTable | None:
    """Return one of the data sets, with the form and the columns of its rows."""
    if not isinstance(part, dict) or not isinstance(part.get("path"), str):
        conversion.note(entry, "a data set without a path")
        return None
    more: RowsOf = {}
    name, files = part["path"], part.get("data_files")
    if part.get("ds_type") in ("json", "csv", "parquet") and isinstance(files, list | str):
        paths = [files] if isinstance(files, str) else files
        name = str(paths[0])
        if len(paths) > 1:
            conversion.note(entry, f"only {name} of {len(paths)} data_files: list the others by hand")
    if (split := part.get("split")) not in (None, "train"):
        plain = re.match(r"\w+", str(split))
        if plain is None or plain[0] != str(split):
            conversion.note(_at(entry, part, "split"), f"{name}: all rows of the split are used, not {split}")
        if plain is not None and plain[0] != "train":
            more["split"] = plain[0]
    if part.get("name"):
        more["subset"] = str(part["name"])
    kind = part.get("type")
    method = conversion.settings.get("method", "sft")
    if method not in ("sft", "distill"):
        more.update(_preferences(conversion, entry, part, kind))
    elif isinstance(kind, dict):
        more.update(_columns(kind))
        if kind.get("format") or kind.get("no_input_format") or kind.get("system_prompt"):
            conversion.note(entry, f"{name}: the prompt format of its type is not carried over")
    elif isinstance(kind, str):
        first, _, style = kind.removeprefix("axolotl.integrations.kd.").partition(".")
        if first == "chat_template":
            more.update(_chat(part))
        elif first in FORMS:
            more["form"] = FORMS[first]
            if first == "completion" and part.get("field") not in (None, "text"):
                more["columns"] = {"text": str(part["field"])}
        else:
            style = ""
            conversion.note(entry, f"{name}: rows of type {kind} are recognised by their keys, if at all")
        if style and style != "load_conversations":
            conversion.note(entry, f"{name}: the style {style} is not carried over")
    for key, value in part.items():
        if key not in PART and value not in (None, False, "", [], {}):
            conversion.note(_at(entry, part, key), f"{name}: has no equivalent here")
    return conversion.data(entry, name, **more)


def _at(entry: Entry, part: dict[str, object], key: str) -> Entry:
    """Return an entry for a key of one data set, with its own line."""
    line = part.lines.get(key, entry.line) if isinstance(part, Section) else entry.line
    return replace(entry, key=f"{entry.key}.{key}", line=line)


def _chat(part: dict[str, object]) -> RowsOf:
    """Return the form of conversations: those with ``from`` and ``value`` are ShareGPT's."""
    names = part.get("message_property_mappings")
    role = names.get("role") if isinstance(names, dict) else None
    sharegpt = (role or part.get("message_field_role")) == "from"
    target = "conversations" if sharegpt else "messages"
    source = str(part.get("field_messages") or "messages")
    more: RowsOf = {"form": "sharegpt"} if sharegpt else {}
    if source != target:
        more["columns"] = {target: source}
    return more


def _columns(kind: dict[str, object]) -> RowsOf:
    names = {
        "instruction": kind.get("field_instruction"),
        "input": kind.get("field_input"),
        "output": kind.get("field_output"),
        "system": kind.get("field_system"),
    }
    columns = {target: str(source) for target, source in names.items() if source}
    return {"form": "alpaca", "columns": columns} if columns else {}


def _preferences(conversion: Conversion, entry: Entry, part: dict[str, object], kind: object) -> RowsOf:
    """Return the columns of rows with two answers, or with one and its rating."""
    fields = {**part, **kind} if isinstance(kind, dict) else part
    columns = {
        target: str(fields[source])
        for target, source in (
            ("prompt", "field_messages"), ("prompt", "field_prompt"), ("chosen", "field_chosen"),
            ("rejected", "field_rejected"), ("completion", "field_completion"), ("label", "field_label"),
        )
        if fields.get(source)
    }  # fmt: skip
    if isinstance(kind, str):
        style = kind.partition(".")[2].partition(".")[0]
        allowed = RATING_COLUMNS if conversion.settings["method"] == "kto" else PAIR_COLUMNS
        if style in allowed:
            columns = allowed[style] | columns
        elif not columns:
            conversion.note(
                entry, f"{part['path']}: rows of type {kind} are recognised by their keys, if at all"
            )
    columns = {target: source for target, source in columns.items() if target != source}
    return {"columns": columns} if columns else {}


def _pretraining(conversion: Conversion, entry: Entry) -> None:
    """Carry over rows of plain text, which are read as a stream there."""
    for part in entry.value if isinstance(entry.value, list) else [entry.value]:
        section = part if isinstance(part, dict) else {"path": part}
        column = section.get("text_column")
        plain = {key: value for key, value in section.items() if key not in ("type", "text_column")}
        source = _source(conversion, entry, {**plain, "type": "completion", "field": column or "text"})
        if source is not None:
            conversion.datasets.append(source)


def _rl(conversion: Conversion, entry: Entry) -> None:
    if str(entry.value) in METHODS:
        conversion.set("loss_type", entry)


def _trl(conversion: Conversion, entry: Entry) -> None:
    conversion.apply(entries_of(entry.value, entry.line) if isinstance(entry.value, Section) else [], COMMON)


def _template(conversion: Conversion, entry: Entry) -> None:
    if entry.value != "tokenizer_default":
        conversion.note(entry, OWN_TEMPLATE)


def _wandb(conversion: Conversion, entry: Entry) -> None:
    if entry.key == "wandb_project":
        conversion.set("report_to", entry, ["wandb"])
    if entry.key in ("wandb_project", "wandb_entity"):
        conversion.note(entry, f"set the environment variable {entry.key.upper()}={entry.value} instead")


def _model_type(conversion: Conversion, entry: Entry) -> None:
    if "ForCausalLM" not in str(entry.value) and str(entry.value) != "AutoModelForCausalLM":
        conversion.note(entry, f"{entry.value} is not used: the model's own class for text is")


def _batch(conversion: Conversion, entry: Entry) -> None:
    conversion.note(entry, "is the sum over devices and accumulation there: micro_batch_size decides")


def _compared(conversion: Conversion, entry: Entry) -> None:
    conversion.set("distillation_topk", entry)
    conversion.note(entry, "the teacher's likeliest tokens are compared there, here the model's own")


def _is(value: object, why: str) -> Callable[[Conversion, Entry], None]:
    """Return a rule that refuses the file unless the entry equals ``value``."""

    def convert(conversion: Conversion, entry: Entry) -> None:
        if entry.value != value:
            refuse(entry, why)
        conversion.unneeded.append(entry.key)

    return convert


DISTILLATION: Final[dict[str, KeyRule]] = {
    "kd_trainer": used,
    "kd_online_server_model": "teacher",
    "kd_online_server_base_url": noted(
        "the teacher is loaded here: a server gives no probabilities to learn"
    ),
    **dict.fromkeys(("kd_online_server", "kd_online_timeout", "kd_online_max_new_tokens")),
    "kd_online_topk": _compared,
    "kd_beta": "beta",
    "kd_alpha": noted("the divergence is the whole loss here, so it would only scale the learning rate"),
    "kd_ce_alpha": _is(0, "the cross entropy of the rows is not added here: set it to 0"),
    "kd_temperature": _is(1, "the divergence has no temperature here: set it to 1"),
    "kd_normalize_topk": _is(True, "the compared probabilities are always normalized here: set it to true"),
    **dict.fromkeys(
        ("kd_temperature_min", "kd_zscore_base_temp", "kd_top_k_before_softmax"),
        refused("is not supported here"),
    ),
}
"""Keys of Axolotl's plugin for distillation."""
NO_TEACHER: Final = (
    "learns from a teacher's probabilities that are stored in the rows, which are not read here: name the "
    "teacher as kd_online_server_model"
)

PER_EPOCH: Final = noted("intervals count steps here: the automatic one is used")
WITHOUT_EFFECT: Final = (
    "wandb_watch", "wandb_name", "wandb_run_id", "wandb_log_model", "tokenizer_type",
    "tokenizer_config", "base_model_config", "special_tokens", "strict", "dataset_prepared_path",
    "dataset_processes", "eval_sample_packing", "pad_to_sequence_len", "flash_attention", "sdp_attention",
    "xformers_attention", "s2_attention", "lora_mlp_kernel", "lora_qkv_kernel", "lora_o_kernel",
    "lora_fan_in_fan_out", "plugins", "liger_rope", "liger_rms_norm", "liger_glu_activation",
    "liger_fused_linear_cross_entropy", "loss_watchdog_threshold", "loss_watchdog_patience",
    "eval_table_size", "eval_max_new_tokens", "save_first_step", "debug", "float16", "bfloat16",
)  # fmt: skip
"""Keys that have no effect on training here."""
RULES: Final[dict[str, KeyRule]] = {
    **dict.fromkeys(WITHOUT_EFFECT),
    **DISTILLATION,
    **COMMON,
    "base_model": model,
    "model_type": _model_type,
    "adapter": _adapter,
    "pretraining_dataset": _pretraining,
    "batch_size": _batch,
    **dict.fromkeys(("reward_model", "process_reward_model"), refused("reward models are not trained here")),
    "num_labels": refused("a classifier is not trained here"),
    "processor_type": refused(TEXT_ONLY),
    "diffusion": refused("diffusion models are not trained here"),
    "qat": refused("quantization-aware training is not supported here"),
    "ebft": refused("is not supported here"),
    "datasets": _datasets,
    "test_datasets": _test_datasets,
    "val_set_size": held_out,
    "sequence_len": "max_length",
    "sample_packing": "packing",
    "rl": _rl,
    "rl_beta": "beta",
    "orpo_alpha": "beta",
    "kto_desirable_weight": "desirable_weight",
    "kto_undesirable_weight": "undesirable_weight",
    "trl": _trl,
    "micro_batch_size": "batch_size",
    "num_epochs": "epochs",
    "cosine_min_lr_ratio": unsupported("the cosine schedule ends at 0 here"),
    "lora_r": "lora.r",
    "lora_alpha": "lora.alpha",
    "lora_dropout": "lora.dropout",
    "lora_target_linear": flag("lora.target_modules", value="all-linear"),
    "lora_modules_to_save": "lora.modules_to_save",
    "peft_layers_to_transform": "lora.layers_to_transform",
    "peft_use_dora": "lora.use_dora",
    "peft_use_rslora": "lora.use_rslora",
    "peft_init_lora_weights": "lora.init_lora_weights",
    "train_on_inputs": negated("train_on_responses_only"),
    "chat_template": _template,
    **dict.fromkeys(("evals_per_epoch", "saves_per_epoch"), PER_EPOCH),
    "wandb_project": _wandb,
    "wandb_entity": _wandb,
    "use_wandb": flag("report_to", value=["wandb"]),
    "use_mlflow": flag("report_to", value=["mlflow"]),
    "use_tensorboard": flag("report_to", value=["tensorboard"]),
    "deepspeed": unsupported("DeepSpeed is not used here"),
    "fsdp": unsupported("FSDP is not used here"),
    "fsdp_config": unsupported("FSDP is not used here"),
    "lora_model_dir": unsupported("to start from an adapter trained here: arkor-dev start --from JOB"),
    "tokens": unsupported("new tokens are not supported"),
}


def convert(conversion: Conversion, entries: list[Entry]) -> None:
    """Carry a file over; without an adapter Axolotl trains all weights."""
    by_key = {entry.key: entry for entry in entries}
    if by_key.get("adapter") is None or not by_key["adapter"].value:
        conversion.set("full_fine_tuning", by_key["base_model"], True)
    conversion.apply(entries, RULES)
    conversion.default(DEFAULTS)
    if (trainer := by_key.get("kd_trainer")) is not None and trainer.value:
        if "teacher" not in conversion.settings:
            refuse(trainer, NO_TEACHER)
        conversion.default({"beta": 0.0, "lmbda": 0.0})


def recognises(entries: list[Entry]) -> bool:
    """Return whether a file is one of this tool."""
    return any(entry.key == "base_model" for entry in entries)


def method(entries: list[Entry]) -> tuple[str, Entry | None]:
    """Return the training method, and the entry that sets it: ``rl`` or ``kd_trainer``, if present."""
    found = (entry for entry in entries if entry.key in ("rl", "kd_trainer") and entry.value)
    entry_found = next(found, None)
    name = str(entry_found.value) if entry_found else "sft"
    if entry_found and entry_found.key == "kd_trainer":
        name = "distill"
    return METHODS.get(name, name), entry_found
