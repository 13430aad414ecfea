"""The machine's state during training, sampled every two seconds by a thread of the training process.

The thread is in this process because that knows the step and the device, and so that both end together. A
sample reads a few files of ``/proc`` and queries the GPU's driver: about a millisecond, during which the
training loop waits at most for the interpreter's lock. It draws no random numbers, so the run's results stay
bit for bit the same.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Final, Self

from arkor_dev.contract.events import SYSTEM_METRICS, SystemMetrics

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType, TracebackType


def on_battery() -> bool:
    """Return True only if that is certain; without a battery or report, the machine counts as on mains."""
    try:
        import psutil  # type: ignore[import-untyped]  # comes with accelerate, which peft needs

        battery = psutil.sensors_battery()
    except Exception:  # noqa: BLE001 - the package, the system's call or a broken driver: it is not known
        return False
    return battery is not None and battery.power_plugged is False


SECONDS: Final = 2.0


class Machine:
    """Reads figures of this machine and process; figures that the system does not report are omitted."""

    def __init__(self, gpu: str | None = None) -> None:
        """``gpu`` is the UUID of the NVIDIA GPU that computes; None without one."""
        import psutil  # comes with accelerate, which peft needs

        self._psutil = psutil
        self._process = psutil.Process()
        self._cores = psutil.cpu_count() or 1
        self._gpu = None if gpu is None else _Gpu.of(gpu)
        self._moved: tuple[float, int] | None = None
        self.read()  # rates are measured from here on

    def read(self) -> SystemMetrics:
        """Return ``system.metrics``; shares and rates cover the time since the last call."""
        psutil, figures = self._psutil, SystemMetrics(type=SYSTEM_METRICS)
        # Figures that a system lacks, or denies to this user, must not end a run.
        with contextlib.suppress(psutil.Error, OSError):
            figures["cpu"] = round(psutil.cpu_percent() / 100, 3)
        with contextlib.suppress(psutil.Error, OSError):
            figures["processCpu"] = round(min(1.0, self._process.cpu_percent() / 100 / self._cores), 3)
            figures["memory"] = self._process.memory_info().rss
        with contextlib.suppress(psutil.Error, OSError):
            figures["memoryFree"] = psutil.virtual_memory().available
        with contextlib.suppress(psutil.Error, OSError, AttributeError):  # macOS has no such counters
            counted = self._process.io_counters()
            now, moved = time.monotonic(), counted.read_bytes + counted.write_bytes
            if self._moved is not None and now > self._moved[0]:
                figures["disk"] = round((moved - self._moved[1]) / (now - self._moved[0]))
            self._moved = (now, moved)
        if self._gpu is not None:
            self._gpu.read(figures)
        return figures


class _Gpu:
    """One NVIDIA GPU, through its driver's library ``nvidia-ml-py`` (module ``pynvml``)."""

    def __init__(self, nvml: ModuleType, handle: object) -> None:
        self._nvml = nvml
        self._handle = handle

    @classmethod
    def of(cls, uuid: str) -> _Gpu | None:
        """Open the GPU; None if the package or the driver is missing, or does not know it."""
        try:
            import pynvml as nvml  # type: ignore[import-not-found,import-untyped,unused-ignore]

            library: ModuleType = nvml
            library.nvmlInit()
            return cls(library, library.nvmlDeviceGetHandleByUUID(uuid))
        except Exception:  # noqa: BLE001 - figures are no reason to end a run
            return None

    def read(self, figures: SystemMetrics) -> None:
        """Add this GPU's figures; many cards do not report their power."""
        nvml, handle = self._nvml, self._handle
        with contextlib.suppress(Exception):
            figures["gpu"] = nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100
        with contextlib.suppress(Exception):
            figures["gpuMemory"] = nvml.nvmlDeviceGetMemoryInfo(handle).used
        with contextlib.suppress(Exception):
            figures["gpuWatts"] = nvml.nvmlDeviceGetPowerUsage(handle) / 1000
        with contextlib.suppress(Exception):
            figures["gpuCelsius"] = nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)


class MetricsSampler:
    """Sends ``system.metrics`` through ``emit`` every ``seconds`` in its ``with`` block; never raises.

    ``step()`` returns the current step; ``machine()`` creates the object to sample.
    """

    def __init__(
        self,
        emit: Callable[[SystemMetrics], None],
        step: Callable[[], int],
        machine: Callable[[], Machine],
        seconds: float = SECONDS,
    ) -> None:
        self._emit = emit
        self._step = step
        self._machine = machine
        self._seconds = seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="system metrics", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop: no event follows. Waits only briefly for a reading that hangs."""
        self._stopped.set()
        self._thread.join(1)

    def _run(self) -> None:
        try:
            machine = self._machine()
            due = time.monotonic() + self._seconds
            while not self._stopped.wait(max(0.0, due - time.monotonic())):
                # don't make up for samples missed during sleep
                due = max(due + self._seconds, time.monotonic())
                figures = machine.read()
                if not self._stopped.is_set():
                    figures["step"] = self._step()
                    self._emit(figures)
        except Exception:  # noqa: BLE001 - figures are no reason to end a run
            return
