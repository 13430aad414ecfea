"""Short names for weights, derived from the files' contents and not from their folder."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

ENDS: Final = 1 << 20
"""Number of bytes read at each end of a file: reading all of a large model would take minutes."""
DIGITS: Final = 12
MOST: Final = 64


class WeightsNames:
    """Names of weights, cached until their files change."""

    def __init__(self) -> None:
        self._names: dict[tuple[tuple[str, int, int], ...], str] = {}

    def of(self, *folders: Path) -> str:
        """Name the weights in ``folders``, a base's and perhaps an adapter's. Raises OSError."""
        files = [path for folder in folders for path in sorted(folder.glob("*.safetensors"))]
        stats = [path.stat() for path in files]
        key = tuple(
            (str(path), stat.st_size, stat.st_mtime_ns) for path, stat in zip(files, stats, strict=True)
        )
        if key not in self._names:
            if len(self._names) >= MOST:
                self._names.clear()
            self._names[key] = self._read(files)
        return self._names[key]

    @staticmethod
    def _read(files: list[Path]) -> str:
        digest = hashlib.sha256()
        for path in files:
            with path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                digest.update(f"{path.name} {size}\n".encode())
                for offset in (0, max(0, size - ENDS)):
                    file.seek(offset)
                    digest.update(file.read(ENDS))
        return digest.hexdigest()[:DIGITS]
