"""The files of a data set: one file of the project, a folder of them, or several."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.rules import text_line

from .detect import SUFFIXES
from .forms import FORMS
from .reader import DataFile
from .reviews import ALL, FILE, ReviewsError, read_reviews, selection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from arkor_dev.contract.shapes import DatasetSource

    from .forms import Form
    from .reviews import Selection

FILES: Final = 1000
REPLAY: Final = "replayDataset"
"""The field of a job's config with the path of its replay data set."""
CORPUS: Final = "corpus"
"""The field of a job's config with the path of the documents that an embedder's verdict searches."""
SHOWN_CHARACTERS: Final = 80


class SourceError(Exception):
    """Why a data set cannot be used, for the user; ``key`` is the invalid key inside its table."""

    def __init__(self, text: str, key: str | None = None) -> None:
        super().__init__(text)
        self.key = key


def parts_of(source: DatasetSource) -> list[DatasetSource]:
    """Return the sources in a ``list``; any other source is its own only part."""
    return source["sources"] if source["type"] == "list" else [source]


def name_of(source: DatasetSource) -> str:
    """Return the name by which the user knows a data set."""
    if source["type"] == "list":
        return ", ".join(map(name_of, source["sources"]))
    return source.get("path") or source.get("name") or "the downloaded data set"


def weights_of(source: DatasetSource) -> list[float]:
    """Return how often an epoch uses the training rows of each part of ``source``."""
    weights = (part.get("weight") for part in parts_of(source))
    return [1 if weight is None else weight for weight in weights]


def uses_of(rows: int, weight: float) -> int:
    """Return how many rows of an epoch are from a source with so many training ``rows``, copies included."""
    return int(weight) * rows + round(weight % 1 * rows)


def check_mixture(source: DatasetSource, project: Path) -> None:
    """Raise SourceError if a file is in two parts of ``source``, or no part has a weight above 0."""
    if not any(weights_of(source)):
        raise SourceError("has weight 0 for every source, so no row is left to train on", "weight")
    seen: set[Path] = set()
    root = project.resolve()
    for part in parts_of(source):
        files = inside(project, part["path"]) if part["type"] == "file" else []
        if twice := next((path for path in files if path in seen), None):
            name = _shortened(twice.relative_to(root).as_posix())
            raise SourceError(
                f'"{name}" is in the list twice, and rows that are held out must not be trained on. Name it '
                f'once; {{ path = "{name}", weight = 2 }} uses each row twice'
            )
        seen.update(files)


def file_like(source: DatasetSource, path: str) -> DatasetSource:
    """Return the source of the file ``path``, whose rows are read in the same form as those of ``source``."""
    file: DatasetSource = {"type": "file", "path": path}
    if (form := source.get("form")) is not None:
        file["form"] = form
    if (columns := source.get("columns")) is not None:
        file["columns"] = columns
    return file


def sources_of(config: Mapping[str, Any]) -> Iterator[tuple[str, DatasetSource]]:
    """Yield every data set that a job's config reads, by its field: also those of replay and search."""
    for field in ("datasetSource", "evalDatasetSource"):
        if config.get(field):
            yield field, config[field]
    for field in (REPLAY, CORPUS):
        if path := config.get(field):
            yield field, {"type": "file", "path": path, "only": ALL}


def files_of(
    source: DatasetSource, project: Path, number: int = 0, forms: Mapping[str, Form] = FORMS
) -> list[DataFile]:
    """Return every file of a source of type ``file``, sorted by name. Raises SourceError.

    ``number`` is that of the source in its data set, from 0; ``forms`` are those that its rows may have.
    """
    root = project.resolve()
    judged = _selected(source, project)
    return [
        DataFile(
            path,
            path.relative_to(root).as_posix(),
            source.get("form"),
            source.get("columns") or {},
            source.get("group"),
            forms=forms,
            exclude=frozenset(source.get("exclude") or ()),
            source=number,
            selection=judged,
        )
        for path in inside(project, source["path"])
    ]


def _selected(source: DatasetSource, project: Path) -> Selection | None:
    only = source.get("only", "")
    try:
        return None if only == ALL else selection(read_reviews(project, source.get("reviewed")), only)
    except ReviewsError as fault:
        raise SourceError(str(fault).removesuffix(".")) from None


def every_file(
    source: DatasetSource, project: Path, fetch: Callable[[DatasetSource], DataFile]
) -> list[DataFile]:
    """Return every file of a source of any type; ``fetch`` downloads one from outside the project."""
    files: list[DataFile] = []
    for number, part in enumerate(parts_of(source)):
        if part["type"] == "file":
            files += files_of(part, project, number)
        else:
            entries, judged = frozenset(part.get("exclude") or ()), _selected(part, project)
            files.append(replace(fetch(part), exclude=entries, source=number, selection=judged))
    return files


def resolved(project: Path, text: str) -> Path:
    """Return the real path of a file or folder inside the project. Raises SourceError for any other."""
    if "://" in text:
        raise SourceError(f'is an address. Write it as a table: dataset = {{ url = "{text}" }}')
    if not text_line(1000).fits(text):
        raise SourceError("must be a path on one line")
    root = project.resolve()
    short = _shortened(text)
    try:
        # Not Path.resolve: whether it raises for a loop of symlinks depends on the Python.
        path = Path(os.path.realpath(root / text))
        if not path.is_relative_to(root):
            raise SourceError(
                f'"{short}" is outside the project. Copy the file into {root.name}/ and name that'
            )
        if path.is_symlink():
            raise SourceError(f'"{short}" is a symlink that leads back to itself. Name the file itself')
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise SourceError(
            f'"{short}" is not in the project. Create it, with one row per line, or correct the path'
            + _hub_hint(text)
        ) from None
    except OSError as fault:
        raise SourceError(f'"{short}" cannot be read ({fault.strerror}). Correct the path') from None
    if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
        raise SourceError(f'"{short}" is not a regular file. Name a JSONL file with one row per line')
    return path


def inside(project: Path, text: str) -> list[Path]:
    """Return the real paths of the file, or of a folder's files, named by ``text``. Raises SourceError."""
    path = resolved(project, text)
    if not path.is_dir():
        return [path]
    root, files = project.resolve(), []
    for name in _data_files(path):
        if name == root / FILE:
            continue  # judgements are not rows
        files.append(resolved(project, name.relative_to(root).as_posix()))
        if len(files) > FILES:
            raise SourceError(
                f'"{_shortened(text)}" holds more than {FILES:,} files. Put their rows into fewer'
            )
    if not files:
        suffixes = ", ".join(suffix.removeprefix(".") for suffix in SUFFIXES)
        raise SourceError(
            f'"{_shortened(text)}" is a folder without data files ({suffixes}, or one of these as gz). '
            "Put some there, or name a file"
        )
    return files


def _data_files(folder: Path) -> Iterator[Path]:
    """Yield the data files of a folder and its subfolders, by their names, without hidden ones."""
    for at, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and name.lower().removesuffix(".gz").endswith(SUFFIXES):
                yield Path(at) / name


def _raise(error: OSError) -> None:
    raise SourceError(f'"{_shortened(str(error.filename))}" cannot be read ({error.strerror})')


def _shortened(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 1]}…"


def _hub_hint(text: str) -> str:
    if text.count("/") == 1 and not Path(text).suffix:
        return f'. For a data set of the hub write dataset = {{ huggingface = "{text}" }}'
    return ""
