"""Recognises the tool that a configuration is for, converts it, and writes it as TOML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.contract.rules import quoted
from arkor_dev.contract.settings import SETTINGS
from arkor_dev.core.plain_text import slug_of
from arkor_dev.data.methods import names
from arkor_dev.project.toml.edit import to_toml

from . import (
    autotrain,
    axolotl,
    h2o,
    hugging_face,
    llama_factory,
    llama_factory_v1,
    mlx_lm,
    openai,
    prime,
    torchtune,
)
from .conversion import Conversion
from .entries import Entry, flattened, from_json, from_toml, from_yaml, read_text, require_plain
from .script import read_notebook, read_script
from .trainer_script import convert_script

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conversion import DatasetTable
    from .script import Script


class Tool(Protocol):
    """The module of a tool."""

    NAME: str

    def recognises(self, entries: list[Entry]) -> bool:
        """Return whether a file is one of this tool."""

    def method(self, entries: list[Entry]) -> tuple[str, Entry | None]:
        """Return the training method, and the entry that sets it."""

    def convert(self, conversion: Conversion, entries: list[Entry]) -> None:
        """Carry a file over."""


TOOLS: Final[tuple[Tool, ...]] = (
    h2o, autotrain, torchtune, prime, mlx_lm, axolotl, openai, llama_factory_v1, llama_factory, hugging_face,
)  # fmt: skip
"""Their modules, the most particular first: the keys of one may be among those of another."""
NAMES: Final = (
    "Axolotl, LLaMA-Factory, TRL, transformers, Unsloth, torchtune, mlx-lm, H2O LLM Studio, AutoTrain, "
    "prime-rl or OpenAI"
)
SCRIPTS: Final[dict[str, Callable[[str], Script]]] = {".py": read_script, ".ipynb": read_notebook}
FORMATS: Final[dict[str, Callable[[str], list[Entry]]]] = {".json": from_json, ".toml": from_toml}


def convert(path: Path, project: Path) -> Conversion:
    """Return the training configuration in ``path`` for a project's ``arkor.toml``.

    Raises BadRequestError if the file cannot be read, is of an unknown tool, uses a training method that is
    not supported here, or has something that a run would be another one without.
    """
    require_plain(str(path))
    folders = (project, path.parent)
    suffix = path.suffix.lower()
    if suffix == ".jsonl":
        conversion = Conversion(openai.NAME, folders)
        rows = Entry(path.name, None, 1)
        conversion.set("method", rows, openai.method_of_rows(path))
        conversion.datasets.append(conversion.data(rows, str(path.resolve())))
        return conversion
    text = read_text(path)
    if suffix in SCRIPTS:
        conversion = Conversion(hugging_face.NAME, folders)
        try:
            convert_script(conversion, SCRIPTS[suffix](text))
        except RecursionError:
            raise BadRequestError(f"{path} nests too deeply to be read. Nothing was written.") from None
    else:
        conversion = _from_entries(FORMATS.get(suffix, from_yaml)(text), text, path, folders)
    conversion.finish()
    return conversion


def _from_entries(entries: list[Entry], text: str, path: Path, folders: tuple[Path, ...]) -> Conversion:
    """Return the conversion of a file of keys and values."""
    tool = next((tool for tool in TOOLS if tool.recognises(flattened(entries))), None)
    if tool is None:
        raise BadRequestError(
            f"{path} is not a training configuration of {NAMES}: no known key is in it. Nothing was written."
        )
    method, origin = tool.method(entries)
    if method not in names():
        raise BadRequestError(
            f"{path} trains by {quoted(method)}, which is not supported here. Nothing was written."
        )
    conversion = Conversion(tool.NAME, folders, text)
    if origin is not None:  # first: the rules of other settings depend on it
        conversion.set("method", origin, method)
    tool.convert(conversion, entries)
    if not conversion.datasets and not any("data/train.jsonl" in note.text for note in conversion.notes):
        entry = Entry("dataset", None, entries[0].line)
        conversion.note(entry, "no data set is named: put the rows in data/train.jsonl")
    if conversion.model is None:
        raise BadRequestError(f"{path} names no model. Add it, and run this again. Nothing was written.")
    return conversion


def name_of(path: Path) -> str:
    """Return a trainer's name after its file."""
    return slug_of(path.stem)


def as_toml(conversion: Conversion, name: str) -> str:
    """Return the ``[[trainer]]`` as TOML, its settings in the order of the reference."""
    datasets = [_short(source) for source in conversion.datasets] or ["data/train.jsonl"]
    lines = [
        "[[trainer]]",
        f"name = {to_toml(name)}",
        f"model = {to_toml(conversion.model or openai.STARTER)}",
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


def _short(source: DatasetTable) -> object:
    return source["path"] if set(source) == {"path"} else source
