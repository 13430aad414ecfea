"""What the driver asks a worker's node to keep, and what it lets it forget."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.cluster import driver
from arkor_dev.local.cluster.connection import Place
from arkor_dev.local.cluster.together.others import Others
from arkor_dev.local.cluster.together.places import Places
from arkor_dev.local.execution import leases
from arkor_dev.local.execution.leases import Lease

if TYPE_CHECKING:
    from pathlib import Path

JOB = "job_0123456789ab"
STORY = [{"event": "training.log", "fields": {"step": step}} for step in range(1, 7)]


class There(Place):
    """A worker's place, which tells ``STORY`` two messages at a time from ``first`` on, and then its end."""

    def __init__(self, first: int) -> None:
        super().__init__(None)
        self.first = first
        self.known: list[int] = []

    def call(self, name: str, *arguments: Any, seconds: float = 0) -> bytes:
        assert name == "take"
        after, known, _ = arguments
        self.known.append(known)
        messages = STORY[after - self.first : after - self.first + 2]
        return json.dumps({"messages": messages, "over": {"killed": True, "cause": "It ends."}}).encode()


class Told:
    """The backend, which knows all that it is told only after the end."""

    def __init__(self, _: object) -> None:
        self.heard: list[dict[str, Any]] = []

    def send(self, **message: Any) -> None:
        self.heard.append(message)


def follow(monkeypatch: pytest.MonkeyPatch, data: Path, lease: Lease | None) -> tuple[There, Told]:
    monkeypatch.setattr(driver, "Link", Told)
    work = driver.Driver()
    work.job, work.lease = {"id": JOB, "project": str(data), "config": {}}, lease
    work.home, work.node = "/home/of/it", "node"
    work._known = 0 if lease else 1  # the port at which several workers meet was the first message
    place = There(work._known)
    work.others = Others([place], lambda fault: pytest.fail(str(fault)))
    work._follow(place, data)
    assert isinstance(work.link, Told)
    assert work.link.heard.pop() == {"lost": "It ends. It ran on the node node."}
    assert [message["fields"]["step"] for message in work.link.heard] == list(range(1, 7))
    return place, work.link


def test_one_workers_node_keeps_what_the_backend_does_not_know_yet(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lease = Lease.new(tmp_path, JOB, "ray://head:10001", insecure=False)
    place, told = follow(monkeypatch, tmp_path, lease)
    assert place.known == [0, 0, 0, 0]
    assert [message["mark"] for message in told.heard] == [f"{lease.name}:{step}" for step in range(1, 7)]


def test_of_several_workers_nothing_is_asked_again_so_their_disk_does_not_fill(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place, told = follow(monkeypatch, tmp_path, None)
    assert place.known == [1, 3, 5, 7]
    assert not [message for message in told.heard if "mark" in message]


class Stuck(Place):
    """A place that does not answer in time when it is to be left."""

    def leave(self, _: float) -> bool:
        return False


@pytest.mark.parametrize("stays", [False, True])
def test_a_place_that_was_left_without_an_answer_is_not_attached_to_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stays: bool
) -> None:
    def ended(status: int) -> None:
        raise SystemExit(status)

    monkeypatch.setattr(driver, "Link", Told)
    monkeypatch.setattr(os, "_exit", ended)
    work = driver.Driver()
    work.lease = Lease.new(tmp_path, JOB, "ray://head:10001", insecure=False).kept(begun=True)
    work.places, work._stays = Places([Stuck(None)]), stays
    with pytest.raises(SystemExit):
        work.leave()
    [lease] = leases.leases(tmp_path)  # it is removed later
    assert (lease.attachable, leases.of_job(tmp_path, JOB) is not None) == (stays, stays)
