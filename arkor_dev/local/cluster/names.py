"""The names of files on their way to a node and back. Standard library alone: both sides use it."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

PART: Final = re.compile(r"[^\x00-\x1f\x7f/\\]{1,255}")
DEPTH: Final = 20
SHA256: Final = re.compile(r"[0-9a-f]{64}")
FOLDERS: Final = ("checkpoints", "resume", "final", "evaluation")
"""What of a job's folder comes back."""
CHUNK: Final = 8 << 20
"""Bytes of a file that travel at once."""


def is_safe(name: object) -> bool:
    """Whether a relative name stays in its folder."""
    if not isinstance(name, str):
        return False
    parts = name.split("/")
    return len(parts) <= DEPTH and all(PART.fullmatch(part) and part not in (".", "..") for part in parts)


def described(path: Path) -> dict[str, Any]:
    """A file's ``bytes`` and ``sha256``; raises OSError."""
    with path.open("rb") as file:
        return {"sha256": hashlib.file_digest(file, "sha256").hexdigest(), "bytes": file.tell()}
