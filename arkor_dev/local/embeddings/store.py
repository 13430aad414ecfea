"""The embeddings of a data set's rows, in one file that appears whole or not at all.

    embeddings/<model>-<rows>.npz

``<model>`` is a hash of the base model and of how it reads rows, ``<rows>`` one of the files' content. A file
of the same model gives the vectors of all rows that have not changed. Anything here can be made again.
"""

from __future__ import annotations

import contextlib
import json
import os
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORMAT: Final = 1
KEPT: Final = 6
"""Most files; the oldest ones are removed."""
PART: Final = ".part"


@dataclass(frozen=True, slots=True)
class EmbeddedRows:
    """Rows and what the model makes of them; arrays of one length.

    ``numbers`` are those of the Data page, 0 for rows of a separate evaluation set; ``hashes`` are those of
    the rows' contents (`row_hash`). ``vectors`` are float16 ``[rows, width]``, ``losses`` nats per learned
    token, nan for rows with none. ``groups`` are the numbers of the rows' groups, -1 without groups;
    ``points`` are the first two principal components ``[rows, 2]``. ``facts`` describe the groups.
    """

    numbers: Any
    hashes: Any
    vectors: Any
    losses: Any
    held_out: Any
    groups: Any
    points: Any
    facts: dict[str, Any]

    def write(self, path: Path) -> None:
        """Write it to ``path``. Raises OSError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays = {name: getattr(self, name) for name in ARRAYS}
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


ARRAYS: Final = ("numbers", "hashes", "vectors", "losses", "held_out", "groups", "points")


def read(path: Path) -> EmbeddedRows | None:
    """Return what is in the file; None without one, or for a damaged one."""
    with contextlib.suppress(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        with path.open("rb") as file, np.load(file, allow_pickle=False) as found:
            arrays = {name: found[name] for name in ARRAYS}
            facts = json.loads(found["facts"].tobytes())
        count = len(arrays["numbers"])
        if facts["format"] == FORMAT and all(len(each) == count for each in arrays.values()):
            return EmbeddedRows(**arrays, facts=facts)
    return None


def known(folder: Path, model: str) -> dict[int, tuple[Any, float]]:
    """Return the vector and loss of each row that any file of the ``model`` has, by the row's hash."""
    rows: dict[int, tuple[Any, float]] = {}
    for path in _files(folder):
        if path.name.startswith(f"{model}-") and (found := read(path)):
            values = zip(found.vectors, map(float, found.losses), strict=True)
            rows.update(zip(map(int, found.hashes), values, strict=True))
    return rows


def remove_old(folder: Path) -> None:
    """Remove the oldest files beyond `KEPT`."""
    for path in list(_files(folder))[:-KEPT]:
        path.unlink(missing_ok=True)


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files, the latest last."""
    with contextlib.suppress(OSError):
        found = [(path.stat().st_mtime_ns, path) for path in folder.glob("*.npz")]
        yield from (path for _, path in sorted(found))
