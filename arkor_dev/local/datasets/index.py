"""An index of the position of each row in a data set's files, for random access; built in steps."""

from __future__ import annotations

import time
from array import array
from bisect import bisect_left
from typing import TYPE_CHECKING

from arkor_dev.data.exclusions import entry_of, row_hash
from arkor_dev.data.reader import EXCLUDED, LEFT_OUT, RowLocation, open_data
from arkor_dev.data.rows import RowError
from arkor_dev.data.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arkor_dev.data.reader import DataFile, Item


class Index:
    """The rows of some files, numbered from 1. Invalid and excluded rows are included."""

    def __init__(self, files: Sequence[DataFile]) -> None:
        self.complete = False
        self.data = open_data(files)
        self._states = self._look()
        # 22 bytes per row: at most 220 MB for ten million rows.
        self._files, self._offsets, self._lines = array("H"), array("Q"), array("I")
        self._hashes = array("Q")
        self.out: dict[str, set[int]] = {EXCLUDED: set(), LEFT_OUT: set()}
        """The rows excluded from training, by reason."""
        self.by_source = [0] * (1 + max((file.source for file in files), default=0))
        """How many rows of each source are not excluded."""
        self._scan = self.data.scan(every=True)

    def __len__(self) -> int:
        return len(self._offsets)

    def step(self, seconds: float) -> None:
        """Continue indexing for ``seconds``."""
        until = time.monotonic() + seconds
        for scanned in self._scan:
            self._files.append(scanned.location.file)
            self._offsets.append(scanned.location.offset)
            self._lines.append(scanned.location.line)
            self._hashes.append(row_hash(scanned.record.raw))
            if scanned.out:
                self.out[scanned.out].add(scanned.location.number)
            else:
                self.by_source[self.data.files[scanned.location.file].source] += 1
            if time.monotonic() > until:
                return
        self.complete = True

    def item(self, number: int) -> Item:
        """Read an indexed row."""
        return self.data.read(self._location(number))

    def source(self, number: int) -> int:
        """Return the number of a row's source."""
        return self.data.files[self._files[number - 1]].source

    def exclusion(self, number: int) -> tuple[int, str]:
        """Return the number of a row's source, and the entry of ``exclude`` that applies to the row."""
        at = number - 1
        source = self.source(number)
        first = next(index for index, file in enumerate(self.data.files) if file.source == source)
        before = self._hashes[bisect_left(self._files, first) : at]
        return source, entry_of(self._hashes[at], before.count(self._hashes[at]) + 1)

    def raw(self, number: int, size: int) -> str:
        """Return a row as it is written in its file, up to ``size`` characters."""
        located = self.data.locate(self._location(number))
        raw = located.record.raw
        if isinstance(raw, list) and isinstance(located.container, Table):
            return located.container.to_line(raw)[:size]
        if isinstance(raw, tuple):  # for a JSON list: its bytes, and the line where they begin
            raw = raw[0]
        if isinstance(raw, bytes):
            return raw[: 4 * size].decode(errors="replace")[:size]
        return "" if isinstance(raw, RowError) else str(raw)[:size]

    def _location(self, number: int) -> RowLocation:
        at = number - 1
        return RowLocation(number, self._files[at], self._offsets[at], self._lines[at], 0)

    @property
    def changed(self) -> bool:
        """Return whether a file has changed since it was opened."""
        return self._look() != self._states

    def close(self) -> None:
        self._scan.close()
        self.data.close()

    def _look(self) -> list[tuple[int, ...] | None]:
        states: list[tuple[int, ...] | None] = []
        for file in self.data.files:
            try:
                state = file.path.stat()
                states.append((state.st_dev, state.st_ino, state.st_mtime_ns, state.st_size))
            except OSError:
                states.append(None)
        return states
