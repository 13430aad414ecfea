"""Converts Python values to the contract's form: a trainer's settings, rows as a file, messages of a chat."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from arkor_dev.client.repetition import with_adapter_of
from arkor_dev.contract.changes import applied, conflict, problem
from arkor_dev.contract.errors import BadRequestError
from arkor_dev.contract.regular_files import NotRegularError, read_small
from arkor_dev.contract.settings import SETTINGS
from arkor_dev.core.atomic_write import write_private
from arkor_dev.core.plain_text import one_line
from arkor_dev.data.methods import forms_of
from arkor_dev.data.row_parser import row_of
from arkor_dev.data.rows import RowError
from arkor_dev.data.sources import SourceError
from arkor_dev.project.dataset_source import inspect_source, read_source
from arkor_dev.project.toml.problems import suggest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from arkor_dev.contract.shapes import DatasetSource, Job, Trainer

FOLDER: Final = "data"
HASH_DIGITS: Final = 12


def fields_of(settings: Mapping[str, object]) -> dict[str, object]:
    """Return settings by their fields in a job's config; ``lora={"r": 16}`` and ``lora_r=16`` are the same.

    Raises BadRequestError for a name that is not a setting, and for two names of one.
    """
    named: dict[str, str] = {}
    by_field: dict[str, object] = {}
    for name, value in flat(settings):
        field = _field(name)
        if field in named:
            raise BadRequestError(f"{named[field]} and {name} are the same setting. Remove one of the two.")
        named[field], by_field[field] = name, value
    return by_field


def flat(settings: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Yield settings with those of a table under the table's name, as in ``lora.r``."""
    for name, value in settings.items():
        if isinstance(value, dict) and any(row.table == name for row in SETTINGS):
            yield from ((f"{name}.{key}", inner) for key, inner in value.items())
        else:
            yield name, value


def _field(name: str) -> str:
    try:
        return KNOWN[name]
    except KeyError:
        raise BadRequestError(
            f"{one_line(name, 100)} is not a setting of a trainer.{suggest(name, list(KNOWN), 'Known are')}"
        ) from None


def _snake(field: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", field).lower()


KNOWN: Final[dict[str, str]] = {
    name: row.field
    for row in SETTINGS
    for name in (row.key, *row.aliases, *row.names, _snake(row.field), row.field)
}
"""Every name of a setting in Python, and its field; a row's own key wins over another's alias."""
KNOWN.update({row.key: row.field for row in SETTINGS})


Dataset = str | Mapping[str, object] | Sequence[str | Mapping[str, object]]
"""Rows, or what ``dataset`` of arkor.toml takes: a path, ``{"huggingface": …}``, or a list of those."""


def has_trainers(project: Path) -> bool:
    """Return whether the project has an ``arkor.toml``."""
    return os.path.lexists(project / "arkor.toml")


def config_of(
    project: Path,
    trainer: Trainer | None,
    *,
    model: str | None,
    dataset: Dataset | None,
    eval_dataset: Dataset | None,
    settings: Mapping[str, object],
    dry_run: bool,
    parent: Job | None = None,
) -> dict[str, object]:
    """Return a job's config: the trainer's, or a new one, with everything else that is given.

    With ``parent``, the job that it begins with, it has that job's model and adapter settings. Rows are
    written to a file of the project. Raises BadRequestError, also for data that cannot be trained on.
    """
    config: dict[str, object] = dict(trainer["config"]) if trainer is not None else {}
    changes = fields_of(settings)
    if model is not None:
        changes["model"] = model
    if wrong := problem(changes, ""):
        raise BadRequestError(wrong)
    config = applied(config, changes)
    if trainer is not None and changes:
        config["setByHand"] = list(changes)
    if parent is not None:
        config = with_adapter_of(parent, config, changes)
    if "model" not in config:
        raise BadRequestError(
            "There is no model to train. Give model=, or the name of a trainer of arkor.toml."
        )
    for field, name, source in (
        ("datasetSource", "dataset", dataset), ("evalDatasetSource", "eval_dataset", eval_dataset)
    ):  # fmt: skip
        if source is not None:
            config[field] = source_of(project, name, source, config)
    if "datasetSource" not in config:
        raise BadRequestError(
            "Nothing can be trained on. Give dataset=, or the name of a trainer of arkor.toml."
        )
    if wrong := conflict(config):
        raise BadRequestError(wrong)
    if dry_run:
        config["dryRun"] = True
    return config


def source_of(project: Path, name: str, data: Dataset, config: Mapping[str, object]) -> DatasetSource:
    """Return the source of the data set ``name``: rows, or what arkor.toml's ``dataset`` accepts.

    Raises BadRequestError, also if rows of it cannot be trained on by the method of ``config``.
    """
    if not isinstance(data, str | Mapping):
        data = list(data)
    if isinstance(data, list) and data and all(isinstance(row, dict) and not _is_source(row) for row in data):
        _check_rows(name, data, config)
        data = write_rows(project, data)
    try:
        source = read_source(project, data)
    except SourceError as fault:
        raise BadRequestError(
            f"{name} {fault}" if fault.key is None else f"{name}.{fault.key} {fault}"
        ) from None
    if wrong := inspect_source(project, source, config.get("method")).problem:
        raise BadRequestError(f"{name} cannot be trained on: {wrong}")
    return source


def _check_rows(name: str, rows: Sequence[object], config: Mapping[str, object]) -> None:
    """Raise BadRequestError for rows that the training method cannot use, unless they are to be skipped."""
    forms, bad, first = forms_of(config.get("method")), 0, ""
    for number, row in enumerate(rows):
        try:
            row_of(row, "", None, {}, forms=forms)
        except RowError as fault:
            bad += 1
            first = first or f"{name}[{number}] {fault}"
    if bad == len(rows) or (bad and not config.get("skipBadRows")):
        count = "The row" if len(rows) == 1 else f"{bad:,} of the {len(rows):,} rows"
        advice = "Correct it." if bad == 1 else "Correct them."
        if bad < len(rows):
            advice = f"{advice[:-1]}, or leave such rows out with skip_bad_rows=True."
        raise BadRequestError(f"{count} cannot be trained on: {first}. {advice}")


def _is_source(row: dict[str, object]) -> bool:
    return any(key in row for key in ("path", "huggingface", "url"))


def write_rows(project: Path, rows: Iterable[Mapping[str, object]]) -> str:
    """Write rows to a file named by their content; return its path in the project.

    Raises BadRequestError, also if a file of that name has other rows: an edit, which is neither trained on
    nor overwritten.
    """
    try:
        text = "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)
    except (TypeError, ValueError, RecursionError) as fault:
        raise BadRequestError(f"A row cannot be written as JSON: {fault}.") from None
    data = text.encode("utf-8", "surrogatepass")
    name = f"{FOLDER}/rows-{hashlib.sha256(data).hexdigest()[:HASH_DIGITS]}.jsonl"
    path = project / name
    try:
        if not path.exists():
            write_private(path, data, folder_mode=0o755)
        elif not _has(path, data):
            raise BadRequestError(
                f"{name} was changed after it had been written from these rows. Rename it to keep "
                "the change, or delete it."
            )
    except OSError as fault:
        raise BadRequestError(f"{name} cannot be written: {fault.strerror}.") from None
    return name


def _has(path: Path, data: bytes) -> bool:
    try:
        return read_small(path, len(data)) == data
    except NotRegularError:  # or longer
        return False


def messages_of(
    conversation: str | Iterable[Mapping[str, object]], system: str | None
) -> list[dict[str, object]]:
    """Return the messages of a chat: a question, or a whole conversation."""
    messages: list[dict[str, object]] = (
        [{"role": "user", "content": conversation}]
        if isinstance(conversation, str)
        else [dict(message) for message in conversation]
    )
    return messages if system is None else [{"role": "system", "content": system}, *messages]
