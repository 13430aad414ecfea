"""LLaMA-Factory: a YAML or JSON file with ``stage``, and ``dataset_info.json`` beside the data."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.regular_files import read_small

from .conversion import (
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

if TYPE_CHECKING:
    from arkor_dev.contract.settings.setting import Value

    from .conversion import Conversion, DatasetTable, KeyRule, RowsOf
    from .entries import Entry

NAME: Final = "LLaMA-Factory"
OTHER_USES: Final = {
    "infer_backend": "answers with a model",
    "export_dir": "merges or exports a model",
    "do_predict": "writes predictions",
    "task": "evaluates a model",
}
DEFAULTS: Final[dict[str, Value]] = {
    "learning_rate": 5e-5, "batch_size": 8, "max_length": 2048, "warmup_steps": 0,
}  # fmt: skip
"""Values of keys that are left out, where ours are different."""
INFO: Final = "dataset_info.json"
INFO_LIMIT: Final = 4 * 1024 * 1024
COLUMNS: Final = {
    "prompt": "instruction",
    "query": "input",
    "response": "output",
    "system": "system",
    "messages": "messages",
    "tools": "tools",
    "chosen": "chosen",
    "rejected": "rejected",
    "kto_tag": "label",
}
"""Our column by the name that theirs has in ``dataset_info.json``."""
PAIR_COLUMNS: Final = {"messages": "prompt", "prompt": "prompt", "response": "completion"}
"""The same in rows of preferences, ratings and prompts, where they differ."""


def _tuning(conversion: Conversion, entry: Entry) -> None:
    if entry.value == "full":
        conversion.set("full_fine_tuning", entry, True)
    elif entry.value != "lora":
        conversion.note(entry, "only LoRA and full fine-tuning are supported: it becomes LoRA")


def _bits(conversion: Conversion, entry: Entry) -> None:
    if entry.value == 4:
        conversion.set("load_in_4bit", entry, True)
    else:
        conversion.note(entry, "only 4-bit base models are supported: load_in_4bit = true")


LOSSES: Final = {"orpo": "orpo", "simpo": "cpo"}
"""Our method for a ``pref_loss`` that dpo does not have."""


def _loss(conversion: Conversion, entry: Entry) -> None:
    if entry.value != "orpo":
        conversion.set("loss_type", entry)


def _chosen_too(conversion: Conversion, entry: Entry) -> None:
    conversion.set("cpo_alpha" if conversion.settings.get("method") == "cpo" else "rpo_alpha", entry)


WITHOUT_EFFECT: Final = (
    "quantization_method", "preprocessing_num_workers",
    "overwrite_cache", "plot_loss", "flash_attn", "use_unsloth", "enable_liger_kernel",
)  # fmt: skip
"""Keys that have no effect on training here."""
RULES: Final[dict[str, KeyRule]] = {
    **dict.fromkeys(WITHOUT_EFFECT),
    **COMMON,
    **dict.fromkeys(("stage", "dataset", "dataset_dir", "eval_dataset", "do_train"), used),
    **dict.fromkeys(
        ("image_max_pixels", "video_max_pixels", "freeze_vision_tower", "media_dir", "mm_processor_kwargs"),
        refused(TEXT_ONLY),
    ),
    "pref_beta": "beta",
    "pref_loss": _loss,
    "pref_ftx": _chosen_too,
    "kto_chosen_weight": "desirable_weight",
    "kto_rejected_weight": "undesirable_weight",
    "ref_model": unsupported("the reference is the base model, or the adapter that the run starts from"),
    "model_name_or_path": model,
    "finetuning_type": _tuning,
    "quantization_bit": _bits,
    "lora_rank": "lora.r",
    "lora_alpha": "lora.alpha",
    "lora_dropout": "lora.dropout",
    "lora_target": COMMON["target_modules"],
    "additional_target": "lora.modules_to_save",
    "use_rslora": "lora.use_rslora",
    "use_dora": "lora.use_dora",
    "pissa_init": flag("lora.init_lora_weights", value="pissa"),
    "cutoff_len": "max_length",
    "neftune_noise_alpha": "neftune_noise_alpha",
    "train_on_prompt": negated("train_on_responses_only"),
    "mask_history": "completion_only_loss",
    "val_size": held_out,
    "max_samples": noted("all rows are used: cut the file to use fewer"),
    "template": noted(OWN_TEMPLATE),
    "adapter_name_or_path": unsupported("to start from an adapter trained here: arkor-dev start --from JOB"),
    "deepspeed": unsupported("DeepSpeed is not used here"),
}


def convert(conversion: Conversion, entries: list[Entry]) -> None:
    """Carry a file over, with the data sets that it names."""
    by_key = {entry.key: entry for entry in entries}
    for key, what in OTHER_USES.items():
        if key in by_key and by_key[key].value not in (None, False) and not _is_true(by_key, "do_train"):
            refuse(by_key[key], f"the file {what}, and trains no model")
    if "do_train" in by_key and not _is_true(by_key, "do_train"):
        refuse(by_key["do_train"], "the file trains no model")
    if "dataset" not in by_key:
        refuse(entries[0], "the file trains no model: it has no dataset")
    conversion.apply(entries, RULES)
    if conversion.settings.get("method") == "cpo" and "pref_ftx" not in by_key:
        conversion.set("cpo_alpha", by_key["pref_loss"], 0)  # plain SimPO there
    info = _info(conversion, str(by_key["dataset_dir"].value) if "dataset_dir" in by_key else "data")
    for name in _names(by_key.get("dataset")):
        conversion.datasets.append(_source(conversion, by_key["dataset"], name, info))
    for name in _names(by_key.get("eval_dataset"))[:1]:
        conversion.held_out = _source(conversion, by_key["eval_dataset"], name, info)
    names = _names(by_key.get("eval_dataset"))
    if len(names) > 1:
        conversion.note(
            by_key["eval_dataset"], f"only {names[0]} of {len(names)} sets of evaluation rows is used"
        )
    conversion.default(DEFAULTS)
    if not conversion.settings.get("full_fine_tuning"):
        conversion.default({"lora.r": 8})
        conversion.default({"lora.alpha": 2 * conversion.count("lora.r")})


def _is_true(by_key: dict[str, Entry], key: str) -> bool:
    return key in by_key and by_key[key].value is True


def recognises(entries: list[Entry]) -> bool:
    """Return whether a file is one of this tool."""
    keys = {entry.key for entry in entries}
    return "model_name_or_path" in keys and bool(
        {"stage", "finetuning_type", "template", "cutoff_len"} & keys
    )


def method(entries: list[Entry]) -> tuple[str, Entry | None]:
    """Return the training method, and the entry that sets it.

    Pretraining is supervised training on plain text. ORPO and SimPO are losses of the stage ``dpo`` there.
    """
    by_key = {entry.key: entry for entry in entries}
    stage, loss = by_key.get("stage"), by_key.get("pref_loss")
    if stage is None or stage.value in ("pt", "sft"):
        return "sft", None
    if stage.value == "dpo" and loss is not None and str(loss.value) in LOSSES:
        return LOSSES[str(loss.value)], loss
    return str(stage.value), stage


def _names(entry: Entry | None) -> list[str]:
    if entry is None or not entry.value:
        return []
    names = entry.value if isinstance(entry.value, list) else str(entry.value).split(",")
    return [str(name).strip() for name in names]


def _info(conversion: Conversion, folder: str) -> dict[str, object]:
    """Return ``dataset_info.json``, with its folder under the key ``""``; empty if it does not exist."""
    for start in conversion.folders:
        try:
            content = json.loads(read_small(start / folder / INFO, INFO_LIMIT))
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(content, dict):
            return {**content, "": folder}
    return {}


def _source(conversion: Conversion, entry: Entry, name: str, info: dict[str, object]) -> DatasetTable:
    """Return one of the data sets that ``dataset_info.json`` describes."""
    entry_info = info.get(name)
    if not isinstance(entry_info, dict):
        conversion.note(entry, f"{name} is described in {INFO}, which is not here: put its path in its place")
        return {"path": f"data/{name}.json"}
    more: RowsOf = {}
    sharegpt = entry_info.get("formatting") == "sharegpt"
    tags, columns_given = (
        part if isinstance(part := entry_info.get(key), dict) else {} for key in ("tags", "columns")
    )
    by_role = tags.get("role_tag") == "role" and tags.get("content_tag") == "content"
    columns: dict[str, str] = {}
    learns = conversion.settings.get("method", "sft")
    for source_key, column in columns_given.items():
        if source_key not in COLUMNS:
            conversion.note(entry, f"{name}: the column {source_key} has no equivalent here")
            continue
        if learns != "sft":
            target = PAIR_COLUMNS.get(source_key, COLUMNS[source_key])
        else:
            target = "conversations" if source_key == "messages" and not by_role else COLUMNS[source_key]
        if target != column:
            columns[target] = str(column)
    if sharegpt and not by_role and learns == "sft":
        more["form"] = "sharegpt"
    if set(columns) == {"instruction"} and learns == "sft":
        columns = {"text": columns["instruction"]}
    if columns:
        more["columns"] = columns
    for key in ("split", "subset"):
        if entry_info.get(key) not in (None, "train"):
            more[key] = str(entry_info[key])
    if isinstance(entry_info.get("file_name"), str):
        return conversion.data(entry, f"./{info['']}/{entry_info['file_name']}", **more)
    return conversion.data(entry, str(entry_info.get("hf_hub_url") or name), **more)
