"""Our own code on its way to a node: this very version's, without Studio, by its hash."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tempfile
import time
from pathlib import Path
from typing import Final

import arkor_dev
from arkor_dev.local.jobs.whole_folder import PART

PACKAGE: Final = Path(arkor_dev.__file__).parent
TRAVELS: Final = ("__init__.py", "contract", "data", "local")
"""What training needs of the package."""
ENDINGS: Final = (".py", ".jsonl")
OLD_SECONDS: Final = 86400.0


def files() -> list[tuple[str, Path]]:
    """Every file that travels, by its name within the package, in the order of the names."""
    found = []
    for name in TRAVELS:
        paths = [PACKAGE / name] if name.endswith(".py") else (PACKAGE / name).rglob("*")
        found += [(path.relative_to(PACKAGE).as_posix(), path) for path in paths if path.suffix in ENDINGS]
    return sorted(found)


def packed(cache: Path) -> Path:
    """A folder ``arkor_dev`` with all of that, in one that is called by the hash; made where it is not there.

    Ray sends it, once a cluster, and each node keeps it by its own hash. Raises OSError.
    """
    digest, found = hashlib.sha256(), files()
    for name, path in found:
        content = path.read_bytes()
        digest.update(f"{name} {len(content)}\n".encode() + content)
    folder = cache / "cluster-code" / digest.hexdigest()[:32]
    if folder.is_dir():
        return folder / PACKAGE.name
    folder.parent.mkdir(parents=True, exist_ok=True)
    _sweep(folder.parent)
    # Other processes may be at it as well: each writes a folder of its own.
    with tempfile.TemporaryDirectory(prefix=f"{folder.name}-", suffix=PART, dir=folder.parent) as made:
        part = Path(made) / folder.name
        for name, path in found:
            target = part / PACKAGE.name / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        try:
            part.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another one was quicker
                raise
    return folder / PACKAGE.name


def _sweep(folder: Path) -> None:
    """Remove what a process that was killed has left."""
    for path in folder.glob(f"*{PART}"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > OLD_SECONDS:
                shutil.rmtree(path)
