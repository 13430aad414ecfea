"""How far a job has come, as far as its events tell it in the moment that there is."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from arkor_dev.cli import lost_jobs
from tests.support.scripted_upstream import Upstream

if TYPE_CHECKING:
    import pytest

HISTORY = (
    'event: training.log\ndata: {"step": 34, "loss": 2}',
    'event: checkpoint.saved\ndata: {"step": 20}',
)


def asked(upstream: Upstream) -> asyncio.Task[Any]:
    """What a Ctrl-C asks of a job."""
    backend: Any = SimpleNamespace(events=lambda job_id: upstream.open(job_id, None))
    return asyncio.create_task(lost_jobs._progress(backend, "job_1"))


async def test_a_late_history_is_awaited(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was said of a job with checkpoints that all of it is lost, where its backend was busy for 0.15 s."""
    monkeypatch.setattr(lost_jobs, "PATIENCE", 60.0)
    monkeypatch.setattr(lost_jobs, "QUIET", 0.05)
    upstream = Upstream()
    asking = asked(upstream)
    connection = await upstream.nth(1)
    await asyncio.sleep(0.3)
    connection.send(*HISTORY)
    run = await asking  # though the stream goes on
    assert (run.step, run.checkpoint) == (34, 20)
    assert connection.closed


async def test_a_missing_history_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lost_jobs.PATIENCE <= 1
    monkeypatch.setattr(lost_jobs, "PATIENCE", 0.05)
    upstream = Upstream()
    run = await asyncio.wait_for(asked(upstream), 30)
    assert (run.step, run.checkpoint) == (None, None)
    assert upstream.open_ones == []
