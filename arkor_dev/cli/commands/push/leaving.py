"""The last check before an upload: no file may contain a path of this machine or a token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .faults import PushError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from arkor_dev.data.findings.privacy import Private

WRITTEN: Final = frozenset({"README.md", "adapter_config.json", "config.json", "provenance.json"})
"""Text files that we write. Others (a vocabulary, a template) may contain text that only resembles a path."""
LIMIT: Final = 2**24
CHUNK: Final = 2**22
LEAST: Final = 12
"""Shortest path or secret, in characters, to search for in weights and vocabularies: shorter ones match by
chance.
"""


def check_files(folder: Path, names: Iterable[str], private: Private) -> None:
    """Raise :class:`PushError` if a file reveals this machine. The error names the file, not the content."""
    wanted = [word.encode() for word in (*private.places, *private.secrets) if len(word) >= LEAST]
    for name in names:
        path = folder / name
        if name in WRITTEN and path.stat().st_size <= LIMIT:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            for number, line in enumerate(lines, 1):
                if found := private.found_in_all(line):
                    raise PushError(f"{name} contains {found} in line {number}. Nothing was published.")
        if _holds(path, wanted):
            raise PushError(f"{name} contains a path of this machine, or a token. Nothing was published.")


def _holds(path: Path, wanted: list[bytes]) -> bool:
    """Search the file for any of the words in a single pass."""
    overlap = max(map(len, wanted), default=1) - 1
    before = b""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            window = before + chunk
            if any(word in window for word in wanted):
                return True
            before = window[-overlap:] if overlap else b""
    return False
