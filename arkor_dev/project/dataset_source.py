"""What a trainer's ``dataset`` means: files of the project, a data set of a hub, an address, or several.

Files are found and their rows counted here, before anything is sent, because a user with a mistyped path or a
missing comma should learn it at once and not from a failed job.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.util import find_spec
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from arkor_dev.contract.extras import install_command
from arkor_dev.contract.regular_files import MIB
from arkor_dev.contract.rules import WEIGHT, text_line
from arkor_dev.data.containers import OversizedFileError, SlowError
from arkor_dev.data.detect import is_parquet
from arkor_dev.data.exclusions import MAX_ENTRIES, are_entries
from arkor_dev.data.forms import COLUMNS
from arkor_dev.data.methods import form_names, forms_of
from arkor_dev.data.reader import DataFile, no_rows, open_data
from arkor_dev.data.reviews import ALL, ONLY, Selection
from arkor_dev.data.row_parser import suggested_columns
from arkor_dev.data.rows import DataError, RowError
from arkor_dev.data.sources import SourceError, check_mixture, files_of, inside, parts_of, resolved

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from arkor_dev.contract.shapes import DatasetSource, JobConfig, Trainer, UnmappedColumns
    from arkor_dev.data.reader import Item, LocatedRow

KEYS = (
    *("path", "huggingface", "split", "subset", "url", "form", "columns", "group", "exclude", "only"),
    "weight",
)
"""The allowed keys of a ``dataset`` table."""
NOT_TEXT = ("columns", "exclude", "weight")
KINDS = ("path", "huggingface", "url")
"""A table must have exactly one of these."""
PARTS = 100
COUNTED_BYTES = 256 * MIB
CHECKED_BYTES = 16 * MIB
SECONDS = 1.5
ALL_SECONDS = 0.5
"""After this time no further data file is opened."""
PARQUET_FILES, PARQUET_ROWS, PARQUET_SECONDS = 3, 20, 5.0
SHOWN_ROWS = 3
SHOWN_COLUMNS = 50
SHOWN_VALUE = 200
COLUMN = text_line(200)
CHECKED_ROW = MIB
"""Longest row, in bytes; longer ones are left to training, as their objects could take 100 times that."""


def read_source(project: Path, value: object, *, trained: bool = True) -> DatasetSource:
    """Return the source of a ``dataset`` of ``arkor.toml``, whose files must exist. Raises SourceError.

    Only rows that are ``trained`` on may have weights.
    """
    source = _source(project, value)
    if trained:
        check_mixture(source, project)
    elif any("weight" in part for part in parts_of(source)):
        raise SourceError("applies to dataset only: each row of an evaluation set counts once", "weight")
    return source


def _source(project: Path, value: object) -> DatasetSource:
    if isinstance(value, str):
        return _file_source(project, value)
    if isinstance(value, dict):
        return _table_source(project, value)
    if isinstance(value, list) and 0 < len(value) <= PARTS:
        if any(isinstance(part, list) for part in value):
            raise SourceError("is a list inside a list. Write one list of paths or tables")
        return {"type": "list", "sources": [_source(project, part) for part in value]}
    raise SourceError(
        'must be a path, a table such as { huggingface = "owner/name" }, or a list of these, '
        f"{PARTS} at most"
    )


def _file_source(project: Path, text: str) -> DatasetSource:
    inside(project, text)
    return {"type": "file", "path": resolved(project, text).relative_to(project.resolve()).as_posix()}


def _table_source(project: Path, table: dict[str, object]) -> DatasetSource:
    for key, value in table.items():
        if key not in NOT_TEXT and not text_line(2000).fits(value):
            raise SourceError("must be text on one line", key)
    text = {key: str(value) for key, value in table.items() if key not in NOT_TEXT}
    if sum(kind in text for kind in KINDS) != 1:
        raise SourceError('needs one of path = "…", huggingface = "owner/name" and url = "https://…"')
    source: DatasetSource
    if "huggingface" in text:
        source = {"type": "huggingface", "name": text["huggingface"]}
        if "split" in text:
            source["split"] = text["split"]
        if "subset" in text:
            source["subset"] = text["subset"]
    else:
        other_key = next((key for key in ("split", "subset") if key in text), None)
        if other_key:
            kind = "url" if "url" in text else "path"
            raise SourceError(f"{other_key} applies to huggingface, not to {kind}", other_key)
        if "path" in text:
            source = _file_source(project, text["path"])
        elif text["url"].startswith(("https://", "http://")):
            source = {"type": "blob", "url": text["url"]}
        else:
            raise SourceError("must begin with https://", "url")
    if "form" in text:
        if text["form"] not in form_names():
            raise SourceError(f"must be one of {', '.join(form_names())}", "form")
        source["form"] = text["form"]
    if "group" in text:
        source["group"] = text["group"]
    if "columns" in table:
        source["columns"] = _columns(table["columns"])
    if "exclude" in table:
        source["exclude"] = _entries(table["exclude"])
    if "weight" in table:
        source["weight"] = _weight(table["weight"])
    if "only" in text:
        if text["only"] not in ONLY:
            raise SourceError(f"must be one of {', '.join(ONLY)}", "only")
        source["only"] = "all" if text["only"] == ALL else "accepted"
    return source


def _weight(value: object) -> float:
    if isinstance(value, int | float) and WEIGHT.fits(value):
        return value
    raise SourceError(
        f"must be {WEIGHT.words}: how often an epoch uses each row of the source, such as 2 or 0.5. 0 trains "
        "on none of them",
        "weight",
    )


def _entries(value: object) -> list[str]:
    if not isinstance(value, list) or not are_entries(value):
        raise SourceError(
            f"must be a list of up to {MAX_ENTRIES:,} rows as Studio's Data page writes them, such as "
            '["0f1e2d3c4b5a6978"]',
            "exclude",
        )
    return value


def _columns(mapping: object) -> dict[str, str]:
    if not isinstance(mapping, dict) or not mapping:
        raise SourceError('must be a table such as { prompt = "question", completion = "answer" }', "columns")
    for key, value in mapping.items():
        if key not in COLUMNS:
            raise SourceError(
                f"maps {key!r}, which no row has. On the left are {', '.join(COLUMNS)}; on the right, "
                "your columns",
                "columns",
            )
        # The first line of this table is already a row.
        is_number = isinstance(value, int) and not isinstance(value, bool) and value > 0
        if not is_number and not text_line(200).fits(value):
            raise SourceError(f"must give {key} the name of a column, or its number from 1", "columns")
    return {str(key): str(value) for key, value in mapping.items()}


@dataclass(frozen=True, slots=True)
class DataLook:
    """The result of reading data files: their rows, if counted, and the first error.

    ``rows`` counts valid rows among those read, ``unreadable`` invalid ones, and ``flaw`` is the first error.
    With a ``problem`` nothing can be trained on. ``unmapped`` are rows in no known form.
    """

    rows: int | None = None
    unreadable: int = 0
    problem: str | None = None
    flaw: str | None = None
    unmapped: UnmappedColumns | None = None
    readable: frozenset[str] = frozenset()
    """The names of files with at least one valid row."""


def check_data(project: Path, trainers: Sequence[Trainer], *, here: bool = False) -> None:
    """Add to each trainer what its data files reveal, as far as time permits.

    ``here``: jobs run on this machine with this installation, so a library that is missing stops them.
    """
    until = time.monotonic() + ALL_SECONDS
    for trainer in trainers:
        if "problem" in trainer or time.monotonic() > until:
            continue
        config = trainer["config"]
        method = config.get("method")
        if here and (name := _unreadable_parquet(project, config)) is not None:
            trainer["problem"] = (
                f"{name} is a Parquet file, and the package that reads those is not installed. Install it "
                "with this command; the page then continues by itself."
            )
            trainer["install"] = install_command("parquet")
            continue
        look = inspect_source(project, config["datasetSource"], method)
        if look.rows is not None:
            trainer["rows"] = look.rows
        held_out = config.get("evalDatasetSource")
        eval_look = inspect_source(project, held_out, method) if held_out else DataLook()
        problem, flaw = look.problem or eval_look.problem, look.flaw or eval_look.flaw
        if look.unreadable:
            trainer["unreadable"] = look.unreadable
        if look.unmapped is not None:
            trainer["unmapped"] = look.unmapped
        if problem is not None:
            trainer["problem"] = problem
            if look.problem is not None:
                trainer["needsData"] = True
        elif flaw is not None and not config.get("skipBadRows"):
            trainer["flaw"] = flaw


def _unreadable_parquet(project: Path, config: JobConfig) -> str | None:
    """Return the name of a Parquet file of the trainer if the library that reads it is missing."""
    if find_spec("pyarrow") is not None:
        return None
    held_out = config.get("evalDatasetSource")
    sources = [config["datasetSource"], *([held_out] if held_out else [])]
    with suppress(SourceError, OSError):
        for part in (part for source in sources for part in parts_of(source)):
            if part["type"] == "file":
                for file in files_of(part, project, 0):
                    if is_parquet(file.path):
                        return file.name
    return None


def inspect_source(project: Path, source: DatasetSource, method: object = None) -> DataLook:
    """Count the rows of a source's files, and read them as a training method does to find invalid ones.

    Limited: rows are counted up to 256 MiB, read in the first 16 MiB, and neither for longer than 1.5 s, so
    finding no error does not mean that there is none. Unchanged files are not read again. Rows of a source
    with a remote or a Parquet part are not counted; of Parquet the first few are read.
    """
    parts = parts_of(source)
    try:
        numbered = [
            (number, file)
            for number, part in enumerate(parts)
            if part["type"] == "file"
            for file in files_of(part, project, number)
        ]
        files = [file for _, file in numbered]
        states = tuple(_state(file.path) for file in files)
    except SourceError as fault:
        return DataLook(problem=f"dataset: {fault}")
    except OSError as fault:
        return DataLook(problem=f"{fault.filename} cannot be read: {fault.strerror}")
    if not files:
        return DataLook()
    look = _looked_at(tuple(_Key.of(file, method) for file in files), states)
    if look.unmapped is not None:
        name = look.unmapped["file"]
        part = next(number for number, file in numbered if file.name == name)
        # Columns apply to a whole folder: those of its other files would be lost.
        mixed = any(number == part and file.name in look.readable for number, file in numbered)
        look = replace(look, unmapped=None if mixed else {**look.unmapped, "part": part})
    return look if all(part["type"] == "file" for part in parts) else replace(look, rows=None)


def _state(path: Path) -> tuple[int, ...]:
    state = path.stat()
    return (state.st_size, state.st_dev, state.st_ino, state.st_mtime_ns)


class _Key(NamedTuple):
    """What reading a file depends on besides its content, as a hashable value."""

    path: Path
    name: str
    form: str | None
    columns: tuple[tuple[str, str], ...]
    group: str | None
    exclude: frozenset[str]
    source: int
    selection: Selection | None
    method: object

    @classmethod
    def of(cls, file: DataFile, method: object) -> _Key:
        columns = tuple(file.columns.items())
        out = (file.exclude, file.source, file.selection)
        return cls(file.path, file.name, file.form, columns, file.group, *out, method)

    def file(self) -> DataFile:
        forms = forms_of(self.method)
        out = (forms, self.exclude, self.source, self.selection)
        return DataFile(self.path, self.name, self.form, dict(self.columns), self.group, None, *out)


@lru_cache(maxsize=64)
def _looked_at(key: tuple[_Key, ...], states: tuple[tuple[int, ...], ...]) -> DataLook:
    until = time.monotonic() + SECONDS
    files = [entry.file() for entry in key]
    try:
        if packed := [file for file in files if is_parquet(file.path)]:
            return _first_rows(packed[:PARQUET_FILES])
        look, complete = _check_rows(files, until)
        is_small = sum(state[0] for state in states) <= COUNTED_BYTES
        rows = _count(files, until) if is_small else None
    except OSError as fault:
        return DataLook(problem=f"{files[0].name} cannot be read: {fault.strerror or fault}")
    if rows is None:
        return look
    good = rows - look.unreadable
    if complete and not good and look.problem is None:
        none = "The only row cannot" if rows == 1 else f"None of the {rows:,} rows can"
        return replace(look, rows=0, problem=f"{none} be trained on. {look.flaw}")
    return replace(look, rows=good)


def _check_rows(files: Sequence[DataFile], until: float) -> tuple[DataLook, bool]:
    """Check rows until ``until``; return the result, and whether all of them were read."""
    unreadable = _Unreadable()
    read = rows = 0
    with open_data(files, CHECKED_BYTES) as data:
        for located in data.scan():
            read += max(1, located.location.size)
            late = read > CHECKED_BYTES or time.monotonic() > until
            if late or isinstance(located.record.raw, OversizedFileError):
                return unreadable.look(), False
            rows += 1
            if located.location.size > CHECKED_ROW and not isinstance(located.record.raw, RowError):
                continue
            item = data.item(located)
            if isinstance(item.row, DataError):
                return DataLook(problem=f"{item.where}: {item.row}", unmapped=_headless(files, item)), False
            if isinstance(item.row, RowError):
                unreadable.add(files[located.location.file].name, located, item.where, item.row)
            else:
                unreadable.readable.add(files[located.location.file].name)
    if not rows:
        return DataLook(problem=str(no_rows(files[0].name, data))), True
    return unreadable.look(), True


def _first_rows(files: Sequence[DataFile]) -> DataLook:
    """Check the first rows of Parquet files; report a file of which no row can be trained on.

    All rows of such a file have the same columns, and reading it takes a separate process. Without the
    library the files are not checked: the job may run where it is installed.
    """
    if find_spec("pyarrow") is None:
        return DataLook()
    for file in files:
        unreadable = _Unreadable()
        with open_data([file], CHECKED_BYTES, PARQUET_SECONDS) as data:
            for located in islice(data.scan(), PARQUET_ROWS):
                item = data.item(located)
                if isinstance(item.row, SlowError):
                    return DataLook()
                if isinstance(item.row, DataError):
                    return DataLook(problem=f"{item.where}: {item.row}")
                if not isinstance(item.row, RowError):
                    break
                unreadable.add(file.name, located, item.where, item.row)
            else:
                look = unreadable.look()
                if look.unreadable:
                    problem = f"None of the first {look.unreadable:,} rows can be trained on. {look.flaw}"
                    return DataLook(problem=problem, unmapped=look.unmapped, readable=look.readable)
    return DataLook()


class _Unreadable:
    """Counts invalid rows, and keeps some rows of the first file with unknown columns.

    A file with a valid row has the right columns: its other rows have another problem.
    """

    def __init__(self) -> None:
        self.count = 0
        self.flaw: str | None = None
        self.file = ""
        self.records: list[Mapping[str, object]] = []
        self.readable: set[str] = set()

    def add(self, file: str, located: LocatedRow, where: str, error: RowError) -> None:
        self.count += 1
        self.flaw = self.flaw or f"{where}: {error}"
        if error.kind != "keys" or len(self.records) >= SHOWN_ROWS or (self.records and file != self.file):
            return
        record = located.container.value(located.record) if located.container else None
        if isinstance(record, dict):
            self.file = file
            self.records.append(record)

    def look(self) -> DataLook:
        """Return the result so far."""
        return DataLook(
            unreadable=self.count,
            flaw=self.flaw,
            unmapped=None if self.file in self.readable else unmapped_columns(self.file, self.records),
            readable=frozenset(self.readable),
        )


def unmapped_columns(file: str, records: Sequence[Mapping[str, object]]) -> UnmappedColumns | None:
    """Return the columns of a file's first ``records`` with shortened values; None without any."""
    columns = [name for name in records[0] if COLUMN.fits(name)][:SHOWN_COLUMNS] if records else []
    if not columns:
        return None
    columns_shown: UnmappedColumns = {
        "part": 0,
        "file": file,
        "columns": columns,
        "rows": [{name: _short(record.get(name)) for name in columns} for record in records],
    }
    suggested = suggested_columns({name: records[0][name] for name in columns})
    if suggested is not None:
        columns_shown["suggested"] = suggested
    return columns_shown


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text[:SHOWN_VALUE]


def _headless(files: Sequence[DataFile], item: Item) -> UnmappedColumns | None:
    """Return the numbered columns of a table whose first line is already a row; None for any other file."""
    file = files[item.location.file]
    try:
        with open_data([replace(file, columns={"text": "1"})], CHECKED_BYTES) as data:
            records = [
                located.container.value(located.record)
                for located in islice(data.scan(), SHOWN_ROWS)
                if located.container and isinstance(located.record.raw, list)
            ]
    except RowError:
        return None
    # A form's name in the first line, or only one column, would have been recognised.
    return unmapped_columns(file.name, [record for record in records if isinstance(record, dict)])


def _count(files: Sequence[DataFile], until: float) -> int | None:
    """Return the number of rows, including invalid ones; None if counting takes too long."""
    rows = 0
    with open_data(files, COUNTED_BYTES) as data:
        for located in data.scan():
            if isinstance(located.record.raw, OversizedFileError):
                return None
            rows += located.location.line > 0
            if time.monotonic() > until:
                return None
    return rows
