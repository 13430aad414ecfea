"""The embeddings and losses of a data set's rows, in files that appear whole or not at all.

    embeddings/rows-<model>-<rows>.npz
    embeddings/losses-<model>-<rows>.npz

``<model>`` is a hash of the base model, for losses also of an adapter and of how rows are read; ``<rows>``
one of the data files' content. A file with losses of the same model gives those of all rows that have not
changed. Anything here can be made again.
"""

from __future__ import annotations

import contextlib
import json
import os
import zipfile
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORMAT: Final = 2
KEPT: Final = 6
"""Most files of a kind; the oldest ones are removed."""
PART: Final = ".part"


@dataclass(frozen=True, slots=True)
class _Stored:
    """Arrays of one length, and ``facts``."""

    KIND: ClassVar[str]
    facts: dict[str, Any]

    @classmethod
    def _arrays(cls) -> list[str]:
        return [each.name for each in fields(cls) if each.name != "facts"]

    def write(self, path: Path) -> None:
        """Write it to ``path``. Raises OSError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays = {name: getattr(self, name) for name in self._arrays()}
        facts = np.frombuffer(json.dumps({**self.facts, "format": FORMAT}).encode(), np.uint8)
        part = path.with_name(f".{path.name}.{os.getpid()}{PART}")
        try:
            with part.open("wb") as file:
                np.savez(file, facts=facts, **arrays)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Return what is in the file; None without one, or for a damaged one."""
        with contextlib.suppress(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            with path.open("rb") as file, np.load(file, allow_pickle=False) as found:
                arrays = {name: found[name] for name in cls._arrays()}
                facts = json.loads(found["facts"].tobytes())
            if facts["format"] == FORMAT and len({len(each) for each in arrays.values()}) == 1:
                return cls(**arrays, facts=facts)
        return None


@dataclass(frozen=True, slots=True)
class EmbeddedRows(_Stored):
    """Rows and their embeddings.

    ``numbers`` are those of the Data page, 0 for rows of a separate evaluation set. ``vectors`` are float16
    ``[rows, width]``. ``groups`` are the numbers of the rows' groups, -1 without groups; ``points`` are the
    first two principal components ``[rows, 2]``. ``facts`` describe the groups.
    """

    KIND: ClassVar = "rows"
    numbers: Any
    vectors: Any
    held_out: Any
    groups: Any
    points: Any


@dataclass(frozen=True, slots=True)
class RowLosses(_Stored):
    """Rows and their losses in nats per learned token, nan for rows with none.

    ``numbers`` as in `EmbeddedRows`; ``hashes`` are those of the rows' contents (`row_hash`).
    """

    KIND: ClassVar = "losses"
    numbers: Any
    hashes: Any
    losses: Any

    @classmethod
    def known(cls, folder: Path, model: str) -> dict[int, float]:
        """Return the loss of each row that any file of the ``model`` has, by the row's hash."""
        rows: dict[int, float] = {}
        for path in _files(folder, f"{cls.KIND}-{model}-*.npz"):
            if found := cls.read(path):
                rows.update(zip(map(int, found.hashes), map(float, found.losses), strict=True))
        return rows


def remove_old(folder: Path, kind: str) -> None:
    """Remove the oldest files of a kind beyond `KEPT`."""
    for path in list(_files(folder, f"{kind}-*.npz"))[:-KEPT]:
        path.unlink(missing_ok=True)


def _files(folder: Path, pattern: str) -> Iterator[Path]:
    """Yield the files, the latest last."""
    with contextlib.suppress(OSError):
        found = [(path.stat().st_mtime_ns, path) for path in folder.glob(pattern)]
        yield from (path for _, path in sorted(found))
