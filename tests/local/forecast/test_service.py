"""A measurement that made way for a job begins anew, however soon that job is over."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from arkor_dev.local.forecast.service import Entry, Forecasts
from arkor_dev.local.models.catalog import Model
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


async def test_it_is_not_taken_for_one_that_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forecasts = Forecasts(None, tmp_path, tmp_path, lambda: False)  # type: ignore[arg-type]
    entry = forecasts._entries["forecast_1"] = Entry("forecast_1", "key", {}, Model("m", tmp_path))
    begun = 0

    async def measure(_: Entry, __: Any) -> None:
        nonlocal begun
        begun += 1
        if begun == 1:
            forecasts.training_begins()
            raise JobFailure("It was killed (signal 9), most likely because the machine ran out of memory")
        raise JobFailure("no rows")

    monkeypatch.setattr(forecasts, "_measure", measure)
    async with forecasts.running(), asyncio.timeout(60):
        while not entry.error:  # noqa: ASYNC110 - only the report shows the end
            await asyncio.sleep(0.01)
    assert (begun, entry.error) == (2, "no rows")
