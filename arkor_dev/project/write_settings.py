"""Writing settings changed on the page into ``arkor.toml``, or showing how the file would change."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, TypedDict

from arkor_dev.contract.changes import applied, complete
from arkor_dev.contract.errors import BadRequestError, ConflictError, is_disk_full, unwritten
from arkor_dev.core.atomic_write import ChangedError, replace_regular
from arkor_dev.project.toml.edit import to_toml

from .arkor_toml import index_of, parse, read, revision_of
from .toml import edit
from .toml.edit import EditError
from .toml.problems import FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from arkor_dev.contract.shapes import SettingsWritten, Trainer

CHANGED = (
    f"{FILE} has changed on disk since this page showed it, so nothing was written. Check its "
    "current content, then write again."
)
LINKED = f"{FILE} is a symlink, which Studio does not follow when writing. Edit its target."
NOT_EDITABLE = (
    f"{FILE} is written in a way that Studio cannot edit without changing more than these settings. "
    "Nothing was written: make the change by hand."
)

MANY_LINES = 10_000
TOO_LONG = f"{FILE} has more than {MANY_LINES:,} lines, too many to compare. Make the change by hand."


class DatasetChange(TypedDict, total=False):
    """One change of a trainer's ``dataset``.

    It has one of ``add`` (a further file of the project), ``path`` (the only file), ``weights`` (of all
    sources, in their order), and for the source number ``part``, from 0: ``file`` (its new file),
    ``columns`` (what its columns mean), ``exclude`` and ``include`` (rows, as entries of
    `arkor_dev.data.exclusions`).
    """

    add: str
    path: str
    part: int | None
    file: str
    columns: dict[str, str]
    exclude: list[str]
    include: list[str]
    weights: list[float]


def write_settings(
    project: Path, trainer: str, revision: str, changes: Mapping[str, object], *, preview: bool
) -> SettingsWritten:
    """Write changes without a `contract.changes.problem` into a trainer's table; None removes a key.

    Returns the unified diff, empty if nothing differs, and the revision that the file then has. With
    ``preview`` nothing is written. Raises ConflictError if the file no longer has the ``revision``, and
    BadRequestError if there is no such trainer, its table is invalid, or it cannot be written.
    """
    return _write(project, revision, lambda text: _edited(project, text, trainer, changes), preview=preview)


def write_dataset(
    project: Path, trainer: str, revision: str, change: DatasetChange, *, preview: bool
) -> SettingsWritten:
    """Write one change of a trainer's ``dataset``; see `write_settings`."""

    def edited(text: str) -> str:
        _, index = _trainer_in(project, text, trainer)
        try:
            after = _changed(text, index, change)
        except (EditError, KeyError):
            message = f"{FILE} is written in a way in which Studio cannot change the dataset of {trainer}."
            raise BadRequestError(f"{message} {_by_hand(change)}") from None
        _config_in(project, after, index)
        return after

    return _write(project, revision, edited, preview=preview)


def restore(project: Path, revision: str, text: str) -> SettingsWritten:
    """Write an earlier ``text`` of the file back; see `write_settings` for ``revision``."""
    return _write(project, revision, lambda _: text, preview=False)


def _changed(text: str, index: int, change: DatasetChange) -> str:
    part = change.get("part") or 0
    match change:
        case {"add": path}:
            return edit.add_to_dataset(text, index, path)
        case {"path": path}:
            return edit.set_dataset(text, index, path)
        case {"file": path}:
            return edit.set_path(text, index, part, path)
        case {"columns": columns}:
            return edit.set_columns(text, index, part, columns)
        case {"weights": weights}:
            return edit.set_weights(text, index, weights)
        case {"exclude": entries}:
            return edit.set_excluded(text, index, part, entries, excluded=True)
    return edit.set_excluded(text, index, part, change["include"], excluded=False)


def _by_hand(change: DatasetChange) -> str:
    match change:
        case {"add": path}:
            return f'Add "{path}" to the list by hand: dataset = [ what is there now, "{path}" ]'
        case {"path": path}:
            return f'Write it by hand: dataset = "{path}"'
        case {"file": path}:
            return f"Write it by hand, into the table of the data set: path = {to_toml(path)}"
        case {"columns": columns}:
            return f"Write it by hand, into the table of the data set: columns = {to_toml(columns)}"
        case {"weights": weights}:
            return f"Write them by hand, as weight of each data set: {', '.join(map(to_toml, weights))}"
    entries = change.get("exclude") or change["include"]
    return f"Edit exclude by hand, in the table of the data set: {', '.join(map(to_toml, entries))}"


def _write(project: Path, revision: str, edited: Callable[[str], str], *, preview: bool) -> SettingsWritten:
    path = project / FILE
    text = read(project)
    if path.is_symlink():
        raise BadRequestError(LINKED)
    if revision_of(text) != revision:
        raise ConflictError(CHANGED)
    after = edited(text)
    diff = "".join(difflib.unified_diff(_lines(text), _lines(after), FILE, FILE, n=2))
    if not preview and after != text:
        try:
            replace_regular(path, after.encode(), text.encode())
        except ChangedError:
            raise ConflictError(CHANGED) from None
        except OSError as fault:
            if is_disk_full(fault):
                raise unwritten(FILE, fault) from None
            raise BadRequestError(f"{FILE} cannot be written: {fault.strerror}. It is as it was.") from None
    return {"diff": diff, "revision": revision if preview else revision_of(after)}


def _edited(project: Path, text: str, trainer: str, changes: Mapping[str, object]) -> str:
    trainers, index = _trainer_in(project, text, trainer)
    config = trainers.get("config")
    if config is None:
        raise BadRequestError(trainers.get("problem", NOT_EDITABLE))
    try:
        after = edit.edit(text, index, complete(config, changes))
    except EditError:
        raise BadRequestError(NOT_EDITABLE) from None
    if _config_in(project, after, index) != applied(config, changes):
        raise BadRequestError(NOT_EDITABLE)
    return after


def _trainer_in(project: Path, text: str, trainer: str) -> tuple[Trainer, int]:
    trainers = parse(project, text)
    index = index_of(trainers, trainer)
    if text.count("\n") > MANY_LINES:
        raise BadRequestError(TOO_LONG)
    return trainers[index], index


def _config_in(project: Path, text: str, index: int) -> object:
    """Return the trainer's config after a change. Raises BadRequestError if its settings conflict."""
    now = parse(project, text)[index]
    if "config" not in now:
        raise BadRequestError(now["problem"])
    return now["config"]


def _lines(text: str) -> list[str]:
    """Return its lines, all with the same line end, so that one without an end does not run into the next."""
    return [f"{line}\n" for line in text.replace("\r\n", "\n").removesuffix("\n").split("\n")]
