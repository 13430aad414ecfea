"""Searches files and databases of this machine for passages of deleted rows.

Weights are not searched: which adapters learned from the rows follows from their jobs (``dependents``).
Blocking, and for untrusted files: runs in a process of its own (``search_worker``). All files are read as
data, with limits; links are not followed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from arkor_dev.contract.forget import MOST_COPIES, TextCopy
from arkor_dev.contract.regular_files import open_inside
from arkor_dev.data.passages import texts_of
from arkor_dev.data.reader import DataFile, open_data
from arkor_dev.data.rows import RowError
from arkor_dev.local.jobs.database import DATABASE
from arkor_dev.local.jobs.disk import RESERVE, embeddings_folder
from arkor_dev.local.jobs.job_folder import CHECKPOINTS, EXPORTS, JOBS, RESUME, STATE
from arkor_dev.teacher.ledger import FILE as LEDGER

from .file_texts import LATE, FileTexts, UnreadableFileError, reason, strings_of
from .git_objects import objects_of
from .messages import Found

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from arkor_dev.data.passages import Passages

    Kind = Literal["data", "file", "export", "event", "log", "job", "answer", "cache"]

LARGEST: Final = 256 << 20
"""Bytes of a file up to which it is searched."""
SECONDS: Final = 240.0
"""Time for all files; a deletion searches twice, and clients wait ten minutes."""
GIT_SECONDS: Final = 60.0
"""Of these, the time for the objects of Git repositories, which come last and may be those of a large one."""
MOST_UNSEARCHED: Final = 100
SHOWN_PARTS: Final = 3
"""Unsearched parts of a file that are named."""
WEIGHTS: Final = (".safetensors", ".gguf")
PASSED: Final = frozenset({"node_modules", ".venv", "venv", "__pycache__"})
"""Names of a project's folders that are not searched, which the result says."""
GIT: Final = ".git"
GIT_OBJECTS: Final = "objects"
OF_GIT: Final = frozenset({"annex", "lfs", "modules"})
"""Folders in ``.git`` that are not searched: files and repositories of other kinds."""
OWN_DATABASES: Final = frozenset(name + end for name in (DATABASE, LEDGER) for end in ("", "-wal", "-shm"))
TABLES: Final = {
    "events": ("event", ("job", "id"), ("data",), "name != 'training.log'"),
    "endpoint_requests": ("log", ("seq",), ("said", "error"), "1"),
    "jobs": ("job", ("id",), ("config", "notes", "tags", "error", "evaluation"), "1"),
}
"""Tables of the jobs' database: kind, key, and the columns that are searched in which rows."""


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
        self._seen: set[str] = set()
        self._repositories: list[Path] = []
        self._end = 0.0

    def run(self) -> Found:
        """Search everything."""
        self._end = time.monotonic() + SECONDS
        if self._passages:
            for database, search in ((DATABASE, self._database), (LEDGER, self._ledger)):
                try:
                    search()
                except (sqlite3.Error, UnreadableFileError) as fault:
                    self.found.unsearched.append(f"{self._data / database} ({reason(fault)})")
        self._folder(self._data, self._own_file)
        if embeddings_folder(self._data).is_dir():
            self._add(
                "cache", "embeddings of rows, as vectors", "embeddings", path=embeddings_folder(self._data)
            )
        self._folder(self._project, self._project_file)
        above = next((one for one in self._project.resolve().parents if (one / GIT).exists()), None)
        if above and self._project not in self._repositories:
            self._repositories.append(above)
            if (above / GIT).is_dir():
                self._folder(above / GIT, self._project_file)
        self._end = min(self._end, time.monotonic() + GIT_SECONDS)
        for repository in self._repositories if self._passages else ():
            self._history(repository)
        found = self.found
        found.copies_count, found.unsearched_count = len(found.copies), len(found.unsearched)
        del found.copies[MOST_COPIES:], found.unsearched[MOST_UNSEARCHED:]
        return found

    # Files

    def _folder(self, top: Path, add: Callable[[Path, str], None]) -> None:
        for folder, folders, names in os.walk(top, onerror=self._unlisted):
            if top != self._data:
                passed = OF_GIT if Path(folder).name == GIT else PASSED
                self.found.unsearched += [
                    f"{self._name(Path(folder) / name)}/ (not searched)"
                    for name in sorted(passed.intersection(folders))
                ]
                folders[:] = sorted(set(folders) - passed)
                if Path(folder).name == GIT:  # Git reads its objects, and its index has none
                    folders[:] = [name for name in folders if name != GIT_OBJECTS]
                    names = [name for name in names if name != "index"]
                if GIT in (*folders, *names):
                    self._repositories.append(Path(folder))
            for name in sorted(names):
                path = Path(folder) / name
                if path.is_symlink() or not path.is_file():
                    continue
                relative = path.relative_to(top).as_posix()
                if self._passed_over(top, relative):
                    continue
                if self._holds(top, relative):
                    add(path, relative)

    def _name(self, path: Path) -> str:
        """Return a path as the result names it: of a file of the project, the one within it."""
        try:
            return path.relative_to(self._project).as_posix()
        except ValueError:
            return str(path)

    def _unlisted(self, fault: OSError) -> None:
        self.found.unsearched.append(f"{fault.filename}/ ({reason(fault)})")

    def _passed_over(self, top: Path, relative: str) -> bool:
        """Return whether a file has no text by what it is: weights, and what is searched elsewhere."""
        if relative.lower().endswith(WEIGHTS):
            return True
        if top != self._data:
            return False
        parts = relative.split("/")
        is_state = parts[0] == JOBS and parts[2:3] in ([CHECKPOINTS], [RESUME]) and parts[4:] == [STATE]
        is_vector = embeddings_folder(self._data) in (top / relative).parents
        return relative in (*OWN_DATABASES, RESERVE) or is_state or is_vector

    def _holds(self, top: Path, relative: str) -> bool:
        """Return whether a file has a passage; note what of it cannot be searched."""
        self.found.files += 1
        name = self._name(top / relative)
        texts = FileTexts()
        try:
            with open_inside(top, relative) as file:
                size = os.fstat(file.fileno()).st_size
                self.found.bytes += size
                if not self._passages:
                    return False
                if size > LARGEST:
                    raise UnreadableFileError("too large")
                if relative.lower().endswith(".parquet"):
                    return self._parquet(top / relative)
                self._check_time()
                if any(self._are_in(text) for text in texts.read(relative, file)):
                    return True
        except Exception as fault:  # noqa: BLE001 - one file, whatever is wrong with it, must not end the search
            texts.missed.append(reason(fault))
        if texts.missed:
            more = len(texts.missed) - SHOWN_PARTS
            parts = [*texts.missed[:SHOWN_PARTS], *([f"{more:,} more"] if more > 0 else [])]
            self.found.unsearched.append(f"{name} ({', '.join(parts)})")
        return False

    def _are_in(self, pieces: Iterator[str]) -> bool:
        return self._passages.are_in_pieces(self._timely(pieces))

    def _timely(self, pieces: Iterator[str]) -> Iterator[str]:
        for piece in pieces:
            self._check_time()
            yield piece

    def _check_time(self) -> None:
        if time.monotonic() > self._end:
            raise UnreadableFileError(LATE)

    def _parquet(self, path: Path) -> bool:
        with open_data([DataFile(path, path.name)], LARGEST) as rows:
            for item in rows:
                self._check_time()
                if isinstance(item.row, RowError):
                    raise UnreadableFileError("a row of it is not read")
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

    def _project_file(self, path: Path, _: str) -> None:
        kind: Kind = "data" if path in self._data_files else "file"
        self._add(kind, self._name(path), f"project/{self._name(path)}")

    def _history(self, repository: Path) -> None:
        """Search the objects of a Git repository."""
        name = self._name(repository / GIT)
        holding: list[str] = []
        missed: list[str] = []
        faults = ["the folder that it names"] if (repository / GIT).is_file() else []
        try:
            for one in objects_of(repository, self._end - time.monotonic()):
                self._check_time()
                texts = FileTexts()
                try:
                    if any(self._are_in(text) for text in one.texts(texts)):
                        holding.append(one.id)
                        continue
                except Exception as fault:  # noqa: BLE001 - one object, whatever is wrong with it
                    texts.missed.append(reason(fault))
                missed += texts.missed[:1]
        except (UnreadableFileError, OSError) as fault:
            faults.append(reason(fault))
        if missed:
            whys = ", ".join(sorted(set(missed))[:SHOWN_PARTS])
            faults.append(f"{len(missed):,} of its files: {whys}")
        if faults:
            self.found.unsearched.append(f"the history in {name} ({'; '.join(faults)})")
        if holding:
            count = f"{len(holding):,} objects" if len(holding) > 1 else "one object"
            self._add(
                "file", f"{count} of the history in {name}, such as {min(holding)[:12]}", f"git/{repository}"
            )

    # Databases

    def _database(self) -> None:
        with contextlib.closing(_reading(self._data / DATABASE)) as db:
            for table, (kind, key, columns, where) in TABLES.items():
                query = f"SELECT {', '.join([*key, *columns])} FROM {table} WHERE {where}"  # noqa: S608 - our own names
                for row in db.execute(query):
                    if any(map(self._in_text, row[len(key) :])):
                        self._row(table, kind, tuple(row[: len(key)]))

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
        self.found.keys[copy] = [table, *map(str, values)]

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
                    self.found.keys[copy] = ["answers", str(digest)]

    def _in_text(self, text: object) -> bool:
        self._check_time()
        return isinstance(text, str) and any(map(self._passages.are_in, strings_of(text)))

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
        if identity not in self._seen:
            self._seen.add(identity)
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
