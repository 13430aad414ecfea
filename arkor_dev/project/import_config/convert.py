"""Recognises the tool that a configuration is for, converts it, and writes it as TOML."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.contract.regular_files import MIB, read_small
from arkor_dev.contract.rules import quoted
from arkor_dev.contract.settings import SETTINGS
from arkor_dev.contract.settings.preference import PAIRS, RATINGS
from arkor_dev.contract.settings.reward import METHOD as REWARDS
from arkor_dev.core.plain_text import slug_of
from arkor_dev.project.toml.edit import to_toml

from . import axolotl, hugging_face, llama_factory, openai
from .conversion import Conversion
from .entries import Entry, from_json, from_notebook, from_script, from_yaml

if TYPE_CHECKING:
    from pathlib import Path

STARTER: Final = "smollm2-135m-instruct"
LIMIT: Final = 4 * MIB
METHODS: Final = ("sft", *PAIRS, *RATINGS, REWARDS)
TOOLS: Final = "Axolotl, LLaMA-Factory, TRL, transformers, Unsloth or OpenAI"


def convert(path: Path, project: Path) -> Conversion:
    """Return the training configuration in ``path`` for a project's ``arkor.toml``.

    Raises BadRequestError if the file cannot be read, is of an unknown tool, or uses a training method that
    is not supported here.
    """
    folders = (project, path.parent)
    suffix = path.suffix.lower()
    if suffix == ".jsonl":
        conversion = Conversion(openai.NAME, folders)
        rows = Entry(path.name, None, 1)
        conversion.set("method", rows, openai.method_of_rows(path))
        conversion.datasets.append(conversion.data(rows, str(path.resolve())))
        return conversion
    try:
        text = read_small(path, LIMIT).decode()
    except FileNotFoundError:
        raise BadRequestError(f"{path} does not exist.") from None
    except OSError as fault:
        raise BadRequestError(f"{path} cannot be read: {fault.strerror or fault}.") from None
    except ValueError:
        raise BadRequestError(f"{path} is not a text file.") from None
    read = {".py": from_script, ".ipynb": from_notebook, ".json": from_json}.get(suffix, from_yaml)
    entries = read(text)
    script = suffix in (".py", ".ipynb")
    tool: Any = _tool(entries, script=script)
    if tool is None:
        raise BadRequestError(f"{path} is not a training configuration of {TOOLS}: no known key is in it.")
    method, origin = tool.method(entries)
    if method not in METHODS:
        raise BadRequestError(
            f"{path} trains by {quoted(method)}, which is not supported here. Nothing was written."
        )
    by_unsloth = script and re.search(r"\b(from|import) unsloth\b", text)
    conversion = Conversion(hugging_face.UNSLOTH if by_unsloth else tool.NAME, folders)
    if origin is not None:  # first: the rules of other settings depend on it
        conversion.set("method", origin, method)
    if script:
        hugging_face.convert_script(conversion, entries)
    else:
        tool.convert(conversion, entries)
    conversion.finish()
    return conversion


def _tool(entries: list[Entry], *, script: bool) -> Any:
    """Return the module of the tool, by keys that only its files have."""
    keys = {entry.key for entry in entries}
    groups = {entry.group for entry in entries}
    if script:
        argument_groups = [group for group in groups if hugging_face.ARGUMENTS.fullmatch(group)]
        return hugging_face if argument_groups or {"LoraConfig", "get_peft_model"} & groups else None
    if "base_model" in keys:
        return axolotl
    if {"model", "training_file"} <= keys:
        return openai
    if "model_name_or_path" in keys and {"stage", "finetuning_type", "template", "cutoff_len"} & keys:
        return llama_factory
    if {"per_device_train_batch_size", "model_name_or_path", "lora_alpha", "num_train_epochs"} & keys:
        return hugging_face
    return None


def name_of(path: Path) -> str:
    """Return a trainer's name after its file."""
    return slug_of(path.stem)


def as_toml(conversion: Conversion, name: str) -> str:
    """Return the ``[[trainer]]`` as TOML, its settings in the order of the reference."""
    datasets = [_short(source) for source in conversion.datasets] or ["data/train.jsonl"]
    lines = [
        "[[trainer]]",
        f"name = {to_toml(name)}",
        f"model = {to_toml(conversion.model or STARTER)}",
        f"dataset = {to_toml(datasets[0] if len(datasets) == 1 else datasets)}",
    ]
    if conversion.held_out is not None:
        lines.append(f"eval_dataset = {to_toml(_short(conversion.held_out))}")
    tables: dict[str, list[str]] = {}
    for row in SETTINGS:
        if row.key in conversion.settings:
            tables.setdefault(row.table, []).append(f"{row.name} = {to_toml(conversion.settings[row.key])}")
    lines += tables.pop("", [])
    for table, settings in tables.items():
        lines += ["", f"[trainer.{table}]", *settings]
    return "\n".join([*lines, ""])


def _short(source: dict[str, Any]) -> Any:
    return source["path"] if set(source) == {"path"} else source
