"""The machine's figures while it trains: true ones, silent where there are none, and never in the way."""

from __future__ import annotations

import sys
import threading
import types
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract.events import SystemMetrics
from arkor_dev.local.metrics.system_metrics import Machine, MetricsSampler
from tests.local.harness import until

if TYPE_CHECKING:
    from collections.abc import Callable

pytest.importorskip("psutil")


class Reading:
    """A machine of the test's own, which may fail or hang."""

    def __init__(self, read: Callable[[], SystemMetrics]) -> None:
        self.read = read


def machine(read: Callable[[], SystemMetrics]) -> Any:
    return lambda: Reading(read)


def test_system_metrics_are_those_of_this_machine() -> None:
    import psutil  # type: ignore[import-untyped]

    this = Machine()
    held = bytearray(64 * 2**20)
    figures = this.read()
    assert set(figures) <= set(SystemMetrics.__annotations__)
    assert 0 <= figures["cpu"] <= 1
    assert 0 <= figures["processCpu"] <= 1
    assert figures["memory"] > len(held)
    assert 0 < figures["memoryFree"] < psutil.virtual_memory().total
    assert not [name for name in figures if name.startswith("gpu")]
    if sys.platform == "linux":
        assert figures["disk"] >= 0


def test_samples_have_the_current_step() -> None:
    sent: list[SystemMetrics] = []
    step = 0

    def now() -> int:
        nonlocal step
        step += 1
        return step

    reading = machine(lambda: {"type": "system.metrics", "cpu": 0.5})
    with MetricsSampler(sent.append, now, reading, 0.01):
        until(lambda: len(sent) >= 3)
    count = len(sent)
    assert sent[:3] == [{"type": "system.metrics", "step": n, "cpu": 0.5} for n in (1, 2, 3)]
    # Its end is waited for, but not for ever.
    until(lambda: not [thread for thread in threading.enumerate() if thread.name == "system metrics"])
    assert len(sent) == count


def test_an_unreadable_machine_does_not_end_a_run() -> None:
    sent: list[SystemMetrics] = []
    tried = threading.Event()

    def refuse() -> SystemMetrics:
        tried.set()
        raise RuntimeError("no such file")

    with MetricsSampler(sent.append, lambda: 0, machine(refuse), 0.01):
        assert tried.wait(60)
    assert sent == []


def test_a_hanging_reading_does_not_delay_the_end() -> None:
    hangs, asked = threading.Event(), threading.Event()
    sent: list[SystemMetrics] = []

    def hang() -> SystemMetrics:
        asked.set()
        hangs.wait(110)
        return {"type": "system.metrics", "cpu": 1.0}

    sampler = MetricsSampler(sent.append, lambda: 0, machine(hang), 0.01)
    with sampler:
        assert asked.wait(60)
    hangs.set()
    sampler._thread.join(60)
    assert sent == []  # what comes after the end is not sent


def nvml(**calls: Any) -> types.ModuleType:
    """A driver's library of the test's own."""
    module = types.ModuleType("pynvml")

    def raises(*_: object) -> None:
        raise RuntimeError("not supported")

    for name in ("Init", "DeviceGetHandleByUUID", "DeviceGetUtilizationRates", "DeviceGetMemoryInfo"):
        setattr(module, f"nvml{name}", calls.get(name, raises))
    for name in ("DeviceGetPowerUsage", "DeviceGetTemperature"):
        setattr(module, f"nvml{name}", calls.get(name, raises))
    module.NVML_TEMPERATURE_GPU = 0  # type: ignore[attr-defined]
    return module


def test_gpu_metrics_come_from_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a card does not tell is left out. It has its UUID there: the driver counts otherwise than CUDA."""
    asked: list[str] = []

    def handle(uuid: str) -> int:
        asked.append(uuid)
        return 1

    library = nvml(
        Init=lambda: None,
        DeviceGetHandleByUUID=handle,
        DeviceGetUtilizationRates=lambda _: types.SimpleNamespace(gpu=87),
        DeviceGetMemoryInfo=lambda _: types.SimpleNamespace(used=5 * 2**30),
        DeviceGetPowerUsage=lambda _: 142_500,
    )
    monkeypatch.setitem(sys.modules, "pynvml", library)
    figures = Machine(gpu="GPU-f00d").read()
    assert asked == ["GPU-f00d"]
    told = {name: value for name, value in figures.items() if name.startswith("gpu")}
    assert told == {"gpu": 0.87, "gpuMemory": 5 * 2**30, "gpuWatts": 142.5}


@pytest.mark.parametrize("library", [None, nvml()], ids=["no package", "no driver"])
def test_without_nvml_there_are_no_gpu_metrics(
    monkeypatch: pytest.MonkeyPatch, library: types.ModuleType | None
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", library)
    assert not [name for name in Machine(gpu="GPU-0").read() if name.startswith("gpu")]
