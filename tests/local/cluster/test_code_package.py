"""Our own code on its way to a node is whole, whoever else packs it at the same time."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

from arkor_dev.local.cluster import code_package
from arkor_dev.local.jobs.atomic_folder import PART

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_concurrent_packaging_is_safe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The look at a cluster and the drivers of jobs are processes that know nothing of each other."""
    right, count, other = shutil.copyfile, 0, []

    def copyfile(source: Path, target: Path) -> Any:
        nonlocal count
        count += 1
        if count == 5:
            other.append(code_package.package_code(tmp_path))
        return right(source, target)

    monkeypatch.setattr(shutil, "copyfile", copyfile)
    folder = code_package.package_code(tmp_path)
    assert other == [folder]
    assert names(folder) == [name for name, _ in code_package.source_files()]
    assert [path.name for path in folder.parents[1].iterdir()] == [folder.parent.name]


def test_leftovers_of_killed_packaging_are_deleted(tmp_path: Path) -> None:
    old, young = (tmp_path / "cluster-code" / f"{name}{PART}" for name in ("old", "young"))
    for path in (old, young):
        (path / "arkor_dev").mkdir(parents=True)
    os.utime(old, (0, 0))
    code_package.package_code(tmp_path)
    assert not old.exists()
    assert young.exists()
