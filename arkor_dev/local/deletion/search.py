"""Searches files and databases of this machine for passages of deleted rows.

Weights are not searched: which adapters learned from the rows follows from their jobs (``dependents``).
Blocking: call from a thread. All files are read as data, with limits; links are not followed.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import sqlite3
import tarfile
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Literal, cast

from arkor_dev.contract.forget import MOST_COPIES, TextCopy
from arkor_dev.contract.regular_files import NotRegularError, open_inside
from arkor_dev.data.passages import texts_of
from arkor_dev.data.reader import DataFile, open_data
from arkor_dev.data.rows import RowError
from arkor_dev.local.jobs.database import DATABASE
from arkor_dev.local.jobs.disk import embeddings_folder
from arkor_dev.local.jobs.job_folder import EXPORTS, JOBS
from arkor_dev.teacher.ledger import FILE as LEDGER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from arkor_dev.data.passages import Passages

    Kind = Literal["data", "file", "export", "event", "log", "job", "answer", "cache"]

LARGEST: Final = 256 << 20
"""Bytes of a file, unpacked, up to which it is searched."""
MEMBERS: Final = 10_000
MOST_UNSEARCHED: Final = 100
WEIGHTS: Final = (".safetensors", ".gguf", ".pt", ".pth", ".bin", ".onnx", ".npy", ".npz", ".f16", ".whl")
PASSED: Final = frozenset({".git", "node_modules", ".venv", "venv", "__pycache__"})
"""Names of a project's folders that are not searched."""
PACKED: Final = (".tar", ".tgz", ".zip")
SQLITE: Final = (".sqlite", ".sqlite-wal", ".sqlite-shm")
BINARY_PROBE: Final = 4096
_JOB_TEXT: Final = "config || ' ' || notes || ' ' || tags || ' ' || coalesce(error, '')"
TABLES: Final = {
    "events": ("event", "job, id", "data", "name != 'training.log'"),
    "endpoint_requests": ("log", "seq", "coalesce(said, '') || ' ' || coalesce(error, '')", "1"),
    "jobs": ("job", "id", f"{_JOB_TEXT} || ' ' || coalesce(evaluation, '')", "1"),
}
"""Tables of the jobs' database: kind, key, and the text that is searched in which rows."""


@dataclass
class Found:
    """The result of a search. ``paths`` and ``keys`` say what to delete for the id of a copy."""

    copies: list[TextCopy] = field(default_factory=list)
    unsearched: list[str] = field(default_factory=list)
    files: int = 0
    bytes: int = 0
    paths: dict[str, Path] = field(default_factory=dict)
    keys: dict[str, tuple[str, tuple[str | int, ...]]] = field(default_factory=dict)


class Search:
    """Searches for ``passages`` in the backend's folder ``data`` and the ``project``.

    ``job_names`` are by id, ``data_files`` the files of the project that a job trains on.
    """

    def __init__(
        self, passages: Passages, data: Path, project: Path, job_names: dict[str, str], data_files: set[Path]
    ) -> None:
        self._passages, self._data, self._project = passages, data, project
        self._names, self._data_files = job_names, data_files
        self.found = Found()

    def run(self) -> Found:
        """Search everything."""
        self._folder(self._data, self._own_file)
        if embeddings_folder(self._data).is_dir():
            self._add(
                "cache", "embeddings of rows, as vectors", "embeddings", path=embeddings_folder(self._data)
            )
        if self._passages:
            self._database()
            self._ledger()
        self._folder(self._project, self._project_file)
        del self.found.copies[MOST_COPIES:], self.found.unsearched[MOST_UNSEARCHED:]
        return self.found

    # Files

    def _folder(self, top: Path, add: Callable[[Path, str], None]) -> None:
        for folder, folders, names in os.walk(top):
            folders[:] = sorted(name for name in folders if name not in PASSED)
            for name in sorted(names):
                path = Path(folder) / name
                relative = path.relative_to(top).as_posix()
                if name.endswith((*WEIGHTS, *SQLITE)) or path.is_symlink() or not path.is_file():
                    continue
                if self._holds(top, relative):
                    add(path, relative)

    def _holds(self, top: Path, relative: str) -> bool:
        """Return whether a file has a passage; note one that cannot be searched."""
        self.found.files += 1
        name = str(top / relative) if top == self._data else relative
        try:
            with open_inside(top, relative) as file:
                size = os.fstat(file.fileno()).st_size
                self.found.bytes += size
                if size > LARGEST:
                    raise ValueError
                if not self._passages:
                    return False
                if relative.endswith(".parquet"):
                    return self._parquet(top / relative)
                return any(self._passages.are_in(text) for text in texts_in(relative, file))
        except (
            OSError,
            ValueError,
            EOFError,
            zlib.error,
            NotRegularError,
            tarfile.TarError,
            zipfile.BadZipFile,
        ):
            self.found.unsearched.append(name)
            return False

    def _parquet(self, path: Path) -> bool:
        with open_data([DataFile(path, path.name)], LARGEST) as rows:
            for item in rows:
                if isinstance(item.row, RowError):
                    raise ValueError
                if any(self._passages.are_in(text) for text in texts_of(item.row)):
                    return True
        return False

    def _own_file(self, path: Path, relative: str) -> None:
        parts = relative.split("/")
        if parts[0] != JOBS or len(parts) < 3:
            self._add("cache", relative, relative, path=path)
            return
        job, name = parts[1], self._names.get(parts[1], parts[1])
        if parts[2] == EXPORTS:
            export = parts[3].partition(".")[0]
            self._add("export", f"export {export} of {name}", f"{job}/{export}", job, path=path)
        else:
            self._add("file", f"{'/'.join(parts[2:])} of {name}", relative, job, path=path)

    def _project_file(self, path: Path, relative: str) -> None:
        kind: Kind = "data" if path in self._data_files else "file"
        self._add(kind, relative, f"project/{relative}")

    # Databases

    def _database(self) -> None:
        with contextlib.closing(_reading(self._data / DATABASE)) as db:
            for table, (kind, key, text, where) in TABLES.items():
                query = f"SELECT {text}, {key} FROM {table} WHERE {where}"  # noqa: S608 - our own names
                for content, *values in db.execute(query):
                    if self._in_text(content):
                        self._row(table, kind, tuple(values))

    def _row(self, table: str, kind: str, values: tuple[str | int, ...]) -> None:
        if table == "endpoint_requests":
            copy = self._add(
                "log", f"request {values[0]} in the log of an endpoint", f"log/{values[0]}", rows=True
            )
        else:
            job = str(values[0])
            name = self._names.get(job, job)
            if table == "jobs":
                self._add("job", f"settings, notes or verdict of {name}", f"row/{job}", job)
                return
            copy = self._add(
                "event", f"event {values[1]} of {name}", f"event/{job}/{values[1]}", job, rows=True
            )
        self.found.keys[copy] = (table, values)

    def _ledger(self) -> None:
        path = self._data / LEDGER
        if not path.exists():
            return
        with contextlib.closing(_reading(path)) as db:
            for digest, answer in db.execute("SELECT hash, answer FROM answers"):
                if self._in_text(answer):
                    copy = self._add(
                        "answer", f"kept answer {digest[:12]} of a teacher", f"answer/{digest}", rows=True
                    )
                    self.found.keys[copy] = ("answers", (digest,))

    def _in_text(self, text: object) -> bool:
        return isinstance(text, str) and any(map(self._passages.are_in, _decoded(text)))

    def _add(
        self,
        kind: Kind,
        name: str,
        key: str,
        job: str | None = None,
        path: Path | None = None,
        *,
        rows: bool = False,
    ) -> str:
        """Add a copy, unless it is listed; return its id."""
        identity = hashlib.sha256(f"{kind}\0{key}".encode(errors="surrogatepass")).hexdigest()[:16]
        if all(copy["id"] != identity for copy in self.found.copies):
            deletable = path is not None or rows
            copy: TextCopy = {"id": identity, "kind": kind, "name": name, "deletable": deletable}
            if job is not None:
                copy["job"] = job
            self.found.copies.append(copy)
        if path is not None:
            self.found.paths[identity] = path
        return identity


def _reading(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    db.text_factory = lambda text: text.decode(errors="replace")
    return db


def texts_in(name: str, file: IO[bytes]) -> Iterator[str]:
    """Yield the texts of a file, by its name: of archives, those of their members.

    Raises ValueError for one that is larger than ``LARGEST`` when unpacked, and the errors of its format.
    """
    if name.endswith(".gz"):
        with gzip.GzipFile(fileobj=file) as unpacked:
            yield from texts_in(name.removesuffix(".gz"), io.BytesIO(_limited(cast("IO[bytes]", unpacked))))
    elif name.endswith((".tar", ".tgz")):
        with tarfile.open(fileobj=file) as archive:
            for number, member in enumerate(archive):
                stream = archive.extractfile(member) if member.isfile() else None
                if number >= MEMBERS:
                    raise ValueError
                if stream and not member.name.endswith((*WEIGHTS, *PACKED)):
                    yield from texts_in(member.name, io.BytesIO(_limited(stream)))
    elif name.endswith(".zip"):
        with zipfile.ZipFile(file) as packed:
            for entry in packed.namelist()[:MEMBERS]:
                if not entry.endswith((*WEIGHTS, *PACKED, "/")):
                    with packed.open(entry) as part:
                        yield from texts_in(entry, io.BytesIO(_limited(part)))
    elif name.endswith((".jsonl", ".ndjson")):
        for line in file:
            yield from _decoded(line.decode(errors="replace"))
    else:
        content = _limited(file)
        if b"\0" not in content[:BINARY_PROBE]:
            text = content.decode(errors="replace")
            yield from _decoded(text) if name.endswith(".json") else (text,)


def _limited(file: IO[bytes]) -> bytes:
    content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError
    return content


def _decoded(text: str) -> Iterator[str]:
    """Yield the strings of a JSON value, keys included; of anything else, the text."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        yield text
        return
    yield from _strings(value)


def _strings(value: object) -> Iterator[str]:
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
            # A string may be JSON itself, such as the arguments of a call.
            if value[:1] in ("{", "["):
                with contextlib.suppress(ValueError, RecursionError):
                    waiting.append(json.loads(value))
        elif isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, list):
            waiting += value
