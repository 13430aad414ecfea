"""A folder that machines share saves a way: what is not there, or other, comes as it would without it."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from arkor_dev.contract.placement.address import SHARED_FOLDER
from arkor_dev.local.cluster.answers import HostileError
from arkor_dev.local.cluster.away.leftovers import KEPT_SECONDS
from arkor_dev.local.cluster.connection import Place
from arkor_dev.local.cluster.names import described
from arkor_dev.local.cluster.returns import Returns
from arkor_dev.local.cluster.shared import NodeShare, Shared, share, taken
from arkor_dev.local.server.interruptions import _moved

JOB = "job_0123456789ab"
STATE = b"the state of a training"
HASH = hashlib.sha256(STATE).hexdigest()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder that is shared."""
    (tmp_path / "mnt").mkdir()
    return tmp_path / "mnt"


class Machine:
    """A node with a job's folder, which uses the shared one."""

    def __init__(self, home: Path, root: Path) -> None:
        self.job = home / "data" / "jobs" / JOB
        self.job.mkdir(parents=True)
        self.share = NodeShare(self.job)
        assert self.share.use(str(root)) == b""

    def save(self, name: str, content: bytes = STATE) -> list[dict[str, Any]]:
        """Write a file of the job and keep it there, as a snapshot does; its entry."""
        path = self.job / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        entries = [{"name": name, **described(path)}]
        self.share.put(entries, self.job)
        return entries


def there(root: Path) -> set[str]:
    return {path.name for path in (root / f"arkor-dev-{os.getuid()}" / JOB).iterdir()}


def test_what_one_machine_keeps_another_one_goes_on_from(tmp_path: Path, root: Path) -> None:
    Machine(tmp_path / "one", root).save("checkpoints/10/state.pt")
    assert (root / f"arkor-dev-{os.getuid()}").stat().st_mode & 0o777 == 0o700
    other, target = Machine(tmp_path / "two", root), tmp_path / "target"
    assert other.share.take(HASH, target)
    assert (target.read_bytes(), other.share.taken) == (STATE, 1)
    assert not other.share.take("0" * 64, target)
    assert not other.share.take("../x", target)
    assert other.share.taken == 1


@pytest.mark.parametrize("other", ["bytes", "link", "pipe", "folder"])
def test_what_is_not_the_file_of_its_hash_is_not_taken(tmp_path: Path, root: Path, other: str) -> None:
    node = Machine(tmp_path / "one", root)
    node.save("checkpoints/10/state.pt")
    [path] = (root / f"arkor-dev-{os.getuid()}" / JOB).iterdir()
    if other == "bytes":
        path.write_bytes(STATE[::-1])
    else:
        path.unlink()
        (tmp_path / "elsewhere").write_bytes(STATE)
        make = {"link": lambda: path.symlink_to(tmp_path / "elsewhere"), "folder": path.mkdir}
        make.get(other, lambda: os.mkfifo(path))()
    assert not node.share.take(HASH, tmp_path / "target")
    assert not (tmp_path / "target").exists()


def test_of_checkpoints_that_are_gone_nothing_stays(tmp_path: Path, root: Path) -> None:
    node = Machine(tmp_path / "one", root)
    node.save("checkpoints/10/state.pt")
    (node.job / "checkpoints/10/state.pt").unlink()
    [entry] = node.save("checkpoints/20/state.pt", b"later")
    assert there(root) == {entry["sha256"]}
    # What it goes on from on another machine stays as long as that is there.
    other = Machine(tmp_path / "two", root)
    (other.job / "checkpoints/20").mkdir(parents=True)
    (other.job / "checkpoints/20/state.pt").write_bytes(b"later")
    other.share.laid(f"data/jobs/{JOB}/checkpoints/20/state.pt", entry["sha256"])
    [later] = other.save("resume/30/state.pt", b"much later")
    assert there(root) == {entry["sha256"], later["sha256"]}


def test_results_do_not_lie_there(tmp_path: Path, root: Path) -> None:
    node = Machine(tmp_path / "one", root)
    node.save("final/adapter_model.safetensors")
    node.save("evaluation/answers.jsonl", b"{}")
    assert there(root) == set()


def test_what_a_job_has_left_goes_after_a_week(tmp_path: Path, root: Path) -> None:
    for age, name in ((KEPT_SECONDS + 60, "job_old"), (KEPT_SECONDS - 60, "job_young")):
        Shared.of(str(root), name).put(Path(__file__), "ab" * 32)
        os.utime(root / f"arkor-dev-{os.getuid()}" / name, (time.time() - age,) * 2)
    Machine(tmp_path / "one", root)
    assert {path.name for path in (root / f"arkor-dev-{os.getuid()}").iterdir()} == {"job_young", JOB}


def test_a_folder_that_is_not_there_or_not_ours_is_not_used_and_the_reason_is_said(
    tmp_path: Path, root: Path
) -> None:
    node = NodeShare(tmp_path / JOB)
    assert node.use(str(root / "none")) == f"there is no folder {root}/none".encode()
    own = root / f"arkor-dev-{os.getuid()}"
    own.mkdir(mode=0o755)
    own.chmod(0o755)
    assert b"is not of this user alone" in node.use(str(root))
    own.rmdir()
    (root / "elsewhere").mkdir(mode=0o700)
    own.symlink_to(root / "elsewhere")
    assert b"is not of this user alone" in node.use(str(root))
    assert not node.take(HASH, tmp_path / "target")
    node.put([{"name": "checkpoints/1/state.pt", "sha256": HASH}], tmp_path)  # it does nothing
    assert list((root / "elsewhere").iterdir()) == []
    assert Shared.seen(str(root), JOB) is None
    assert Shared.seen(None, JOB) is None


def test_a_folder_that_refuses_keeps_nothing_in_part(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError("No space left on device")

    node = Machine(tmp_path / "one", root)
    monkeypatch.setattr(os, "fsync", full)
    node.save("checkpoints/10/state.pt")
    assert there(root) == set()


class Remote:
    """A node's file, read through the driver."""

    def __init__(self, **more: Any) -> None:
        entry = {"name": "checkpoints/10/state.pt", "bytes": len(STATE), "sha256": HASH, **more}
        self.listing = json.dumps([entry]).encode()
        self.read_bytes = 0

    def read(self, _: str, offset: int) -> bytes:
        piece = STATE[offset:]
        self.read_bytes += len(piece)
        return piece


def test_what_this_machine_sees_there_does_not_come_through_the_driver(tmp_path: Path, root: Path) -> None:
    Machine(tmp_path / "one", root).save("checkpoints/10/state.pt")
    remote = Remote()
    Returns(tmp_path / "data", JOB, remote.read, Shared.seen(str(root), JOB)).take(remote.listing)
    assert remote.read_bytes == 0
    kept = tmp_path / "data" / "jobs" / JOB / "checkpoints" / "10" / "state.pt"
    assert kept.read_bytes() == STATE
    # Other bytes there, and another size than was told, are as without the folder.
    [path] = (root / f"arkor-dev-{os.getuid()}" / JOB).iterdir()
    path.write_bytes(STATE[::-1])
    Returns(tmp_path / "again", JOB, remote.read, Shared.seen(str(root), JOB)).take(remote.listing)
    assert remote.read_bytes == len(STATE)
    path.write_bytes(STATE)
    hostile = Remote(bytes=len(STATE) + 1)
    with pytest.raises(HostileError):
        Returns(tmp_path / "other", JOB, hostile.read, Shared.seen(str(root), JOB)).take(hostile.listing)


class Told(Place):
    """A node that answers alike to all."""

    def __init__(self, node: str, answer: bytes) -> None:
        super().__init__(None)
        self.facts = {"node": node}
        self._answer = answer

    def call(self, name: str, *_: Any, seconds: float = 0) -> bytes:
        return self._answer


def test_a_person_is_told_which_node_does_not_see_it() -> None:
    sees, blind = Told("10.0.0.2", b""), Told("10.0.0.3", b"there is\nno folder /mnt/jobs")
    assert share([sees, sees], "/mnt/jobs") == " Checkpoints lie in /mnt/jobs, too."
    assert share([sees, blind], "/mnt/jobs") == (
        " Checkpoints come here alone and not to /mnt/jobs: the node 10.0.0.3 does not see it "
        "(there is no folder /mnt/jobs)."
    )
    assert share([blind], None) == ""
    came = taken([Told("a", b"2"), Told("b", b"1")], "/mnt/jobs")
    assert came == " It goes on from 3 files that were there."
    assert taken([Told("a", b"0"), Told("b", b"-9"), Told("c", b"x")], "/mnt/jobs") == ""


@pytest.mark.parametrize(
    "value", ["", "/", "mnt/jobs", "~/jobs", "/mnt/../etc", "/mnt/a\nb", 3, "/" + "a" * 1000]
)
def test_a_shared_folder_is_an_absolute_path(value: object) -> None:
    assert not SHARED_FOLDER.fits(value)
    assert SHARED_FOLDER.fits("/mnt/jobs")


def test_a_job_that_moves_here_leaves_the_folder_and_one_that_moves_elsewhere_takes_it_along() -> None:
    config = {"cluster": "auto", "insecureCluster": True, "storage": "/mnt/jobs", "maxSteps": 3}
    assert _moved(config, "here") == {"maxSteps": 3}
    elsewhere = {"cluster": "head:6379", "storage": "/mnt/jobs", "maxSteps": 3}
    assert _moved(config, "head:6379") == elsewhere
