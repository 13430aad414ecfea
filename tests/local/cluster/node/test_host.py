"""An actor is the place of one job after the other, and of no two at once."""

from __future__ import annotations

import json
import tempfile
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from arkor_dev.local.cluster.node import actor
from arkor_dev.local.cluster.node.actor import JobActor
from arkor_dev.local.cluster.protocol import proof

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FIRST, SECOND = ("job_1", "job_1-a", "11" * 32, 60.0), ("job_2", "job_2-b", "22" * 32, 60.0)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[JobActor]:
    """One whose places have no watch, which would end this process when nobody speaks to it."""
    pytest.importorskip("ray")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    nobody = SimpleNamespace(Thread=lambda **_: SimpleNamespace(start=lambda: None), Event=threading.Event)
    monkeypatch.setattr(actor, "threading", nobody)
    monkeypatch.setattr("ray.util.get_node_ip_address", lambda: "10.0.0.5")
    made = JobActor(*FIRST)
    yield made
    made._job.retire()


async def test_an_actor_is_reused_with_a_new_folder(host: JobActor, tmp_path: Path) -> None:
    before = host._job
    with pytest.raises(OSError, match="not ended"):
        await host.reuse("job_1-a", *SECOND)
    await host.call("job_1-a", "close")
    with pytest.raises(OSError, match="not ended"):
        await host.reuse("job_3-c", *SECOND)
    told = json.loads(await host.reuse("job_1-a", *SECOND))
    assert before._retired.is_set()  # its watch ends, and not this process
    assert told["node"] == "10.0.0.5"
    [home] = tmp_path.glob("arkor-dev-*/jobs/*")
    assert (str(home), home.name.startswith("job_2-")) == (told["home"], True)
    proved = json.loads(await host.call("job_2-b", "prove", "asked"))
    assert proved == {"proof": proof("22" * 32, "job_2-b", "asked"), "begun": False, "first": 0}


async def test_calls_for_the_previous_job_are_refused(host: JobActor) -> None:
    await host.call("job_1-a", "close")
    await host.reuse("job_1-a", *SECOND)
    for what, arguments in (("send", (b"{}",)), ("poll", (0, 0, 1.0)), ("close", ()), ("prove", ("asked",))):
        with pytest.raises(OSError, match="another job"):
            await host.call("job_1-a", what, *arguments)
    assert not host._job.closed
