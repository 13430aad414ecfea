"""The last look at what is about to leave: no path of this machine, no token, in whichever file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .faults import PushError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from arkor_dev.data.findings.privacy import Private

WRITTEN: Final = frozenset({"README.md", "adapter_config.json", "config.json", "provenance.json"})
"""Texts that are made here. Others (a vocabulary, a template) may hold what only looks like a path."""
LIMIT: Final = 2**24
CHUNK: Final = 2**22
LEAST: Final = 12
"""Characters of a place or a secret that weights and vocabularies are searched for: fewer may be chance."""


def check_files(folder: Path, names: Iterable[str], private: Private) -> None:
    """Raise :class:`PushError` where a file tells of this machine: the file is named, not what it tells."""
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
    """Whether any of the words is in the file, which is read once."""
    overlap = max(map(len, wanted), default=1) - 1
    before = b""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            window = before + chunk
            if any(word in window for word in wanted):
                return True
            before = window[-overlap:] if overlap else b""
    return False
