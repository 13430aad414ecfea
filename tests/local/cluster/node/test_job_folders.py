"""A node's folder is this user's alone, and the same one again where somebody else has taken its name."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

import pytest

from arkor_dev.local.cluster.node import job_folders

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_the_node_folder_is_private(temporary: Path) -> None:
    folder = job_folders.user_folder()
    assert folder == temporary / f"arkor-dev-{os.getuid()}"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert job_folders.user_folder() == folder


@pytest.mark.parametrize("taken", ["file", "open to others", "link"])
def test_a_taken_name_uses_one_other_folder(temporary: Path, taken: str) -> None:
    usual = temporary / f"arkor-dev-{os.getuid()}"
    if taken == "file":
        usual.touch()
    elif taken == "link":
        (temporary / "elsewhere").mkdir(mode=0o700)
        usual.symlink_to(temporary / "elsewhere")
    else:
        usual.mkdir(mode=0o777)
        usual.chmod(0o777)
    folder = job_folders.user_folder()
    assert folder != usual
    assert folder.stat().st_mode & 0o777 == 0o700
    # What one job has left the next one finds, and removes.
    assert job_folders.user_folder() == folder
