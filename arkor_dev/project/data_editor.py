"""Edits the rows of a project's own data files, for Studio's Data page and ``arkor-dev data fix``.

Only files that a trainer of ``arkor.toml`` lists can be written, and only inside the project. A row is
identified by the hash of its content, as in ``exclude`` (see `arkor_dev.data.exclusions`): one that has
changed on disk meanwhile is not found, and nothing is written. Other changes elsewhere are kept.

These calls block.
"""

from __future__ import annotations

import contextlib
import errno
import json
import secrets
import shlex
import threading
from array import array
from collections import OrderedDict
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from arkor_dev.contract import strict_json
from arkor_dev.contract.errors import BadRequestError, ConflictError, NotFoundError, is_disk_full, unwritten
from arkor_dev.contract.units import format_bytes
from arkor_dev.core.atomic_write import ChangedError, state_of
from arkor_dev.core.spliced_file import Splice, opened
from arkor_dev.data import row_edits
from arkor_dev.data.containers import MAX_BYTES
from arkor_dev.data.detect import open_container
from arkor_dev.data.exclusions import entry_of, row_hash
from arkor_dev.data.methods import forms_of
from arkor_dev.data.parquet import Parquet
from arkor_dev.data.row_edits import RowEdit
from arkor_dev.data.rows import DataError, RowError
from arkor_dev.data.sources import SourceError, files_of, parts_of

from .arkor_toml import index_of, parse, read
from .reviews import carry_over

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from arkor_dev.contract.dataset_shapes import DataChanged, EditableRow
    from arkor_dev.contract.shapes import DatasetSource, JobConfig
    from arkor_dev.core.atomic_write import State
    from arkor_dev.core.spliced_file import ReplacedPart, SplicedFile
    from arkor_dev.data.containers import Container
    from arkor_dev.data.reader import DataFile

MOST_ROWS: Final = 1_000_000
"""Maximum number of rows of a file that is edited here: each takes 24 bytes of memory."""
MOST_BYTES: Final = 500 * 10**6
"""Maximum size of a file that is edited here: each edit writes it anew, some 2 seconds at 250 MB/s."""
TOO_LARGE: Final = (
    "{name} has {size}. Each edit writes the whole file anew, so files of more than "
    f"{format_bytes(MOST_BYTES)} are not edited here. Split it, or edit it with another program."
)
INDEXED: Final = 8
"""Maximum number of files whose row positions are cached."""
UNDO: Final = 500
UNDO_BYTES: Final = 64 * 2**20
TRIES: Final = 3
FEW: Final = 8
GONE: Final = (
    "This row has changed on disk since it was shown, so nothing was written. Look at it as it is now, then "
    "edit again."
)
CHANGED: Final = "{name} changed on disk at the same moment, so nothing was written. Try again."
NO_UNDO: Final = (
    "{name} has changed on disk since, where this change was, so it cannot be undone. Nothing was written."
)
PACKED: Final = (
    "{name} is packed ({kind}), so its rows cannot be edited in place. Unpack it into a copy first."
)


@dataclass(frozen=True, slots=True)
class RowChange:
    """A change of the row that ``entry`` names in the source number ``source``.

    It gets a new ``record`` or ``text``, or is removed (``delete``); with ``insert`` it stays, and a row with
    that record, or a copy of it, is added after it. A split row gets a new record, and its rest goes into
    rows ``after`` it; a merged row is removed, and goes ``into`` another changed row.
    """

    source: int
    entry: str
    record: Mapping[str, object] | None = None
    text: str | None = None
    delete: bool = False
    insert: bool = False
    after: Sequence[Mapping[str, object]] = ()
    into: str = ""


class Moved(NamedTuple):
    """The hash of a row's content ``before``, and ``now``; ``unmerged`` if it was not merged with another."""

    before: int
    now: int
    unmerged: bool


@dataclass(slots=True)
class FileRows:
    """The positions of the rows of a file. ``hashes`` are 0 for rows that cannot be read at all."""

    file: DataFile
    state: State
    container: Container
    packed: bool
    offsets: array[int] = field(default_factory=lambda: array("Q"))
    sizes: array[int] = field(default_factory=lambda: array("Q"))
    hashes: array[int] = field(default_factory=lambda: array("Q"))
    broken: bool = False
    """Whether the file cannot be read to its end."""

    @property
    def count(self) -> int:
        """The number of its rows; an unreadable rest of the file counts as one row."""
        return len(self.offsets) + self.broken

    @classmethod
    def of(cls, file: DataFile) -> FileRows:
        """Find the rows of a file. Raises BadRequestError if it cannot be read."""
        try:
            state = state_of(file.path.lstat())
            mapped = (*file.columns.values(), *((file.group,) if file.group else ()))
            container, packed = open_container(file.path, MAX_BYTES, mapped=mapped)
            rows = cls(file, state, container, packed)
            with closing(container):
                if rows.kind is None and rows.size > MOST_BYTES:
                    raise BadRequestError(TOO_LARGE.format(name=file.name, size=format_bytes(rows.size)))
                rows._scan()
        except OSError as fault:
            raise BadRequestError(f"{file.name} cannot be read: {fault.strerror or fault}") from None
        except DataError as fault:
            raise BadRequestError(f"{file.name}: {fault}") from None
        return rows

    def _scan(self) -> None:
        for record in self.container.scan():
            if isinstance(record.raw, DataError):
                self.broken = True
                return
            self.offsets.append(record.offset)
            self.sizes.append(record.size)
            self.hashes.append(row_hash(record.raw))
            if len(self.offsets) > MOST_ROWS:
                raise BadRequestError(
                    f"{self.file.name} has more than {MOST_ROWS:,} rows, too many to edit here. Edit it with "
                    "another program."
                )

    def after(
        self, edits: Mapping[int, RowEdit], replaced: Sequence[tuple[int, int, bytes]], state: State
    ) -> FileRows | None:
        """Return the positions of the rows once ``replaced`` is written; None if it must be read again."""
        if any(edit.after or (edit.remove and not self.offsets[row]) for row, edit in edits.items()):
            return None
        new = FileRows(self.file, state, self.container, self.packed, broken=self.broken)
        ends = [(offset + size, len(text) - size) for offset, size, text in replaced]
        shift = at = first = 0
        for row in [*sorted(edits), len(self.offsets)]:
            # Rows are shifted by what was replaced before them.
            for number in (first, row):
                while at < len(ends) and number < len(self.offsets) and ends[at][0] <= self.offsets[number]:
                    shift, at = shift + ends[at][1], at + 1
                if number == first:
                    new.offsets.extend([offset + shift for offset in self.offsets[first:row]])
            new.sizes.extend(self.sizes[first:row])
            new.hashes.extend(self.hashes[first:row])
            edit = edits.get(row)
            if edit and edit.body is not None:
                grown = next(len(text) - size for offset, size, text in replaced if text is edit.body)
                new.offsets.append(self.offsets[row] + shift)
                new.sizes.append(self.sizes[row] + grown)
                new.hashes.append(row_edits.hash_of(self.container, edit.body))
            first = row + 1
        return new

    @property
    def size(self) -> int:
        """The size of the file, in bytes."""
        return self.state[-1]

    @property
    def kind(self) -> str | None:
        """How the file is packed, if its rows cannot be edited in place."""
        return "Parquet" if isinstance(self.container, Parquet) else "gzip" if self.packed else None


class DataEditor:
    """All edits of one project. Thread-safe; keeps the data for undoing as long as the process runs."""

    def __init__(self, project: Path) -> None:
        self._project = project
        self._lock = threading.Lock()
        self._indexed: OrderedDict[Path, FileRows] = OrderedDict()
        self._undo: OrderedDict[str, list[tuple[str, list[ReplacedPart]]]] = OrderedDict()

    def row(self, trainer: str, number: int) -> EditableRow:
        """Return row ``number`` (from 1) of a trainer's data set for editing. Raises NotFoundError."""
        with self._lock:
            index = number - 1
            files = self._files(trainer)
            for at, file in enumerate(files):
                rows = self._rows(file)
                if index < rows.count:
                    before = [self._rows(other) for other in files[:at] if other.source == file.source]
                    return editable_row(rows, index, before)
                index -= rows.count
            raise NotFoundError(outside_words(config_of(self._project, trainer)))

    def change(self, trainer: str, changes: Sequence[RowChange]) -> DataChanged:
        """Write ``changes``, each file atomically; return how to undo them.

        Raises ConflictError if a row is no longer there, and BadRequestError for what cannot be written.
        """
        with self._lock:
            return self._apply(lambda: self._files(trainer), changes)

    def change_files(self, files: Sequence[DataFile], changes: Sequence[RowChange]) -> DataChanged:
        """Like `change`, for rows of these files, which the caller has read from ``arkor.toml``."""
        with self._lock:
            return self._apply(lambda: files, changes)

    def undo(self, token: str) -> DataChanged:
        """Undo the change with this ``undo``; return the ``undo`` that redoes it.

        Raises ConflictError if another program has changed the same place since.
        """
        with self._lock:
            change = self._undo.get(token)
            if change is None:
                raise ConflictError("This change can no longer be undone: Studio was restarted since.")
            done: list[tuple[str, list[ReplacedPart]]] = []
            rows = 0
            for name, parts in change:
                with self._opened(name) as file:
                    try:
                        done.append((name, file.replace(file.locate(parts))))
                    except ChangedError:
                        raise ConflictError(NO_UNDO.format(name=name)) from None
                rows += len(parts)
            del self._undo[token]
            return {"undo": self._keep(done), "rows": rows, "files": [name for name, _ in done]}

    def files_of(self, trainer: str) -> list[FileRows]:
        """Return the positions of the rows in each file of a trainer's data set. Raises BadRequestError."""
        with self._lock:
            return [self._rows(file) for file in self._files(trainer)]

    def rows_of(self, file: DataFile) -> FileRows:
        """Return the positions of the rows of a file."""
        with self._lock:
            return self._rows(file)

    def _files(self, trainer: str) -> list[DataFile]:
        """Return the files of a trainer's data set up to the first source outside the project."""
        config = config_of(self._project, trainer)
        return files_in(config, self._project)

    def _rows(self, file: DataFile) -> FileRows:
        file = replace(file, selection=None)  # positions of rows do not depend on their judgements
        rows = self._indexed.pop(file.path, None)
        try:
            fresh = rows is not None and rows.state == state_of(file.path.lstat())
        except OSError as fault:
            raise BadRequestError(f"{file.name} cannot be read: {fault.strerror}") from None
        if rows is None or not fresh or rows.file != file:
            rows = FileRows.of(file)
        self._indexed[file.path] = rows
        while len(self._indexed) > INDEXED:
            self._indexed.popitem(last=False)
        return rows

    def _apply(
        self, files_now: Callable[[], Sequence[DataFile]], changes: Sequence[RowChange]
    ) -> DataChanged:
        for attempt in range(TRIES):
            files = [self._rows(file) for file in files_now()]
            by_file: dict[int, dict[int, RowChange]] = {}
            for change, (at, row) in zip(changes, _locate(files, changes), strict=True):
                if row in by_file.setdefault(at, {}):
                    raise BadRequestError("Two changes name the same row. Send one change per row.")
                by_file[at][row] = change
            done: list[tuple[str, list[ReplacedPart]]] = []
            moved: list[Moved] = []
            try:
                for at, of_file in by_file.items():
                    done.append(self._write(files[at], of_file, moved))
            except ChangedError:
                self._indexed.clear()
                if done or attempt == TRIES - 1:
                    name = files[at].file.name
                    raise ConflictError(CHANGED.format(name=name)) from None
                continue
            carry_over(self._project, moved)
            return {
                "undo": self._keep(done), "rows": len(changes), "files": [name for name, _ in done],
            }  # fmt: skip
        raise AssertionError

    def _write(
        self, rows: FileRows, changes: Mapping[int, RowChange], moved: list[Moved]
    ) -> tuple[str, list[ReplacedPart]]:
        """Change rows of a file, and record in ``moved`` what edited rows became."""
        file = rows.file
        if rows.kind is not None:
            raise BadRequestError(PACKED.format(name=file.name, kind=rows.kind))
        with self._opened(file.name) as opened:
            if opened.state != rows.state:
                raise ChangedError
            edits = {row: _edit(rows, row, change, opened) for row, change in changes.items()}
            replaced = row_edits.replacements(rows.container, rows.offsets, rows.sizes, edits, opened.read)
            parts = opened.replace([Splice(*replacement) for replacement in replaced])
            moved += _moved(rows, changes, edits)
            state = opened.new_state()
            current = rows.after(edits, replaced, state) if state else None
            if current is not None:
                self._indexed[file.path] = current
            return file.name, parts

    @contextlib.contextmanager
    def _opened(self, name: str) -> Iterator[SplicedFile]:
        """Open a file of the project for one write. Raises an error with its reason if the disk refuses."""
        try:
            with opened(self._project.resolve(), name) as file:
                yield file
        except OSError as fault:
            if fault.errno == errno.ETXTBSY:
                raise ConflictError(f"{name}: {fault.strerror}. Nothing was written.") from None
            if is_disk_full(fault) or fault.errno == errno.EIO:
                raise unwritten(name, fault) from None
            text = f"{name} cannot be written: {fault.strerror or fault}. It is as it was."
            raise BadRequestError(text) from None

    def _keep(self, done: list[tuple[str, list[ReplacedPart]]]) -> str:
        token = secrets.token_hex(8)
        self._undo[token] = done
        while len(self._undo) > 1 and (len(self._undo) > UNDO or self._undo_size() > UNDO_BYTES):
            self._undo.popitem(last=False)
        return token

    def _undo_size(self) -> int:
        every = (part for change in self._undo.values() for _, parts in change for part in parts)
        return sum(len(part.old) + len(part.new) + 200 for part in every)


def config_of(project: Path, trainer: str) -> JobConfig:
    """Return the config of a trainer in ``arkor.toml``. Raises BadRequestError."""
    trainers = parse(project, read(project))
    chosen = trainers[index_of(trainers, trainer)]
    if "config" not in chosen:
        raise BadRequestError(chosen["problem"])
    return chosen["config"]


def files_in(config: JobConfig, project: Path) -> list[DataFile]:
    """Return the files of a data set up to its first source outside the project. Raises BadRequestError."""
    files: list[DataFile] = []
    try:
        for number, part in enumerate(parts_of(config["datasetSource"])):
            if part["type"] != "file":
                break
            files += files_of(part, project, number, forms_of(config.get("method")))
    except SourceError as fault:
        raise BadRequestError(f"The data set: {fault}") from None
    return files


def outside_name(config: JobConfig) -> str:
    """Return the name of a data set's first source outside the project."""
    part = _outside(config)
    return "" if part is None else part.get("name", "an address")


def _outside(config: JobConfig) -> DatasetSource | None:
    return next((part for part in parts_of(config["datasetSource"]) if part["type"] != "file"), None)


def outside_words(config: JobConfig) -> str:
    """Return why a row is in no file of the project, and how to get it into one."""
    part = _outside(config)
    if part is None:
        return "This row is not in a file of the project."
    if part["type"] != "huggingface":
        return (
            "This row is from an address, so it cannot be edited here. Download the file into the "
            "project, and name it as the dataset."
        )
    name, copy = part["name"], f"data/{part['name'].rpartition('/')[2]}.jsonl"
    chosen = [name, *([part["subset"]] if part.get("subset") else [])]
    load = f"{', '.join(map(json.dumps, chosen))}, split={json.dumps(part.get('split') or 'train')}"
    script = f"from datasets import load_dataset; load_dataset({load}).to_json({json.dumps(copy)})"
    return (
        f"This row is from the Hub ({name}), so it cannot be edited here. Copy the data set with "
        f"python -c {shlex.quote(script)} and name the copy as the dataset: {copy}"
    )


def _locate(files: Sequence[FileRows], changes: Sequence[RowChange]) -> list[tuple[int, int]]:
    """Return the file and the row in it that each change names. Raises ConflictError if one is not there."""
    entries = [(change.source, *change.entry.partition("#")[::2]) for change in changes]
    digests = {int(digest, 16) for _, digest, _ in entries} - {0}
    positions: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for at, rows in enumerate(files):
        for row in _rows_with(rows.hashes, digests):
            positions.setdefault((rows.file.source, rows.hashes[row]), []).append((at, row))
    rows_found = []
    for source, name, occurrence in entries:
        matches, number = positions.get((source, int(name, 16)), []), int(occurrence or 1)
        if number > len(matches):
            raise ConflictError(GONE)
        rows_found.append(matches[number - 1])
    return rows_found


def _rows_with(hashes: array[int], digests: set[int]) -> list[int]:
    """Return the rows with any of ``digests``, in order; few digests are found ten times as fast."""
    if len(digests) > FEW:
        return [row for row, digest in enumerate(hashes) if digest in digests]
    rows = []
    for digest in digests:
        row = -1
        with contextlib.suppress(ValueError):
            while True:
                rows.append(row := hashes.index(digest, row + 1))
    return sorted(rows)


def _edit(rows: FileRows, row: int, change: RowChange, file: SplicedFile) -> RowEdit:
    container, offset = rows.container, rows.offsets[row]
    raw = file.read(offset, rows.sizes[row])
    _, body, _ = row_edits.body_of(container, offset, raw)
    if row_edits.hash_of(container, body) != rows.hashes[row]:
        raise ChangedError
    if change.delete:
        return RowEdit(remove=True)
    try:
        if change.record is not None:
            new = row_edits.with_record(container, body, change.record)
        elif change.text is not None:
            new = row_edits.with_text(container, change.text)
        else:
            new = body
        after = tuple(row_edits.with_record(container, body, record) for record in change.after)
    except RowError as fault:
        raise BadRequestError(f"The row cannot be written: {fault}.") from None
    return RowEdit(after=(new,)) if change.insert else RowEdit(body=new, after=after)


def _moved(rows: FileRows, changes: Mapping[int, RowChange], edits: Mapping[int, RowEdit]) -> Iterator[Moved]:
    """Yield the new content of each edited, split or merged row, whose judgements must be kept."""
    merged = {changes[row].into: row for row in edits if changes[row].into}
    for row, edit in edits.items():
        if edit.body is None:
            continue
        merged_row = merged.get(changes[row].entry)
        for body in (edit.body, *edit.after):
            now = row_edits.hash_of(rows.container, body)
            yield Moved(rows.hashes[row], now, merged_row is None)
            if merged_row is not None:
                yield Moved(rows.hashes[merged_row], now, unmerged=False)


def editable_row(rows: FileRows, row: int, before: Sequence[FileRows]) -> EditableRow:
    """Return a row (from 0) of a file for editing; ``before`` are the preceding files of its source."""
    file, container = rows.file, rows.container
    digest = rows.hashes[row] if row < len(rows.hashes) else 0
    editable: EditableRow = {
        "file": file.name,
        "source": file.source,
        "columns": dict(file.columns),
        "entry": "",
        "record": None,
        "text": None,
    }
    if rows.kind is not None:
        problem = PACKED.format(name=file.name, kind=rows.kind)
        return {**editable, "packed": rows.kind, "problem": problem}
    if not digest:
        return {**editable, "problem": "This row cannot be read as text. Edit the file with another program."}
    occurrence = sum(rows_before.hashes.count(digest) for rows_before in before) + rows.hashes[
        : row + 1
    ].count(digest)
    editable["entry"] = entry_of(digest, occurrence)
    with file.path.open("rb") as content:
        content.seek(rows.offsets[row])
        raw = content.read(rows.sizes[row])
    _, body, _ = row_edits.body_of(container, rows.offsets[row], raw)
    if row_edits.hash_of(container, body) != digest:
        raise ConflictError(GONE)
    try:
        editable["text"] = body.decode()
        record = row_edits.value_of(container, body)
    except UnicodeDecodeError:
        return {**editable, "problem": "This row is not UTF-8. Save the file as UTF-8."}
    except RowError as fault:
        return {**editable, "problem": str(fault)}
    if _is_exact(record):
        editable["record"] = record
    return editable


def _is_exact(record: Mapping[str, object]) -> bool:
    """Return whether every JSON parser reads the same from the record."""
    try:
        strict_json.parse(json.dumps(record).encode())
    except (strict_json.StrictJSONError, RecursionError, ValueError):
        return False
    return True
