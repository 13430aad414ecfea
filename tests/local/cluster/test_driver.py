"""What the driver asks a worker's node to keep, and what it lets it forget."""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.cluster import access, connection, driver, driver_cache, resources
from arkor_dev.local.cluster.actor_client import ActorClient
from arkor_dev.local.cluster.driver_cache import ClusterConnection, SpareActor
from arkor_dev.local.cluster.errors import NodeLostError
from arkor_dev.local.cluster.job_session import JobSession
from arkor_dev.local.cluster.resources import ResourceRequest
from arkor_dev.local.cluster.worker_group import PeerWorkers, WorkerGroup
from arkor_dev.local.execution import leases
from arkor_dev.local.execution.leases import Lease
from arkor_dev.local.execution.messages import Cancel, Free, JobRequest, Leave, Lost, Marked, TrainingEvent
from tests.local.harness import until
from tests.local.job_configs import config_of

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.local.workers.codec import Message

JOB = "job_0123456789ab"
STORY = [{"kind": "TrainingEvent", "event": {"type": "training.log", "step": step}} for step in range(1, 7)]


class There(ActorClient):
    """A worker's place, which tells ``STORY`` two messages at a time from ``first`` on, and then its end."""

    def __init__(self, first: int) -> None:
        super().__init__(None)
        self.first = first
        self.known: list[int] = []

    def call(self, name: str, *arguments: Any, seconds: float = 0) -> bytes:
        assert name == "poll"
        after, known, _ = arguments
        self.known.append(known)
        messages = STORY[after - self.first : after - self.first + 2]
        return json.dumps({"messages": messages, "over": {"killed": True, "cause": "It ends."}}).encode()


class Told:
    """The backend, which knows all that it is told only after the end."""

    def __init__(self, _: object) -> None:
        self.heard: list[Message] = []

    def send(self, message: Message) -> None:
        self.heard.append(message)


def follow(data: Path, lease: Lease | None) -> tuple[There, Told]:
    told = Told({})
    work = JobSession(told, ClusterConnection(), SpareActor())  # type: ignore[arg-type]
    work.job, work.lease = JobRequest(JOB, config_of({}), "", str(data)), lease
    work.home, work.node = "/home/of/it", "node"
    work._acknowledged = 0 if lease else 1  # the port at which several workers meet was the first message
    place = There(work._acknowledged)
    work.peers = PeerWorkers([place], lambda fault: pytest.fail(str(fault)))
    work._follow(place, data)
    assert told.heard.pop() == Lost("It ends. It ran on the node node.")
    events = [message.message if isinstance(message, Marked) else message for message in told.heard]
    assert events == [TrainingEvent({"type": "training.log", "step": step}) for step in range(1, 7)]
    return place, told


def test_a_single_worker_keeps_unacknowledged_messages(tmp_path: Path) -> None:
    lease = Lease.new(tmp_path, JOB, "ray://head:10001", insecure=False)
    place, told = follow(tmp_path, lease)
    assert place.known == [0, 0, 0, 0]
    marks = [message.mark for message in told.heard if isinstance(message, Marked)]
    assert marks == [f"{lease.name}:{step}" for step in range(1, 7)]


def test_several_workers_keep_no_acknowledged_messages(tmp_path: Path) -> None:
    place, told = follow(tmp_path, None)
    assert place.known == [1, 3, 5, 7]
    assert not [message for message in told.heard if isinstance(message, Marked)]


class Stuck(ActorClient):
    """A place that does not answer in time when it is to be left."""

    def release(self, _: float) -> bool:
        return False


@pytest.mark.parametrize("stays", [False, True])
def test_an_abandoned_placement_is_not_attached_to(tmp_path: Path, stays: bool) -> None:
    work = JobSession(Told({}), ClusterConnection(), SpareActor())  # type: ignore[arg-type]
    work.lease = Lease.new(tmp_path, JOB, "ray://head:10001", insecure=False).update(begun=True)
    work.group, work._stays = WorkerGroup([Stuck(None)]), stays
    assert not work.release()
    [lease] = leases.leases(tmp_path)  # it is removed later
    assert (lease.attachable, leases.of_job(tmp_path, JOB) is not None) == (stays, stays)


class Left(ActorClient):
    """A place that is left at once."""

    def release(self, _: float) -> bool:
        return True


class Still:
    """The thread that has brought a model, and is over or not."""

    def __init__(self, alive: bool) -> None:
        self._alive = alive

    def is_alive(self) -> bool:
        return self._alive


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> driver.Driver:
    """A driver whose job is completed. Its process's end raises SystemExit."""

    def ended(status: int) -> None:
        raise SystemExit(status)

    monkeypatch.setattr(driver, "Link", Told)
    monkeypatch.setattr(os, "_exit", ended)
    work = driver.Driver()
    work.job.lease = Lease.new(tmp_path, JOB, "ray://head:10001", insecure=False).update(begun=True)
    work.job.group, work.job._is_completed = WorkerGroup([Left(None)]), True
    work.job._model_thread = Still(alive=False)  # type: ignore[assignment]
    return work


def test_a_driver_is_clean_after_its_job(work: driver.Driver, tmp_path: Path) -> None:
    before = work.job
    work._end(Leave(hold=False))
    assert work.link.heard == [Free()]  # type: ignore[attr-defined]
    assert leases.leases(tmp_path) == []
    assert work.job is not before
    assert vars(work.job).keys() == vars(JobSession(work.link, work._connection, work._spare)).keys()
    assert (work.job.group, work.job.lease, work.job._early_messages, work.job._acknowledged) == (
        None,
        None,
        [],
        0,
    )


class Closed(Left):
    """A place that is closed, and knows how often it was given back."""

    given_back = 0

    def close(self, _: float) -> bool:
        return True

    def kill(self) -> None:
        self.given_back += 1


def test_a_placement_is_kept_briefly_for_an_equal_request(
    work: driver.Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver_cache, "HOLD_SECONDS", 60.0)
    place = Closed(None)
    work.job.group, work.job._request = WorkerGroup([place]), ResourceRequest(2)
    work._end(Leave(hold=True))
    assert work._spare.take(ResourceRequest(2)) is place
    assert work._spare.take(ResourceRequest(2)) is None
    assert place.given_back == 0
    assert work._spare.hold(place, ResourceRequest(2), 1.0)
    assert work._spare.take(ResourceRequest(3)) is None
    assert place.given_back == 1
    assert work._spare.hold(place, ResourceRequest(2), 1.0)
    with pytest.raises(SystemExit):  # nothing is left of it when the process ends
        work._end(Leave(hold=False))
    assert place.given_back == 2


def test_an_unused_placement_is_released(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver_cache, "HOLD_SECONDS", 0.01)
    spare, place = SpareActor(), Closed(None)
    assert spare.hold(place, ResourceRequest(), 1.0)
    until(lambda: place.given_back == 1)
    assert spare.take(ResourceRequest()) is None


@pytest.mark.parametrize("fault", [None, NodeLostError("it is gone"), OSError("its job has not ended")])
def test_a_lost_placement_is_replaced(tmp_path: Path, fault: Exception | None) -> None:
    class Again(Closed):
        def reuse(self, lease: Lease, seconds: float = 1) -> None:
            if fault:
                raise fault

    place = Again(None)
    lease = Lease.new(tmp_path, JOB, "ray://head:10001", insecure=False, actor="another")
    assert driver_cache.reuse_actor(place, lease) == (fault is None)
    assert (place.given_back, leases.leases(tmp_path)) == ((0, [lease]) if fault is None else (1, []))


@pytest.mark.parametrize(
    "odd", ["no end", "stuck", "several workers", "a fault", "a model on its way", "old"]
)
def test_a_driver_in_an_unexpected_state_ends(work: driver.Driver, odd: str) -> None:
    job = work.job
    if odd == "no end":
        job._is_completed = False
    elif odd == "stuck":
        job.group = WorkerGroup([Stuck(None)])
    elif odd == "several workers":
        job.lease = None
    elif odd == "a fault":
        job._faults.append(OSError("no"))
    elif odd == "a model on its way":
        job._model_thread = Still(alive=True)  # type: ignore[assignment]
    else:
        work._jobs_left = 1
    with pytest.raises(SystemExit):
        work._end(Leave(hold=False))
    assert work.link.heard == []  # type: ignore[attr-defined]


def test_early_messages_wait_for_the_placement(work: driver.Driver) -> None:
    work._end(Leave(hold=False))
    work._pass_on(Cancel())
    assert work.job._early_messages == [Cancel()]


def test_a_connection_is_reused_while_it_answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    now: dict[str, Any] = {"token": b"one", "has_token": True, "nodes": [{}]}
    monkeypatch.setattr(access, "token", lambda: now["token"])
    monkeypatch.setattr(access, "check_access", lambda *_, **__: now["has_token"])
    monkeypatch.setattr(connection, "connect", lambda *_: None)
    monkeypatch.setattr(resources, "alive_nodes", lambda: now["nodes"])
    line = ClusterConnection()
    line.open("ray://head:10001", tmp_path, pytest.fail, insecure=False)
    assert line.works("ray://head:10001", insecure=False)
    assert not line.works("ray://other:10001", insecure=False)
    assert not line.works("ray://head:10001", insecure=True)
    for what, other in (("token", b"two"), ("has_token", False), ("nodes", [])):
        before, now[what] = now[what], other
        assert not line.works("ray://head:10001", insecure=False)
        now[what] = before
    assert line.works("ray://head:10001", insecure=False)


def test_a_silent_connection_is_not_reused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    never = threading.Event()
    monkeypatch.setattr(access, "check_access", lambda *_, **__: False)
    monkeypatch.setattr(connection, "connect", lambda *_: None)
    monkeypatch.setattr(resources, "alive_nodes", never.wait)
    monkeypatch.setattr(driver_cache, "CHECK_SECONDS", 0.01)
    line = ClusterConnection()
    line.open("127.0.0.2:6379", tmp_path, pytest.fail, insecure=False)
    assert not line.works("127.0.0.2:6379", insecure=False)
    never.set()
