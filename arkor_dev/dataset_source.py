"""What a trainer's ``dataset`` means: a file of the project, a data set of a hub, or an address.

A file is checked and its rows are counted here, before anything is sent, because a person who mistyped a
path should read so at once and not from a failed job.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from .trainer_options import is_line

if TYPE_CHECKING:
    from .contract import DatasetSource

COUNTED_BYTES = 256 * 1024 * 1024


class DatasetError(Exception):
    """Why a dataset cannot be used; ``key`` is the key inside its table, where there is one."""

    def __init__(self, text: str, key: str | None = None) -> None:
        super().__init__(text)
        self.key = key


def file_source(project: Path, written: str) -> DatasetSource:
    """The file that ``written`` names, as a path relative to the project, symlinks of files resolved.

    Raises DatasetError when it is outside the project, missing, or no file.
    """
    if "://" in written:
        raise DatasetError(f'is an address. Write it as a table: dataset = {{ url = "{written}" }}')
    if not is_line(1000)(written):
        raise DatasetError("must be a path on one line")
    root = project.resolve()
    named = root / written
    path = named.resolve()
    home = _home(root, named)
    if not path.is_relative_to(home):
        raise DatasetError(
            f'"{written}" is outside the project. Copy the file into {root.name}/ and name that'
        )
    if path.is_dir():
        raise DatasetError(
            f'"{written}" is a folder. Name one JSONL file, such as "{written.rstrip("/")}/train.jsonl"'
        )
    if not path.is_file():
        raise DatasetError(
            f'there is no file "{written}" in the project. Create it, one chat a line, or correct the path'
            + _hub_hint(written)
        )
    inside = path if home == root else named
    return {"type": "file", "path": inside.relative_to(root).as_posix()}


def _home(root: Path, named: Path) -> Path:
    """Where a file has to lie once links are resolved: the project, or a folder that the project links to.

    A folder of the project that is a link (a large data set on another disk) is its owner's own doing.
    """
    if ".." not in named.parts and named.is_relative_to(root):
        for folder in reversed(named.parents):
            if folder != root and folder.is_relative_to(root) and folder.is_symlink():
                return folder.resolve()
    return root


def table_source(table: dict[str, object]) -> DatasetSource:
    """A table ``{huggingface, split?, subset?}`` or ``{url}``; raises DatasetError."""
    for key, value in table.items():
        if not is_line(2000)(value):
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


def count_rows(project: Path, source: DatasetSource) -> int | None:
    """How many non-empty lines a file source has; None for other sources and for files past 256 MiB."""
    if source["type"] != "file":
        return None
    path = project / source["path"]
    try:
        stat = path.stat()
        if stat.st_size > COUNTED_BYTES:
            return None
        return _count(path, stat.st_mtime_ns, stat.st_size)
    except OSError:
        return None


@lru_cache(maxsize=64)
def _count(path: Path, _modified: int, _size: int) -> int:
    with path.open("rb") as lines:
        return sum(1 for line in lines if line.strip())


def _hub_hint(written: str) -> str:
    if written.count("/") == 1 and not Path(written).suffix:
        return f'. For a data set of the hub write dataset = {{ huggingface = "{written}" }}'
    return ""
