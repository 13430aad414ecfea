"""The archive of this package that is sent to another machine, and the requirements to install there."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import arkor_dev
from arkor_dev import __version__
from arkor_dev.contract import extras
from arkor_dev.identity.engine import GPU_EXTRAS

if TYPE_CHECKING:
    from collections.abc import Iterator

EXTRAS: Final = ("local", "hub", "parquet")
MODULES: Final = ("torch", "transformers", "peft", "aiohttp", "aiohttp_sse", "yarl", "platformdirs")
"""Modules that the selected Python there must have, since nothing is installed into it."""
LEFT_OUT: Final = ("static", "site", "__pycache__")
"""The page and the documentation stay here."""


def _files() -> Iterator[tuple[str, bytes]]:
    root = Path(arkor_dev.__file__).parent
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root.parent)
        if path.is_file() and not any(part in LEFT_OUT for part in name.parts[1:]):
            yield name.as_posix(), path.read_bytes()


def digest() -> str:
    """Return a hash of this package's code: machines with the same hash run the same program."""
    hasher = hashlib.sha256()
    for name, content in _files():
        hasher.update(f"{name}\0{len(content)}\0".encode() + content)
    return hasher.hexdigest()[:20]


def packed() -> bytes:
    """Return the package as a zip archive."""
    with io.BytesIO() as buffer:
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in _files():
                archive.writestr(name, content)
        return buffer.getvalue()


def requirements() -> tuple[list[str], list[str]]:
    """Return the requirements for local training, and further ones for NVIDIA GPUs."""
    return extras.requirements("", *EXTRAS), extras.requirements(*GPU_EXTRAS)


def environment(needs: list[str]) -> str:
    """Return the name of the environment that has ``needs`` for this version."""
    return f"{__version__}-{hashlib.sha256(repr(sorted(needs)).encode()).hexdigest()[:8]}"
