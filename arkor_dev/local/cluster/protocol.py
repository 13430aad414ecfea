"""Definitions shared by both ends of a cluster job: file names, hashes, chunk size, identity proof.

Standard library only, since both ends import it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import TYPE_CHECKING, Final, NotRequired, TypedDict

if TYPE_CHECKING:
    from pathlib import Path

PART: Final = re.compile(r"[^\x00-\x1f\x7f/\\]{1,255}")
DEPTH: Final = 20
SHA256: Final = re.compile(r"[0-9a-f]{64}")
RETURNED_FOLDERS: Final = ("checkpoints", "resume", "final", "evaluation")
"""Folders of a job that are fetched from the node."""
CHUNK: Final = 8 << 20
"""Maximum bytes of a file in one call."""
KEPT_SECONDS: Final = 7 * 24 * 3600
"""Seconds for which a node and a store keep an unused file."""


def is_safe_name(name: object) -> bool:
    """Return whether a relative name stays within its folder."""
    if not isinstance(name, str):
        return False
    parts = name.split("/")
    return len(parts) <= DEPTH and all(PART.fullmatch(part) and part not in (".", "..") for part in parts)


class HashedFile(TypedDict):
    """Size and hash of a file."""

    bytes: int
    sha256: str


class ListedFile(HashedFile):
    """A file by its name in the job's folder."""

    name: str


class ExitStatus(TypedDict):
    """How a worker ended: whether the system ``killed`` it, and a sentence about the ``cause``."""

    killed: NotRequired[bool]
    cause: str


class MachineFacts(TypedDict, total=False):
    """Which packages a node has installed, and which of the needed ones are ``missing``."""

    python: str
    versions: dict[str, str]
    missing: list[str]


class NodeFacts(MachineFacts, total=False):
    """Also the ``node``'s address, and the job's folder there."""

    node: str
    home: str


def file_entry(path: Path) -> HashedFile:
    """Return a file's size and hash. Raises OSError."""
    with path.open("rb") as file:
        return {"sha256": hashlib.file_digest(file, "sha256").hexdigest(), "bytes": file.tell()}


def proof(nonce: str, name: str, challenge: str) -> str:
    """Return the response (hexadecimal) to ``challenge`` of the actor that has ``nonce`` (hexadecimal)."""
    text = f"arkor-dev place\n{name}\n{challenge}"
    return hmac.new(bytes.fromhex(nonce), text.encode(), hashlib.sha256).hexdigest()
