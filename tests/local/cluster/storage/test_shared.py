"""What machines share saves a way: what is not there, or other, comes as it would without it."""

from __future__ import annotations

import hashlib
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.cluster.actor_client import ActorClient
from arkor_dev.local.cluster.driver_storage import open_storage, storage_summary, use_storage
from arkor_dev.local.cluster.errors import NodeLostError, ProtocolError
from arkor_dev.local.cluster.incoming_files import IncomingFiles
from arkor_dev.local.cluster.storage import shared, watchdog
from arkor_dev.local.cluster.storage.node_side import NodeStorage
from arkor_dev.local.cluster.storage.shared import SharedFiles
from arkor_dev.local.execution.messages import JobRequest
from tests.local.harness import until
from tests.local.job_configs import config_of

from .conftest import JOB, STATE, Machine, Shelf

if TYPE_CHECKING:
    from pathlib import Path

HASH = hashlib.sha256(STATE).hexdigest()
SIZE = len(STATE)


def test_a_checkpoint_of_one_node_is_resumed_on_another(tmp_path: Path, shelf: Shelf) -> None:
    Machine(tmp_path / "one", shelf.root).save("checkpoints/10/state.pt")
    other = Machine(tmp_path / "two", shelf.root)
    assert other.takes(HASH, SIZE) == STATE
    assert other.share.hits == 1
    assert other.takes("0" * 64, SIZE) is None
    assert other.takes("../x", SIZE) is None
    assert other.share.hits == 1


def test_a_large_file_round_trips_through_storage(tmp_path: Path, shelf: Shelf) -> None:
    large = bytes(range(256)) * (100 << 10)  # 25 MiB, several of the pieces that are read and written
    [entry] = Machine(tmp_path / "one", shelf.root).save("resume/7/state.pt", large)
    assert Machine(tmp_path / "two", shelf.root).takes(entry["sha256"], len(large)) == large


@pytest.mark.parametrize("other", [STATE[::-1], STATE[:-1], STATE + b"!", b""])
def test_a_stored_file_with_another_hash_is_refused(tmp_path: Path, shelf: Shelf, other: bytes) -> None:
    node = Machine(tmp_path / "one", shelf.root)
    node.save("checkpoints/10/state.pt")
    shelf.change(HASH, other)
    assert node.takes(HASH, SIZE) is None
    assert node.share.hits == 0
    # Of its hash, and yet not of the size that is asked for: no more than that is read.
    shelf.change(HASH, STATE)
    assert node.takes(HASH, SIZE - 1) is None
    assert node.takes(HASH, SIZE + 1) is None
    assert node.takes(HASH, SIZE) == STATE


def test_a_partial_stored_file_is_written_again(tmp_path: Path, shelf: Shelf) -> None:
    node = Machine(tmp_path / "one", shelf.root)
    node.save("checkpoints/10/state.pt")
    shelf.change(HASH, STATE[:5])
    node.save("checkpoints/10/state.pt")
    assert Machine(tmp_path / "two", shelf.root).takes(HASH, SIZE) == STATE


def test_storage_of_deleted_checkpoints_is_removed(tmp_path: Path, shelf: Shelf) -> None:
    node = Machine(tmp_path / "one", shelf.root)
    node.save("checkpoints/10/state.pt")
    (node.job / "checkpoints/10/state.pt").unlink()
    [entry] = node.save("checkpoints/20/state.pt", b"later")
    assert shelf.names() == {entry["sha256"]}
    # The state from which another machine resumes it is kept while the job exists.
    other = Machine(tmp_path / "two", shelf.root)
    (other.job / "checkpoints/20").mkdir(parents=True)
    (other.job / "checkpoints/20/state.pt").write_bytes(b"later")
    other.share.note_placed(f"data/jobs/{JOB}/checkpoints/20/state.pt", entry["sha256"])
    [later] = other.save("resume/30/state.pt", b"much later")
    assert shelf.names() == {entry["sha256"], later["sha256"]}


def test_final_results_are_not_stored_there(tmp_path: Path, shelf: Shelf) -> None:
    node = Machine(tmp_path / "one", shelf.root)
    node.save("final/adapter_model.safetensors")
    node.save("evaluation/answers.jsonl", b"{}")
    assert shelf.names() == set()


def test_readers_create_nothing_in_storage(tmp_path: Path, shelf: Shelf) -> None:
    assert not SharedFiles.open(shelf.root, JOB, writes=False).fetch(HASH, SIZE, tmp_path / "target")
    assert shelf.names() == set() if shelf.folder is None else not shelf.folder.exists()
    if shelf.folder:
        assert not shelf.folder.parent.exists()
    Machine(tmp_path / "one", shelf.root).save("checkpoints/10/state.pt")
    assert SharedFiles.open(shelf.root, JOB, writes=False).fetch(HASH, SIZE, tmp_path / "target")
    assert shelf.names() == {HASH}


class Remote:
    """A node's file, read through the driver."""

    def __init__(self, name: str = "checkpoints/10/state.pt", **more: Any) -> None:
        self.listing = json.dumps([{"name": name, "bytes": SIZE, "sha256": HASH, **more}]).encode()
        self.read_bytes = 0

    def read(self, _: str, offset: int) -> bytes:
        piece = STATE[offset:]
        self.read_bytes += len(piece)
        return piece


def test_files_visible_in_storage_bypass_the_driver(tmp_path: Path, shelf: Shelf) -> None:
    def here() -> SharedFiles:
        return SharedFiles.open(shelf.root, JOB, writes=False)

    Machine(tmp_path / "one", shelf.root).save("checkpoints/10/state.pt")
    remote = Remote()
    IncomingFiles(tmp_path / "data", JOB, remote.read, here()).fetch(remote.listing)
    assert remote.read_bytes == 0
    kept = tmp_path / "data" / "jobs" / JOB / "checkpoints" / "10" / "state.pt"
    assert kept.read_bytes() == STATE
    # Results are not looked for there.
    result = Remote("final/adapter_model.safetensors")
    IncomingFiles(tmp_path / "result", JOB, result.read, here()).fetch(result.listing)
    assert result.read_bytes == SIZE
    # Other bytes there, and another size than was told, are as without it.
    shelf.change(HASH, STATE[::-1])
    IncomingFiles(tmp_path / "again", JOB, remote.read, here()).fetch(remote.listing)
    assert remote.read_bytes == SIZE
    shelf.change(HASH, STATE)
    hostile = Remote(bytes=SIZE + 1)
    with pytest.raises(ProtocolError):
        IncomingFiles(tmp_path / "other", JOB, hostile.read, here()).fetch(hostile.listing)


def test_a_hanging_store_times_out(tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from .bucket import Bucket

    node = Machine(tmp_path / "one", bucket)
    node.save("checkpoints/10/state.pt")
    monkeypatch.setattr(watchdog, "STALL_SECONDS", 0.5)
    monkeypatch.setattr(watchdog, "KEEP_ALIVE_SECONDS", 0.1)
    monkeypatch.setattr(shared, "OPEN_SECONDS", 0.5)
    Bucket.is_silent.set()
    assert NodeStorage(tmp_path / JOB).use(bucket).startswith(b"it has not answered for ")
    node.heard = 0
    assert node.takes(HASH, SIZE) is None
    assert node.heard > 0  # else an impatient node would end itself meanwhile
    # It is not asked again: the job goes on without it.
    Bucket.is_silent.clear()
    Bucket.released.set()
    asking = ("shared storage", "old files")
    until(lambda: not [each for each in threading.enumerate() if each.name in asking])
    Bucket.calls.clear()
    assert node.takes(HASH, SIZE) is None
    node.save("checkpoints/20/state.pt", b"later")
    assert Bucket.calls == []


def test_losing_the_node_ends_a_storage_wait(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from .bucket import Bucket

    def lost() -> None:
        raise NodeLostError("the node is gone")

    Machine(tmp_path / "one", bucket).save("checkpoints/10/state.pt")
    here = SharedFiles.open(bucket, JOB, lost, writes=False)
    monkeypatch.setattr(watchdog, "KEEP_ALIVE_SECONDS", 0.1)
    Bucket.is_silent.set()
    with pytest.raises(NodeLostError):
        here.fetch(HASH, SIZE, tmp_path / "target")


class Told(ActorClient):
    """A node that answers alike to all."""

    def __init__(self, node: str, answer: bytes) -> None:
        super().__init__(None)
        self.facts = {"node": node}
        self._answer = answer
        self.asked: list[tuple[Any, ...]] = []

    def call(self, name: str, *arguments: Any, seconds: float = 0) -> bytes:
        self.asked.append((name, *arguments))
        return self._answer


def test_storage_waits_keep_the_node_alive(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from .bucket import Bucket

    monkeypatch.setattr(watchdog, "KEEP_ALIVE_SECONDS", 0.1)
    monkeypatch.setattr(shared, "OPEN_SECONDS", 0.5)
    Bucket.is_silent.set()
    node = Told("10.0.0.2", b"[]")
    found, why = open_storage(JobRequest(JOB, config_of({"storage": bucket}), "", ""), node)
    assert found is None
    assert why.startswith(f" This machine does not see {bucket} (it has not answered for ")
    assert set(map(str, node.asked)) == {"('missing_files', {})"}


def test_nodes_without_access_to_storage_are_named(tmp_path: Path) -> None:
    sees, blind = Told("10.0.0.2", b""), Told("10.0.0.3", b"no\nsuch folder: /mnt/jobs")
    assert use_storage([sees, sees], "/mnt/jobs") == " Checkpoints are also stored in /mnt/jobs."
    assert use_storage([sees, blind], "/mnt/jobs") == (
        " Checkpoints are stored on this machine only, and not in /mnt/jobs: the node 10.0.0.3 does "
        "not see it (no such folder: /mnt/jobs)."
    )
    assert use_storage([blind], None) == ""
    came = storage_summary([Told("a", b"2"), Told("b", b"1")], "/mnt/jobs")
    assert came == " It resumes from 3 files found there."
    assert storage_summary([Told("a", b"0"), Told("b", b"-9"), Told("c", b"x")], "/mnt/jobs") == ""
    none = f"{tmp_path}/none"
    assert open_storage(JobRequest(JOB, config_of({"storage": none}), "", ""), sees) == (
        None,
        f" This machine does not see {none} (no such folder: {none}): they come through the cluster.",
    )
    assert open_storage(JobRequest(JOB, config_of({}), "", ""), sees) == (None, "")
