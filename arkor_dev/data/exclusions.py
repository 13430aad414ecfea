"""Excluding single rows of a data set by their content.

An entry of ``exclude`` is the hash of a row, with ``#2`` for the second row of its source with this content,
and so on. It finds its row wherever that moves to, and does not apply to a row that has been edited.
"""

from __future__ import annotations

import re
from collections import Counter
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from .rows import RowError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .containers import Raw

ENTRY: Final = re.compile(r"[0-9a-f]{16}(#[1-9][0-9]{0,8})?")
SPACE: Final = b" \t\n\r\f\v"
MAX_ENTRIES: Final = 1000
"""Entries of one source."""


def row_hash(raw: Raw) -> int:
    """Return a 64-bit hash of a record's raw content, ignoring white space; 0 for an unreadable one."""
    if isinstance(raw, RowError):
        return 0
    if isinstance(raw, tuple):  # for a JSON list: its bytes, and the line where they begin
        raw = raw[0]
    if isinstance(raw, list):  # of a table: its cells
        raw = "\0".join(raw).encode(errors="surrogatepass")
    return int.from_bytes(blake2b(raw.translate(None, SPACE), digest_size=8).digest(), "big")


def entry_of(digest: int, occurrence: int) -> str:
    """Return the entry that excludes the row with this hash, the ``occurrence``-th (from 1) of its source."""
    return f"{digest:016x}" + (f"#{occurrence}" if occurrence > 1 else "")


def are_entries(value: object) -> bool:
    """Return whether ``value`` is a list of valid entries, not too many."""
    return (
        isinstance(value, list)
        and len(value) <= MAX_ENTRIES
        and all(isinstance(entry, str) and ENTRY.fullmatch(entry) for entry in value)
    )


class Exclusions:
    """The entries of all sources of a data set, held against its rows in their order.

    ``excluded`` counts the rows that they apply to, ``unmatched`` the entries without a row so far.
    """

    def __init__(self, sources: Iterable[tuple[int, frozenset[str]]]) -> None:
        self._entries = {
            (source, int(digest, 16), int(occurrence or 1))
            for source, entries in sources
            for digest, _, occurrence in (entry.partition("#") for entry in entries)
        }
        self._hashes = {entry[:2] for entry in self._entries}
        self._occurrences: Counter[tuple[int, int]] = Counter()
        self.excluded = 0

    @property
    def unmatched(self) -> int:
        """The number of entries that no row has matched so far."""
        return len(self._entries) - self.excluded

    def match(self, source: int, raw: Raw) -> bool:
        """Return whether the next row, with this raw content, is excluded."""
        key = (source, row_hash(raw))
        if key not in self._hashes:
            return False
        self._occurrences[key] += 1
        matched = (*key, self._occurrences[key]) in self._entries
        self.excluded += matched
        return matched
