"""Storage that machines share: a folder, and an object store."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from arkor_dev.local.cluster.protocol import file_entry
from arkor_dev.local.cluster.storage import remote
from arkor_dev.local.cluster.storage.node_side import NodeStorage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from arkor_dev.local.cluster.protocol import ListedFile

JOB = "job_0123456789ab"
STATE = b"the state of a training"


@dataclass
class Shelf:
    """Where the job's files lie: ``root`` as it is written, and how a test gets at them behind its back."""

    root: str
    folder: Path | None = None
    inside: dict[str, bytes] = field(default_factory=dict)

    def names(self) -> set[str]:
        """What lies there of the job."""
        if self.folder is None:
            from .bucket import Bucket

            found = {path.rpartition("/")[2] for path in Bucket.store if f"/{JOB}/" in path}
        else:
            found = {path.name for path in self.folder.iterdir()}
        return {name for name in found if not name.startswith(remote.MARK)}

    def change(self, name: str, content: bytes) -> None:
        """Let the file there have other bytes."""
        assert name in self.names()
        if self.folder is None:
            from .bucket import Bucket

            Bucket().pipe_file(f"/bucket/jobs/{remote.OWN}/{JOB}/{name}", content)
        else:
            (self.folder / name).write_bytes(content)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an object store that is visible in this process."""
    pytest.importorskip("fsspec")
    from fsspec.registry import _registry

    from .bucket import Bucket

    monkeypatch.setitem(_registry, "s3", Bucket)
    monkeypatch.setitem(remote.PACKAGES, "s3", "fsspec")
    Bucket.reset()
    yield "s3://bucket/jobs"
    Bucket.released.set()


@pytest.fixture(params=["folder", "bucket"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Shelf:
    """Each of the places in turn."""
    if request.param == "folder":
        (tmp_path / "mnt").mkdir()
        return Shelf(str(tmp_path / "mnt"), folder=tmp_path / "mnt" / f"arkor-dev-{os.getuid()}" / JOB)
    return Shelf(request.getfixturevalue("bucket"))


class Machine:
    """A node with a job's folder, which uses what is shared."""

    def __init__(self, home: Path, root: str) -> None:
        self.job, self.home, self.heard = home / "data" / "jobs" / JOB, home, 0
        self.job.mkdir(parents=True)
        self.share = NodeStorage(self.job, self._hear)
        assert self.share.use(root) == b""

    def _hear(self) -> None:
        self.heard += 1

    def save(self, name: str, content: bytes = STATE) -> list[ListedFile]:
        """Write a file of the job and keep it there, as a snapshot does; its entry."""
        path = self.job / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        entries: list[ListedFile] = [{"name": name, **file_entry(path)}]
        self.share.put(entries, self.job)
        return entries

    def takes(self, sha256: str, size: int) -> bytes | None:
        """The file of that hash, as the node comes by it; None where it is not there."""
        target = self.home / "taken"
        target.unlink(missing_ok=True)
        if not self.share.fetch(sha256, size, self.home, target):
            assert {path.name for path in self.home.iterdir()} == {"data"}
            return None
        return target.read_bytes()
