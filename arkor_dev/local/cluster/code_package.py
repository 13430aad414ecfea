"""Builds the copy of our package for nodes: its code without Studio, in a folder named by its hash."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tempfile
import time
from pathlib import Path
from typing import Final

import arkor_dev
from arkor_dev.local.jobs.atomic_folder import PART

PACKAGE: Final = Path(arkor_dev.__file__).parent
INCLUDED: Final = ("__init__.py", "contract", "data", "local")
"""The parts of the package that training needs."""
SUFFIXES: Final = (".py", ".jsonl")
STALE_SECONDS: Final = 86400.0


def source_files() -> list[tuple[str, Path]]:
    """Return all files to send, by their names within the package, sorted."""
    files = []
    for name in INCLUDED:
        paths = [PACKAGE / name] if name.endswith(".py") else (PACKAGE / name).rglob("*")
        files += [(path.relative_to(PACKAGE).as_posix(), path) for path in paths if path.suffix in SUFFIXES]
    return sorted(files)


def package_code(cache: Path) -> Path:
    """Return a folder ``arkor_dev`` with these files, creating it under ``cache`` if needed. Raises OSError.

    Ray uploads it once per cluster, and each node caches it by Ray's own hash.
    """
    digest, files = hashlib.sha256(), source_files()
    for name, path in files:
        content = path.read_bytes()
        digest.update(f"{name} {len(content)}\n".encode() + content)
    folder = cache / "cluster-code" / digest.hexdigest()[:32]
    if folder.is_dir():
        return folder / PACKAGE.name
    folder.parent.mkdir(parents=True, exist_ok=True)
    _sweep(folder.parent)
    # Other processes may do the same concurrently: each writes its own folder, and the first rename wins.
    with tempfile.TemporaryDirectory(prefix=f"{folder.name}-", suffix=PART, dir=folder.parent) as temporary:
        part = Path(temporary) / folder.name
        for name, path in files:
            target = part / PACKAGE.name / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        try:
            part.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    return folder / PACKAGE.name


def _sweep(folder: Path) -> None:
    """Remove leftovers of killed processes."""
    for path in folder.glob(f"*{PART}"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(path)
