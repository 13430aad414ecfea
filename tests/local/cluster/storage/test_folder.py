"""A folder that machines share: this user's own, and nothing in it is followed elsewhere."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from arkor_dev.local.cluster.protocol import KEPT_SECONDS
from arkor_dev.local.cluster.storage.node_side import NodeStorage
from arkor_dev.local.cluster.storage.shared import SharedFiles

from .conftest import JOB, STATE, Machine

HASH = hashlib.sha256(STATE).hexdigest()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder that is shared."""
    (tmp_path / "mnt").mkdir()
    return tmp_path / "mnt"


@pytest.fixture
def own(root: Path) -> Path:
    """This user's folder in it."""
    return root / f"arkor-dev-{os.getuid()}"


def test_shared_files_are_private(tmp_path: Path, root: Path, own: Path) -> None:
    Machine(tmp_path / "one", str(root)).save("checkpoints/10/state.pt")
    assert own.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("other", ["link", "pipe", "folder"])
def test_special_files_in_storage_are_refused(tmp_path: Path, root: Path, own: Path, other: str) -> None:
    node = Machine(tmp_path / "one", str(root))
    node.save("checkpoints/10/state.pt")
    [path] = (own / JOB).iterdir()
    path.unlink()
    (tmp_path / "elsewhere").write_bytes(STATE)
    make = {"link": lambda: path.symlink_to(tmp_path / "elsewhere"), "folder": path.mkdir}
    make.get(other, lambda: os.mkfifo(path))()
    assert node.takes(HASH, len(STATE)) is None
    # The file takes its place, and what a link leads to stays as it was.
    node.save("checkpoints/10/state.pt")
    assert (tmp_path / "elsewhere").read_bytes() == STATE
    assert (node.takes(HASH, len(STATE)) is None) == (other == "folder")


def test_storage_of_old_jobs_is_deleted_after_a_week(tmp_path: Path, root: Path, own: Path) -> None:
    for age, name in ((KEPT_SECONDS + 60, "job_old"), (KEPT_SECONDS - 60, "job_young")):
        SharedFiles.open(str(root), name).put({"ab" * 32: Path(__file__)}, ["ab" * 32])
        assert [path.name for path in (own / name).iterdir()] == ["ab" * 32]
        os.utime(own / name, (time.time() - age,) * 2)
    Machine(tmp_path / "one", str(root))
    assert {path.name for path in own.iterdir()} == {"job_young", JOB}


def test_an_unusable_storage_folder_has_its_reason(tmp_path: Path, root: Path, own: Path) -> None:
    node = NodeStorage(tmp_path / JOB)
    assert node.use(str(root / "none")) == f"no such folder: {root}/none".encode()
    own.mkdir(mode=0o755)
    own.chmod(0o755)
    assert b"is not private to this user" in node.use(str(root))
    own.rmdir()
    (root / "elsewhere").mkdir(mode=0o700)
    own.symlink_to(root / "elsewhere")
    assert b"is not private to this user" in node.use(str(root))
    assert not node.fetch(HASH, len(STATE), tmp_path, tmp_path / "target")
    node.put(
        [{"name": "checkpoints/1/state.pt", "sha256": HASH, "bytes": len(STATE)}], tmp_path
    )  # it does nothing
    assert list((root / "elsewhere").iterdir()) == []
    with pytest.raises(OSError, match="not private to this user"):
        SharedFiles.open(str(root), JOB, writes=False)


def test_a_failed_write_to_storage_leaves_nothing(
    tmp_path: Path, root: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError("No space left on device")

    node = Machine(tmp_path / "one", str(root))
    monkeypatch.setattr(os, "fsync", full)
    node.save("checkpoints/10/state.pt")
    assert list((own / JOB).iterdir()) == []
