"""A job's place is attached to only where it proves to be the one, and has all that was not heard yet."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.cluster import reattach
from arkor_dev.local.cluster.actor_client import ActorClient
from arkor_dev.local.cluster.errors import NodeLostError, ProtocolError, RequeueError
from arkor_dev.local.cluster.protocol import proof
from arkor_dev.local.execution import leases
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from pathlib import Path

JOB = "job_0123456789ab"


class There(ActorClient):
    """A place whose answer is ``answer``, of what it is asked."""

    def __init__(self, answer: Any) -> None:
        super().__init__(None)
        self.answer = answer
        self.left = 0
        self.asked: list[str] = []

    def call(self, name: str, *arguments: Any, seconds: float = 0) -> bytes:
        assert name == "prove"
        self.asked.append(arguments[0])
        found = self.answer(arguments[0])
        if isinstance(found, Exception):
            raise found
        return found if isinstance(found, bytes) else json.dumps(found).encode()

    def release(self, seconds: float) -> bool:
        self.left += 1
        return True


@pytest.fixture
def lease(tmp_path: Path) -> leases.Lease:
    return leases.Lease.new(tmp_path, JOB, "ray://head:10001", insecure=False).update(begun=True)


def attach(monkeypatch: pytest.MonkeyPatch, lease: leases.Lease, there: There | None, heard: int = 7) -> Any:
    monkeypatch.setattr(reattach, "find_actor", lambda *_: there)
    return reattach.attach(lease, heard)


def test_a_placement_is_attached_after_its_proof(
    monkeypatch: pytest.MonkeyPatch, lease: leases.Lease
) -> None:
    there = There(lambda asked: {"proof": proof(lease.nonce, lease.name, asked), "begun": True, "first": 7})
    assert attach(monkeypatch, lease, there) is there
    assert attach(monkeypatch, lease, there) is there
    assert len(set(there.asked)) == 2
    assert lease.nonce not in "".join(there.asked)


@pytest.mark.parametrize(
    "answer",
    [
        {"proof": proof("00" * 32, JOB, ""), "begun": True, "first": 0},
        {"proof": "", "begun": True, "first": 0},
        {"proof": "\u00e9", "begun": True, "first": 0},
        {"proof": None, "begun": True, "first": 0},
        {"begun": True, "first": 0},
        [],
        b"\x80\x04\x95",
        OSError("no such method"),
    ],
)
def test_a_placement_with_a_wrong_proof_is_refused(
    monkeypatch: pytest.MonkeyPatch, lease: leases.Lease, answer: Any
) -> None:
    with pytest.raises(ProtocolError, match="proof"):
        attach(monkeypatch, lease, There(lambda _: answer))


def test_a_replayed_proof_is_refused(monkeypatch: pytest.MonkeyPatch, lease: leases.Lease) -> None:
    old = {"proof": proof(lease.nonce, lease.name, "asked before"), "begun": True, "first": 0}
    with pytest.raises(ProtocolError, match="wrong proof"):
        attach(monkeypatch, lease, There(lambda _: old))


@pytest.mark.parametrize("more", [{"first": 8, "begun": True}, {"first": 0, "begun": False}])
def test_an_incomplete_placement_is_abandoned(
    monkeypatch: pytest.MonkeyPatch, lease: leases.Lease, more: dict[str, Any]
) -> None:
    there = There(lambda asked: {"proof": proof(lease.nonce, lease.name, asked), **more})
    assert attach(monkeypatch, lease, there) is None
    assert there.left == 1


def test_gone_and_silent_placements_are_distinguished(
    monkeypatch: pytest.MonkeyPatch, lease: leases.Lease
) -> None:
    assert attach(monkeypatch, lease, None) is None
    assert attach(monkeypatch, lease, There(lambda _: NodeLostError("ActorDiedError", gone=True))) is None
    with pytest.raises(NodeLostError):
        attach(monkeypatch, lease, There(lambda _: NodeLostError("it no longer answers")))


def test_an_unreachable_cluster_is_retried_for_a_limited_time(
    monkeypatch: pytest.MonkeyPatch, lease: leases.Lease, tmp_path: Path
) -> None:
    monkeypatch.setenv(leases.MINUTES, "1")
    with pytest.raises(RequeueError, match=r"which does not answer now \(why\)"):
        reattach.wait_or_give_up(lease, Exception("why"))
    [waits] = leases.leases(tmp_path)
    assert waits.attachable
    with pytest.raises(JobFailure, match=r"has not answered for 1 minutes: the job is lost there"):
        reattach.wait_or_give_up(waits.update(tried=time.time() - 100), Exception("why"))
    [lost] = leases.leases(tmp_path)
    assert not lost.attachable


ALONE = """
import sys, time
from pathlib import Path
from arkor_dev.local.cluster.node import actor
actor.ALONE_SECONDS, actor.CHECK_SECONDS = 60.0, 0.05
place = actor.HostedJob("job_0123456789ab", "name", "00" * 32, float(sys.argv[2]))
place._begun, place._away = sys.argv[3] == "begun", float(sys.argv[2])
print(place._home, flush=True)
actor.ALONE_SECONDS = float(sys.argv[1])  # not before: it might be over before all of that is said
time.sleep(90)
"""


@pytest.mark.parametrize("state", ["begun", "not begun"])
def test_an_unattended_placement_removes_itself(tmp_path: Path, state: str) -> None:
    alone, away = ("0.1", "1.0") if state == "begun" else ("1.0", "60")
    began = time.monotonic()
    ran = subprocess.run(
        [sys.executable, "-c", ALONE, alone, away, state],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={"TMPDIR": str(tmp_path)},
    )
    assert time.monotonic() - began > 1.0
    assert ran.stdout.strip()
    assert list(tmp_path.glob("arkor-dev-*/jobs/*")) == []
