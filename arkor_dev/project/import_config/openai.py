"""OpenAI fine-tuning: a job as its API returns it, or the training file itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.contract.regular_files import open_regular

if TYPE_CHECKING:
    from pathlib import Path

    from .conversion import Conversion
    from .entries import Entry

NAME: Final = "OpenAI"
STARTER: Final = "smollm2-135m-instruct"
"""The model that is trained in place of OpenAI's own."""
MULTIPLIER: Final = 1.0
"""``learning_rate_multiplier`` that leaves the default unchanged."""
FIRST_ROW: Final = 4 * 1024 * 1024
"""Longest first row that is examined, in characters."""


def convert(conversion: Conversion, entries: list[Entry]) -> None:
    """Carry over a job's hyperparameters; its model stays with OpenAI."""
    conversion.model = STARTER
    by_key = {entry.key: entry for entry in entries}
    model = by_key["model"]
    conversion.note(model, f"{model.value} can't be trained here: a small open model is used instead")
    file = by_key.get("training_file")
    if file is not None:
        inside = f"data/{file.value}.jsonl"
        conversion.note(file, f"download it with OpenAI's API into {inside}")
        conversion.datasets.append({"path": inside})
    held_out = by_key.get("validation_file")
    if held_out is not None and held_out.value:
        inside = f"data/{held_out.value}.jsonl"
        conversion.note(held_out, f"download it with OpenAI's API into {inside}")
        conversion.held_out = {"path": inside}
    if by_key.get("seed") is not None and by_key["seed"].value is not None:
        conversion.set("seed", by_key["seed"])
    entry, values = _hyperparameters(by_key)
    for name, value in values.items():
        if entry is None or value in (None, "auto"):
            continue
        if name == "n_epochs":
            conversion.set("epochs", entry, value)
        elif name == "batch_size":
            conversion.set("batch_size", entry, value)
        elif name == "beta":
            conversion.set("beta", entry, value)
        elif name != "learning_rate_multiplier" or value != MULTIPLIER:
            conversion.note(entry, f"{name} = {value} has no equivalent here")


def _hyperparameters(by_key: dict[str, Entry]) -> tuple[Entry | None, dict[str, object]]:
    """Return the hyperparameters, which newer jobs have under ``method``, with the entry that has them."""
    entry = by_key.get("method")
    if entry is not None and isinstance(entry.value, dict):
        kind = entry.value.get(str(entry.value.get("type")))
        if isinstance(kind, dict) and isinstance(kind.get("hyperparameters"), dict):
            return entry, kind["hyperparameters"]
    entry = by_key.get("hyperparameters")
    return entry, entry.value if entry is not None and isinstance(entry.value, dict) else {}


def recognises(entries: list[Entry]) -> bool:
    """Return whether a file is one of this tool."""
    return {"model", "training_file"} <= {entry.key for entry in entries}


def method(entries: list[Entry]) -> tuple[str, Entry | None]:
    """Return the training method, and the entry that sets it: "supervised" is our "sft"."""
    for entry in entries:
        if entry.key == "method" and isinstance(entry.value, dict):
            kind = str(entry.value.get("type"))
            return ("sft", None) if kind == "supervised" else (kind, entry)
    return "sft", None


def method_of_rows(path: Path) -> str:
    """Return the training method of a training file by its first row: preferences have two answers.

    Raises BadRequestError if the file cannot be read, or is none.
    """
    try:
        with open_regular(path) as file:
            row = json.loads(file.readline(FIRST_ROW))
    except FileNotFoundError:
        raise BadRequestError(f"{path} does not exist.") from None
    except OSError as fault:
        raise BadRequestError(f"{path} cannot be read: {fault.strerror or fault}.") from None
    except (ValueError, RecursionError):
        return "sft"
    return "dpo" if isinstance(row, dict) and "preferred_output" in row else "sft"
