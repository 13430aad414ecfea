"""A run's chart in a notebook that follows the run: an anywidget model, shown by ``live.js``.

Imports anywidget (extra ``notebook``), so it is imported on demand.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anywidget
import traitlets

from arkor_dev.contract.errors import ArkorError

from .chart import CURVES, picture_of

if TYPE_CHECKING:
    from arkor_dev.contract.shapes import Job

    from .async_studio import AsyncRun

EVERY: Final = 0.5
"""Seconds between two pictures."""


class LiveRun(anywidget.AnyWidget):
    """What the chart shows: ``picture`` is the address of an image, empty before the first figure."""

    _esm = Path(__file__).with_name("live.js")
    name = traitlets.Unicode().tag(sync=True)
    status = traitlets.Unicode().tag(sync=True)
    sentence = traitlets.Unicode().tag(sync=True)
    picture = traitlets.Unicode().tag(sync=True)

    async def follow(self, run: AsyncRun) -> None:
        """Show the run's figures as they arrive, and its verdict at its end."""
        points: dict[str, dict[int, float]] = {key: {} for key, _, _ in CURVES}

        async def read() -> None:
            async for point in run:
                for key, curve in points.items():
                    if (value := getattr(point, key)) is not None:
                        curve[point.step] = value

        reading = asyncio.create_task(read())
        try:
            while not reading.done():
                await asyncio.wait({reading}, timeout=EVERY)
                curves = {key: (list(curve), list(curve.values())) for key, curve in points.items()}
                self.picture = picture_of(curves)
                with contextlib.suppress(ArkorError):  # the run failed, or the backend is away for a moment
                    if reading.done():
                        await run.wait()  # its record is updated a moment after the last figure
                with contextlib.suppress(ArkorError):
                    self._describe(await run.details())
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    def _describe(self, job: Job) -> None:
        self.status = str(job.get("status"))
        verdict = job.get("evaluation")
        self.sentence = str(verdict.get("sentence") or "") if isinstance(verdict, dict) else ""
