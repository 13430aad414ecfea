"""A store with an address: who is let in, what goes after a week, and what happens when it refuses."""

from __future__ import annotations

import hashlib
import importlib.util
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from arkor_dev.contract.placement import PROTOCOLS
from arkor_dev.local.cluster.node.job_folders import KEPT_SECONDS
from arkor_dev.local.cluster.storage import remote
from arkor_dev.local.cluster.storage.node_side import NodeStorage
from arkor_dev.local.cluster.storage.remote import MARK, OWN, PACKAGES, RemoteStore, store_error
from tests.local.harness import until

from .conftest import JOB, STATE, Machine

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

    from tests.support.ftp_server import FtpServer

HASH = hashlib.sha256(STATE).hexdigest()


def marks(server: FtpServer) -> list[int]:
    """The times that lie there for the job."""
    names = (path.name for path in (server.folder / "jobs" / OWN / JOB).iterdir())
    return [int(name.removeprefix(MARK)) for name in names if name.startswith(MARK)]


def test_every_allowed_protocol_is_supported() -> None:
    assert PACKAGES.keys() == set(PROTOCOLS)
    assert set(remote.FILE_SYSTEMS) < set(PROTOCOLS)


@pytest.mark.parametrize(
    ("address", "absent", "said"),
    [
        ("s3://bucket/jobs", {"s3fs"}, "no s3fs, which s3:// needs: pip install s3fs"),
        (
            "gs://bucket/jobs",
            {"fsspec", "gcsfs"},
            "no fsspec and no gcsfs, which gs:// needs: pip install fsspec gcsfs",
        ),
        ("ftp://127.0.0.1/jobs", {"fsspec"}, "no fsspec, which ftp:// needs: pip install fsspec"),
    ],
)
def test_a_missing_storage_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, absent: set[str], said: str
) -> None:
    def found(name: str) -> ModuleSpec | None:
        return None if name in absent else there

    there = importlib.util.find_spec("json")
    monkeypatch.setattr(importlib.util, "find_spec", found)
    assert NodeStorage(tmp_path / JOB).use(address).decode() == f"this Python has {said}"


def test_remote_storage_of_old_jobs_is_deleted_after_a_week(tmp_path: Path, server: FtpServer) -> None:
    own = server.folder / "jobs" / OWN
    now = int(time.time())
    for job, age in (("job_old", KEPT_SECONDS + 60), ("job_young", KEPT_SECONDS - 60), ("job_timeless", 0)):
        (own / job).mkdir(parents=True)
        (own / job / ("ab" * 32)).write_bytes(STATE)
        if age:
            (own / job / f"{MARK}{now - age}").write_bytes(b"\n")
    (own / "job_old" / f"{MARK}{now - 2 * KEPT_SECONDS}").write_bytes(b"\n")
    Machine(tmp_path / "one", server.address)
    until(lambda: {path.name for path in own.iterdir()} == {"job_young", "job_timeless", JOB})
    assert (own / "job_young" / ("ab" * 32)).read_bytes() == STATE


def test_old_jobs_in_a_bucket_are_deleted(tmp_path: Path, bucket: str) -> None:
    from .bucket import Bucket

    store, now = Bucket(), int(time.time())
    for job, age in (("job_old", KEPT_SECONDS + 60), ("job_young", KEPT_SECONDS - 60)):
        store.pipe_file(f"/bucket/jobs/{OWN}/{job}/{'ab' * 32}", STATE)
        store.pipe_file(f"/bucket/jobs/{OWN}/{job}/{MARK}{now - age}", b"\n")
    store.pipe_file("/bucket/jobs/of-others", STATE)
    Machine(tmp_path / "one", bucket).save("checkpoints/10/state.pt")
    until(lambda: not [path for path in Bucket.store if "job_old" in path])
    assert len([path for path in Bucket.store if "job_young" in path]) == 2
    assert "/bucket/jobs/of-others" in Bucket.store


def test_a_long_job_refreshes_its_marker(
    tmp_path: Path, server: FtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Machine(tmp_path / "one", server.address)
    [first] = marks(server)
    node.save("checkpoints/10/state.pt")
    assert marks(server) == [first]
    monkeypatch.setattr(remote, "MARK_SECONDS", 0)
    monkeypatch.setattr(time, "time", lambda: first + 100_000.0)
    node.save("checkpoints/20/state.pt", b"later")
    assert marks(server) == [first + 100_000]


def test_a_full_store_keeps_no_partial_file(tmp_path: Path, server: FtpServer) -> None:
    node = Machine(tmp_path / "one", server.address)
    folder = server.folder / "jobs" / OWN / JOB
    server.full.set()
    node.save("checkpoints/10/state.pt")
    assert [path.name for path in folder.iterdir() if not path.name.startswith(MARK)] == []
    server.full.clear()
    node.save("checkpoints/10/state.pt")
    assert (folder / HASH).read_bytes() == STATE


def test_a_read_only_store_is_not_used(tmp_path: Path, server: FtpServer) -> None:
    server.full.set()
    assert NodeStorage(tmp_path / JOB).use(server.address) == b"error_temp: 452 no room"


@pytest.mark.parametrize("idle", [0.0, 1000.0])
def test_a_broken_connection_is_reopened(
    tmp_path: Path, server: FtpServer, monkeypatch: pytest.MonkeyPatch, idle: float
) -> None:
    node = Machine(tmp_path / "one", server.address)
    monkeypatch.setattr(remote, "IDLE_SECONDS", idle)
    server.hang_up()
    if idle:  # what it does not know of costs one try
        node.save("checkpoints/10/state.pt")
    [entry] = node.save("checkpoints/20/state.pt", b"later")
    assert entry["sha256"] in {path.name for path in (server.folder / "jobs" / OWN / JOB).iterdir()}


def test_a_refused_login_names_no_secret(tmp_path: Path, unused_tcp_port: int) -> None:
    pytest.importorskip("fsspec")
    why = NodeStorage(tmp_path / JOB).use(f"ftp://127.0.0.1:{unused_tcp_port}/jobs")
    assert why == b"ConnectionRefusedError: [Errno 111] Connection refused"
    fault = RuntimeError("no way\nto https://me:pass@host/x?sig=SECRET&more=1 with AccountKey=SECRET12= here")
    assert store_error(fault) == "RuntimeError: no way to https://…@host/x?… with AccountKey=… here"


def test_concurrent_folder_creation_succeeds(tmp_path: Path, server: FtpServer) -> None:
    first, second = (RemoteStore(server.address, JOB, writes=True) for _ in range(2))
    first.write("a" * 64, Path(__file__), lambda: None)
    assert second.sizes() == {"a" * 64: Path(__file__).stat().st_size}
