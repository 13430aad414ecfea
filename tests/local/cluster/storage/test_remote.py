"""A store with an address: who is let in, what goes after a week, and what happens when it refuses."""

from __future__ import annotations

import hashlib
import importlib.util
import time
from typing import TYPE_CHECKING

import pytest

from arkor_dev.contract.placement import PROTOCOLS
from arkor_dev.local.cluster.protocol import KEPT_SECONDS
from arkor_dev.local.cluster.storage import remote
from arkor_dev.local.cluster.storage.node_side import NodeStorage
from arkor_dev.local.cluster.storage.remote import MARK, OWN, PACKAGES, RemoteStore, store_error
from tests.local.harness import until

from .conftest import JOB, STATE, Machine

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from pathlib import Path

HASH = hashlib.sha256(STATE).hexdigest()


def test_every_allowed_protocol_is_supported() -> None:
    assert PACKAGES.keys() == set(PROTOCOLS)


@pytest.mark.parametrize(
    ("address", "absent", "said"),
    [
        ("s3://bucket/jobs", {"s3fs"}, "no s3fs, which s3:// needs: pip install s3fs"),
        (
            "gs://bucket/jobs",
            {"fsspec", "gcsfs"},
            "no fsspec and no gcsfs, which gs:// needs: pip install fsspec gcsfs",
        ),
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
    tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from .bucket import Bucket

    def marks() -> list[int]:
        names = (path.rpartition("/")[2] for path in Bucket.store if f"/{JOB}/" in path)
        return [int(name.removeprefix(MARK)) for name in names if name.startswith(MARK)]

    node = Machine(tmp_path / "one", bucket)
    [first] = marks()
    node.save("checkpoints/10/state.pt")
    assert marks() == [first]
    monkeypatch.setattr(remote, "MARK_SECONDS", 0)
    monkeypatch.setattr(time, "time", lambda: first + 100_000.0)
    node.save("checkpoints/20/state.pt", b"later")
    assert marks() == [first + 100_000]


def test_a_full_store_keeps_no_partial_file(tmp_path: Path, bucket: str) -> None:
    from .bucket import Bucket

    node, target = Machine(tmp_path / "one", bucket), f"/bucket/jobs/{OWN}/{JOB}/{HASH}"
    Bucket.is_full.set()
    node.save("checkpoints/10/state.pt")
    assert target not in Bucket.store
    Bucket.is_full.clear()

    def breaks_off() -> None:
        raise OSError("cut")

    with pytest.raises(OSError, match="cut"):
        RemoteStore(bucket, JOB, writes=True).write(HASH, node.job / "checkpoints/10/state.pt", breaks_off)
    assert target not in Bucket.store
    node.save("checkpoints/10/state.pt")
    assert Bucket.store[target].getvalue() == STATE


def test_a_read_only_store_is_not_used(tmp_path: Path, bucket: str) -> None:
    from .bucket import Bucket

    Bucket.is_full.set()
    assert NodeStorage(tmp_path / JOB).use(bucket) == b"OSError: no room"


def test_an_error_of_a_store_names_no_secret() -> None:
    fault = RuntimeError("no way\nto https://me:pass@host/x?sig=SECRET&more=1 with AccountKey=SECRET12= here")
    assert store_error(fault) == "RuntimeError: no way to https://…@host/x?… with AccountKey=… here"
