"""A measurement that made way for a job begins anew, however soon that job is over."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract.gpus import Gpu
from arkor_dev.local.forecast import service
from arkor_dev.local.forecast.messages import Measured, MeasurementRequest, WarmCache
from arkor_dev.local.forecast.service import ForecastEntry, Forecasts
from arkor_dev.local.models.catalog import Model
from arkor_dev.local.workers.errors import JobFailure

from .test_estimate import MEASURED

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.contract.shapes import JobConfig
    from arkor_dev.local.forecast.measurement import Measurement

CONFIG: JobConfig = {"model": "m", "datasetSource": {"type": "huggingface", "name": "rows"}}


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
    assert await forecasts.gpus_needed(CONFIG) == count
    settings: Any = ({"gpus": 1}, {"workers": 2}, {"cluster": "auto"})
    for setting in settings:
        assert await forecasts.gpus_needed(CONFIG | setting) == 1
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 9)
    assert await forecasts.gpus_needed(CONFIG) == 1, "whoever loads it says what is wrong"


async def test_an_interrupted_measurement_is_not_a_failed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forecasts = Forecasts(None, tmp_path, tmp_path, lambda: False)  # type: ignore[arg-type]
    entry = forecasts._entries["forecast_1"] = ForecastEntry(
        "forecast_1", "key", CONFIG, Model("m", tmp_path), None
    )
    begun = 0

    async def measure(_: ForecastEntry, __: Any) -> None:
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


class Warming:
    """A process that fills the cache until it is killed."""

    def __init__(self) -> None:
        self.alive, self._ended = True, asyncio.Event()

    def send(self, _: object) -> None: ...

    async def result(self, _: type, *__: object) -> Any:
        await self._ended.wait()
        raise JobFailure("killed")

    def kill(self) -> None:
        self.alive = False
        self._ended.set()

    async def stop(self) -> None:
        self.kill()


@pytest.mark.parametrize(("forecast", "starts"), [({}, 0), ({"fits": False}, 0), ({"fits": True}, 1)])
async def test_an_estimate_stays_known_where_the_cache_cannot_be_filled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forecast: dict[str, Any], starts: int
) -> None:
    """Without the memory, if the free memory is unknown, or if no process can be started."""
    started = 0
    forecasts = Forecasts(None, tmp_path, tmp_path, lambda: False)  # type: ignore[arg-type]
    forecasts._store = SimpleNamespace(get=lambda _: SimpleNamespace(device="cpu"))  # type: ignore[assignment]

    async def estimated(*_: object, **__: object) -> dict[str, Any]:
        return forecast

    async def start(_: str) -> None:
        nonlocal started
        started += 1
        raise OSError("too many processes")

    monkeypatch.setattr(forecasts, "_estimate", estimated)
    monkeypatch.setattr(service, "SPARE", SimpleNamespace(start=start))
    entry = forecasts._entries["first"] = ForecastEntry("first", "known", CONFIG, Model("m", tmp_path), None)
    async with forecasts.running(), asyncio.timeout(60):
        while "first" not in forecasts._warmed:  # noqa: ASYNC110 - nothing reports it
            await asyncio.sleep(0.001)
        assert (await forecasts._view(entry))["state"] == "measured"
    assert started == starts
    assert entry.error is None


@pytest.mark.parametrize("device", ["cpu", "cuda"])
async def test_filling_the_cache_of_a_base_makes_room_for_jobs_and_measurements(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    """And is taken up again, until it is done. A GPU needs none of it."""
    busy, started = False, list[Warming]()
    forecasts = Forecasts(None, tmp_path, tmp_path, lambda: busy)  # type: ignore[arg-type]
    known: dict[str, Any] = {"known": SimpleNamespace(device=device)}
    forecasts._store = SimpleNamespace(get=known.get)  # type: ignore[assignment]

    async def fits(*_: object, **__: object) -> dict[str, Any]:
        return {"fits": True}

    async def start(_: str) -> Warming:
        started.append(Warming())
        return started[-1]

    async def measure(entry: ForecastEntry, _: Any) -> None:
        known[entry.key] = SimpleNamespace(device="cuda")

    async def warmed_up(count: int) -> None:
        while len(started) < count or forecasts._warming is None:  # noqa: ASYNC110 - nothing reports it
            await asyncio.sleep(0.001)

    monkeypatch.setattr(forecasts, "_estimate", fits)
    monkeypatch.setattr(forecasts, "_measure", measure)
    monkeypatch.setattr(service, "SPARE", SimpleNamespace(start=start))
    entry = forecasts._entries["first"] = ForecastEntry("first", "known", CONFIG, Model("m", tmp_path), None)
    async with forecasts.running(), asyncio.timeout(60):
        if device == "cuda":
            await asyncio.sleep(0.02)
            assert not started
            return
        await warmed_up(1)
        assert not forecasts.measuring, "a process may wait with its libraries imported meanwhile"
        busy = True
        forecasts.training_begins()
        while forecasts._warming:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        busy = False
        forecasts._background.wake()
        await warmed_up(2)
        other = forecasts._entries["other"] = ForecastEntry(
            "other", "other", CONFIG, Model("m", tmp_path), None
        )
        await forecasts._view(other)
        while "other" not in known:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        del forecasts._entries["other"]
        await forecasts._view(entry)
        await warmed_up(3)
        assert len(started) == 3


class Measures(Warming):
    """A process that has measured a job, and then fills the cache until it is killed."""

    def __init__(self, found: Measurement) -> None:
        super().__init__()
        self.sent: list[type] = []
        self._found = found

    def send(self, message: object) -> None:
        self.sent.append(type(message))

    async def result(self, kind: type, *_: object) -> Any:
        return Measured(self._found.as_json()) if kind is Measured else await super().result(kind)


@pytest.mark.parametrize("whole", [True, False])
async def test_the_process_that_measured_a_job_fills_the_cache_with_the_model_it_has_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    """A process of its own does it where only some of the rows were measured."""
    started = list[Measures]()
    forecasts = Forecasts(None, tmp_path, tmp_path, lambda: False)  # type: ignore[arg-type]
    found = replace(MEASURED, looked=MEASURED.rows + MEASURED.held_out if whole else 10)

    async def fits(*_: object, **__: object) -> dict[str, Any]:
        return {"fits": True}

    async def start(_: str) -> Measures:
        started.append(Measures(found))
        return started[-1]

    monkeypatch.setattr(forecasts, "_estimate", fits)
    monkeypatch.setattr(service, "SPARE", SimpleNamespace(start=start))
    forecasts._entries["first"] = ForecastEntry("first", "key", CONFIG, Model("m", tmp_path), None)
    async with forecasts.running(), asyncio.timeout(60):
        while forecasts._warming is None:  # noqa: ASYNC110 - nothing reports it
            await asyncio.sleep(0.001)
        assert not forecasts.measuring, "a process may wait with its libraries imported meanwhile"
    measured: list[type] = [MeasurementRequest, Model]
    sent = [[*measured, WarmCache]] if whole else [measured, [WarmCache, Model]]
    assert [each.sent for each in started] == sent


@pytest.mark.parametrize(
    ("targets", "says"),
    [
        ("all-linear", None),
        (["q_proj"], None),
        (["self_attn.q_proj"], None),
        (["q_proj", "c_attn"], "the model has no layer called c_attn. It has q_proj"),
    ],
)
async def test_target_modules_that_a_model_lacks_are_known_before_it_is_loaded(
    tmp_path: Path, targets: object, says: str | None
) -> None:
    tensor = {"dtype": "BF16", "shape": [8, 8], "data_offsets": [0, 128]}
    names = {"model.layers.0.self_attn.q_proj.weight": tensor, "model.norm.weight": {**tensor, "shape": [8]}}
    header = json.dumps(names).encode()
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    (tmp_path / "rows.jsonl").write_text("{}")
    models: Any = SimpleNamespace(find_local=lambda name: Model(name, tmp_path))
    forecasts = Forecasts(models, tmp_path, tmp_path, lambda: False)
    config: Any = {
        "model": "m",
        "datasetSource": {"type": "file", "path": "rows.jsonl"},
        "loraTargetModules": targets,
    }
    whole: Any = {**config, "fullFineTuning": True}
    forecast = await forecasts.request(config)
    assert forecast["state"] == ("failed" if says else "waiting")
    assert forecast.get("error", "").endswith(says or "")
    assert says is None or (await forecasts.request(whole))["state"] == "waiting"
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 9)
    assert (await forecasts.request(config))["state"] == "waiting", "whoever loads it says what is wrong"
