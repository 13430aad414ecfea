"""Short names of weights: the same for the same files, in whatever folder they are."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

ENDS: Final = 1 << 20
"""Bytes read at each end of a file: reading all of a large model would take minutes."""
DIGITS: Final = 12
MOST: Final = 64


class WeightsNames:
    """Names of weights, cached while their files do not change."""

    def __init__(self) -> None:
        self._known: dict[tuple[tuple[str, int, int], ...], str] = {}

    def of(self, *folders: Path) -> str:
        """Name the weights in ``folders``, a base's and perhaps an adapter's. Raises OSError."""
        files = [path for folder in folders for path in sorted(folder.glob("*.safetensors"))]
        found = [path.stat() for path in files]
        key = tuple(
            (str(path), each.st_size, each.st_mtime_ns) for path, each in zip(files, found, strict=True)
        )
        if key not in self._known:
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[key] = self._read(files)
        return self._known[key]

    @staticmethod
    def _read(files: list[Path]) -> str:
        digest = hashlib.sha256()
        for path in files:
            with path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                digest.update(f"{path.name} {size}\n".encode())
                for place in (0, max(0, size - ENDS)):
                    file.seek(place)
                    digest.update(file.read(ENDS))
        return digest.hexdigest()[:DIGITS]
