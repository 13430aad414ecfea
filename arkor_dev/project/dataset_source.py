"""What a trainer's ``dataset`` means: a file of the project, a data set of a hub, or an address.

A file is looked at and its rows are counted here, before anything is sent, because a person who mistyped a
path or left a comma out should read so at once and not from a failed job.
"""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from arkor_dev.contract.regular_files import MIB, open_regular
from arkor_dev.contract.rules import text_line
from arkor_dev.contract.training_rows import RowError, lines_in, no_rows, read_row

if TYPE_CHECKING:
    from arkor_dev.contract.shapes import DatasetSource

KEYS = ("huggingface", "split", "subset", "url")
"""What a ``dataset`` table may say."""
COUNTED_BYTES = 256 * MIB
CHECKED_BYTES = 16 * MIB
SECONDS = 1.5
CHECKED_LINE = MIB
"""Bytes; a longer row is left to the training, since its objects could take a hundred times that here."""
SHOWN_CHARACTERS = 80


class DatasetError(Exception):
    """Why a dataset cannot be used; ``key`` is the key inside its table, where there is one."""

    def __init__(self, text: str, key: str | None = None) -> None:
        super().__init__(text)
        self.key = key


def file_source(project: Path, written: str) -> DatasetSource:
    """The file that ``written`` names, as a path relative to the project, symlinks resolved.

    Raises DatasetError when it is outside the project, missing, or no file.
    """
    if "://" in written:
        raise DatasetError(f'is an address. Write it as a table: dataset = {{ url = "{written}" }}')
    if not text_line(1000).fits(written):
        raise DatasetError("must be a path on one line")
    root = project.resolve()
    shown = written if len(written) <= SHOWN_CHARACTERS else f"{written[: SHOWN_CHARACTERS - 1]}…"
    try:
        # Not Path.resolve: on a loop of symlinks it raises or does not, depending on the Python.
        path = Path(os.path.realpath(root / written))
        if not path.is_relative_to(root):
            raise DatasetError(
                f'"{shown}" is outside the project. Copy the file into {root.name}/ and name that'
            )
        if path.is_symlink():
            raise DatasetError(f'"{shown}" is a symlink that leads back to itself. Name the file itself')
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise DatasetError(
            f'there is no file "{shown}" in the project. Create it, one chat a line, or correct the path'
            + _hub_hint(written)
        ) from None
    except OSError as fault:
        raise DatasetError(f'"{shown}" cannot be read ({fault.strerror}). Correct the path') from None
    if stat.S_ISDIR(mode):
        raise DatasetError(
            f'"{shown}" is a folder. Name one JSONL file, such as "{shown.rstrip("/")}/train.jsonl"'
        )
    if not stat.S_ISREG(mode):
        raise DatasetError(f'"{shown}" is not a regular file. Name a JSONL file, one chat a line')
    return {"type": "file", "path": path.relative_to(root).as_posix()}


def table_source(table: dict[str, object]) -> DatasetSource:
    """A table ``{huggingface, split?, subset?}`` or ``{url}``; raises DatasetError."""
    for key, value in table.items():
        if not text_line(2000).fits(value):
            raise DatasetError("must be text on one line", key)
    text = {key: str(value) for key, value in table.items()}
    if ("huggingface" in text) == ("url" in text):
        raise DatasetError('needs either huggingface = "owner/name" or url = "https://…", and not both')
    if "url" in text:
        beside = [key for key in text if key != "url"]
        if beside:
            raise DatasetError(f"{beside[0]} goes with huggingface, not with url", beside[0])
        if not text["url"].startswith(("https://", "http://")):
            raise DatasetError("must begin with https://", "url")
        return {"type": "blob", "url": text["url"]}
    source: DatasetSource = {"type": "huggingface", "name": text["huggingface"]}
    if "split" in text:
        source["split"] = text["split"]
    if "subset" in text:
        source["subset"] = text["subset"]
    return source


@dataclass(frozen=True, slots=True)
class DataFile:
    """What a look at a data file has told: its rows, where they were counted, and its first fault."""

    rows: int | None = None
    problem: str | None = None


def look_at(project: Path, source: DatasetSource) -> DataFile:
    """Count the rows of a file source and read them up to the first that cannot be trained on.

    Bounded: rows are counted up to 256 MiB, read in the first 16 MiB, and neither for longer than 1.5 s; so
    no fault found does not mean that there is none. A file that has not changed is not read again. Other
    sources have neither rows nor a problem.
    """
    if source["type"] != "file":
        return DataFile()
    path = project / source["path"]
    try:
        state = path.stat()
        seen = (state.st_dev, state.st_ino, state.st_mtime_ns, state.st_size)
        return _looked_at(path, source["path"], seen)
    except OSError as fault:
        return DataFile(problem=f"{source['path']} cannot be read: {fault.strerror}")


@lru_cache(maxsize=64)
def _looked_at(path: Path, name: str, seen: tuple[int, ...]) -> DataFile:
    until = time.monotonic() + SECONDS
    with open_regular(path) as file:
        problem = _first_fault(file, name, until)
        if seen[-1] > COUNTED_BYTES:
            return DataFile(None, problem)
        file.seek(0)
        return DataFile(_count(file, until), problem)


def _first_fault(file: BinaryIO, name: str, until: float) -> str | None:
    read = 0
    try:
        for number, line in lines_in(file, name):
            read += len(line)
            if read > CHECKED_BYTES or time.monotonic() > until:
                return None
            if len(line) <= CHECKED_LINE:
                read_row(line, number, name)
        if not read:
            raise no_rows(name)
    except RowError as fault:
        return str(fault)
    return None


def _count(file: BinaryIO, until: float) -> int | None:
    """The lines that are not blank, however long they are; None when that takes too long."""
    rows, filled = 0, False
    while piece := file.readline(CHECKED_LINE):
        filled = filled or not piece.isspace()
        if piece.endswith(b"\n"):
            rows += filled
            filled = False
            if rows % 1000 == 0 and time.monotonic() > until:
                return None
    return rows + filled


def _hub_hint(written: str) -> str:
    if written.count("/") == 1 and not Path(written).suffix:
        return f'. For a data set of the hub write dataset = {{ huggingface = "{written}" }}'
    return ""
