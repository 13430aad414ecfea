"""The embeddings and losses of a data set's rows, in files that are written atomically.

    embeddings/rows-<model>-<rows>.npz
    embeddings/losses-<model>-<rows>.npz

``<model>`` is a hash of the base model, for losses also of an adapter and of the settings for reading rows;
``<rows>`` is a hash of the data files' content. Losses of rows that have not changed are taken from any file
for the same model. All of these files can be recreated.
"""

from __future__ import annotations

import contextlib
import json
import os
import zipfile
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar, Final, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from arkor_dev.contract.dataset_shapes import RowGroups

FORMAT: Final = 2
MOST_FILES: Final = 6
"""Maximum number of files of a kind; the oldest ones are removed."""
PART: Final = ".part"


@dataclass(frozen=True, slots=True)
class _Stored:
    """Arrays of one length, and ``facts``."""

    KIND: ClassVar[str]
    facts: Mapping[str, object]

    @classmethod
    def _arrays(cls) -> list[str]:
        return [field.name for field in fields(cls) if field.name != "facts"]

    def write(self, path: Path) -> None:
        """Write the arrays and facts to ``path``. Raises OSError."""
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
        """Read a file; return None if it is missing or damaged."""
        with contextlib.suppress(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in cls._arrays()}
                facts = json.loads(stored["facts"].tobytes())
            if facts["format"] == FORMAT and len({len(values) for values in arrays.values()}) == 1:
                return cls(**arrays, facts=facts)
        return None


@dataclass(frozen=True, slots=True)
class EmbeddedRows(_Stored):
    """Rows and their embeddings.

    ``numbers`` are the rows' numbers on the Data page, 0 for rows of a separate evaluation set. ``vectors``
    are float16 ``[rows, width]``. ``groups`` are the numbers of the rows' groups, -1 if there are none;
    ``points`` are the first two principal components ``[rows, 2]``. ``facts`` describe the groups.
    """

    KIND: ClassVar = "rows"
    facts: RowGroups
    numbers: NDArray[np.uint32]
    vectors: NDArray[np.float16]
    held_out: NDArray[np.bool_]
    groups: NDArray[np.int16]
    points: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class RowLosses(_Stored):
    """Rows and their losses in nats per learned token, nan for rows without learned tokens.

    ``numbers`` are as in `EmbeddedRows`; ``hashes`` are hashes of the rows' contents (`row_hash`).
    """

    KIND: ClassVar = "losses"
    numbers: NDArray[np.uint32]
    hashes: NDArray[np.uint64]
    losses: NDArray[np.float32]

    @classmethod
    def known(cls, folder: Path, model: str) -> dict[int, float]:
        """Return the loss of each row in any file for the ``model``, by the row's hash."""
        rows: dict[int, float] = {}
        for path in _files(folder, f"{cls.KIND}-{model}-*.npz"):
            if stored := cls.read(path):
                rows.update(zip(map(int, stored.hashes), map(float, stored.losses), strict=True))
        return rows


def remove_old(folder: Path, kind: str) -> None:
    """Remove all files of a kind except the newest `MOST_FILES`."""
    for path in list(_files(folder, f"{kind}-*.npz"))[:-MOST_FILES]:
        path.unlink(missing_ok=True)


def _files(folder: Path, pattern: str) -> Iterator[Path]:
    """Yield the files, the newest last."""
    with contextlib.suppress(OSError):
        dated = [(path.stat().st_mtime_ns, path) for path in folder.glob(pattern)]
        yield from (path for _, path in sorted(dated))
