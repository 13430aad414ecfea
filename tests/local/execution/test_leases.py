"""What is known of a job's place on a cluster outlives every process, is for the owner alone, and ends."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from arkor_dev.local.execution import leases
from arkor_dev.local.execution.leases import Lease

if TYPE_CHECKING:
    from pathlib import Path

JOB = "job_0123456789ab"
ADDRESS = "ray://head:10001"


def new(data: Path, job: str = JOB) -> Lease:
    return Lease.new(data, job, ADDRESS, insecure=False)


def test_a_lease_is_private_and_unguessable(tmp_path: Path) -> None:
    lease, other = new(tmp_path), new(tmp_path)
    assert lease.path.stat().st_mode & 0o777 == 0o600
    assert lease.path.parent.stat().st_mode & 0o777 == 0o700
    assert len(bytes.fromhex(lease.nonce)) == 32
    assert lease.nonce != other.nonce
    assert lease.name != other.name
    assert lease.nonce not in lease.name
    assert {each.name for each in leases.leases(tmp_path)} == {lease.name, other.name}


def test_a_job_continues_under_its_lease(tmp_path: Path) -> None:
    lease = new(tmp_path)
    assert leases.of_job(tmp_path, JOB) is None
    begun = lease.update(begun=True, node="10.0.0.5", home="/tmp/x")
    assert leases.of_job(tmp_path, JOB) == begun
    assert leases.of_job(tmp_path, "job_another00000") is None
    begun.give_up()
    assert leases.of_job(tmp_path, JOB) is None
    begun.delete()
    begun.delete()
    assert leases.leases(tmp_path) == []


def test_only_failed_attempts_count_towards_the_grace_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_000_000.0
    monkeypatch.setattr(time, "time", lambda: now)
    lease = new(tmp_path).count_failure()
    assert lease.silent == 0
    now += 20
    lease = lease.count_failure()
    assert lease.silent == 20
    now += 8 * 3600  # the machine slept
    assert lease.count_failure().silent == 20 + leases.ATTEMPT_SECONDS


def test_a_lease_expires_with_its_placement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(leases.HOURS, "2")
    now = 1_000_000.0
    monkeypatch.setattr(time, "time", lambda: now)
    lease, other = new(tmp_path).give_up(), new(tmp_path)
    assert lease.away == 2 * 3600
    assert (lease.expired, other.expired) == (False, False)
    now += 2 * 3600 + leases.MARGIN_SECONDS + 1
    assert (lease.expired, other.expired) == (True, False)


@pytest.mark.parametrize("said", ["", "soon", "-1", "nan", "inf"])
def test_an_invalid_grace_time_uses_the_default(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv(leases.MINUTES, said)
    assert leases.grace_seconds() == 60 * leases.GRACE_MINUTES


def test_a_lease_of_another_version_is_removed(tmp_path: Path) -> None:
    lease = new(tmp_path).update(begun=True)
    told = json.loads(lease.path.read_text())
    lease.path.write_text(json.dumps({**told, "format": leases.FORMAT + 1}))
    assert leases.of_job(tmp_path, JOB) is None
    assert [each.name for each in leases.leases(tmp_path)] == [lease.name]


@pytest.mark.parametrize("text", ["", "[]", "{}", "\x00"])
def test_invalid_lease_files_are_ignored(tmp_path: Path, text: str) -> None:
    lease = new(tmp_path).update(begun=True)
    lease.path.with_name("broken.json").write_text(text)
    assert leases.leases(tmp_path) == [lease]
