"""The Python API on the managed backend."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from arkor_dev.jobs import follow
from arkor_dev.sdk.async_studio import AsyncStudio

if TYPE_CHECKING:
    from arkor_dev.core.settings import Settings
    from tests.support.fake_backend import FakeBackend


STREAM = "GET /v1/jobs/{id}/events/stream"


@pytest.mark.usefixtures("signed_in")
async def test_points_of_a_new_run_are_awaited(
    settings: Settings, fake_backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new job's stream is known a moment later than the job."""
    monkeypatch.setattr(follow, "BACKOFF", (0.01, 0.05))
    fake_backend.fault(STREAM, times=3, status=404, body=b'{"error": "No such job."}')
    async with AsyncStudio.of(settings) as studio:
        run = await studio.train(model="m", dataset={"huggingface": "owner/rows"})
        points = asyncio.create_task(run.wait())
        await fake_backend.until(lambda: fake_backend.count(STREAM) == 4)
        fake_backend.begin(run.id)
        fake_backend.finish(run.id)
        assert (await points).id == run.id
