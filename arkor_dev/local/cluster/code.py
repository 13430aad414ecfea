"""Our own code on its way to a node: this very version's, without Studio, by its hash."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Final

import arkor_dev
from arkor_dev.local.jobs.whole_folder import PART

PACKAGE: Final = Path(arkor_dev.__file__).parent
TRAVELS: Final = ("__init__.py", "contract", "data", "local")
"""What training needs of the package."""
ENDINGS: Final = (".py", ".jsonl")


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
    part = folder.with_name(f"{folder.name}{PART}")
    shutil.rmtree(part, ignore_errors=True)
    for name, path in found:
        target = part / PACKAGE.name / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    try:
        part.rename(folder)
    except OSError:  # another job was quicker
        shutil.rmtree(part, ignore_errors=True)
    return folder / PACKAGE.name
