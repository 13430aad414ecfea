"""A measurement that made way for a job begins anew, however soon that job is over."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract.gpus import Gpu
from arkor_dev.local.forecast import service
from arkor_dev.local.forecast.service import Entry, Forecasts
from arkor_dev.local.models.catalog import Model
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("weights", "count"), [(6 * 10**9, 1), (18 * 10**9, 2), (60 * 10**9, 1)])
async def test_the_number_of_gpus_is_known_from_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: int, count: int
) -> None:
    """Before anything was measured; none where all GPUs together do not hold it."""
    header = json.dumps(
        {"__metadata__": {}, "weight": {"dtype": "BF16", "shape": [weights // 8, 8]}}
    ).encode()
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    cards = [Gpu("RTX 4090", f"GPU-{number}", 10**9, 24 * 10**9) for number in range(2)]
    monkeypatch.setattr(service, "nvidia_gpus", lambda: cards)
    models: Any = SimpleNamespace(find_local=lambda name: Model(name, tmp_path))
    forecasts = Forecasts(models, tmp_path, tmp_path, lambda: False, 2)
    config = {"model": "m", "datasetSource": {"type": "huggingface", "name": "rows"}}
    assert await forecasts.gpus_needed(config) == count
    for setting in ({"gpus": 1}, {"workers": 2}, {"cluster": "auto"}):
        assert await forecasts.gpus_needed({**config, **setting}) == 1
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 9)
    assert await forecasts.gpus_needed(config) == 1, "whoever loads it says what is wrong"


async def test_an_interrupted_measurement_is_not_a_failed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forecasts = Forecasts(None, tmp_path, tmp_path, lambda: False)  # type: ignore[arg-type]
    entry = forecasts._entries["forecast_1"] = Entry("forecast_1", "key", {}, Model("m", tmp_path), None)
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
