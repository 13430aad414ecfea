"""Which GPUs there are, by a driver's library of the test's own, and by a kernel driver's files."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract import gpus
from arkor_dev.contract.gpus import Gpu, amd_gpus, idle_gpu, nvidia_gpus

if TYPE_CHECKING:
    import ctypes
    from pathlib import Path

CARDS = [("NVIDIA GeForce RTX 4090", "GPU-f00d", 20 * 10**9), ("Tesla T4", "GPU-beef", 15 * 10**9)]


def nvml() -> Any:
    """NVIDIA's library with ``CARDS``; handles are numbers from 1 on, and ``open`` counts its users."""
    library = SimpleNamespace(open=0)

    def card(handle: ctypes.c_void_p) -> tuple[str, str, int]:
        return CARDS[(handle.value or 0) - 1]

    def begin() -> int:
        library.open += 1
        return 0

    def end() -> int:
        library.open -= 1
        return 0

    def count(found: Any) -> int:
        found._obj.value = len(CARDS)
        return 0

    def handle_of(index: int, handle: Any) -> int:
        handle._obj.value = index + 1
        return 0

    def name(handle: ctypes.c_void_p, text: Any, size: int) -> int:
        text.value = card(handle)[0].encode()[:size]
        return 0

    def uuid(handle: ctypes.c_void_p, text: Any, size: int) -> int:
        text.value = card(handle)[1].encode()[:size]
        return 0

    def memory(handle: ctypes.c_void_p, found: Any) -> int:
        found._obj.free, found._obj.total = card(handle)[2], 24 * 10**9
        return 0 if handle.value == 1 else 3

    library.nvmlInit_v2, library.nvmlShutdown = begin, end
    library.nvmlDeviceGetCount_v2, library.nvmlDeviceGetHandleByIndex_v2 = count, handle_of
    library.nvmlDeviceGetName, library.nvmlDeviceGetUUID = name, uuid
    library.nvmlDeviceGetMemoryInfo = memory
    return library


def test_nvidia_gpus_are_listed_through_nvml() -> None:
    library = nvml()
    assert nvidia_gpus(lambda _: library) == [
        Gpu("NVIDIA GeForce RTX 4090", "GPU-f00d", 20 * 10**9, 24 * 10**9),
        Gpu("Tesla T4", "GPU-beef"),
    ]
    assert library.open == 0

    def missing(name: str) -> Any:
        raise OSError(name)

    assert nvidia_gpus(missing) == []
    other: Any = object()
    assert nvidia_gpus(lambda _: other) == [], "another library of that name"


def test_amd_gpus_are_listed_from_sysfs(tmp_path: Path) -> None:
    for name, number in (("0", "0\n"), ("1", "51234\n"), ("10", "51236\n"), ("2", "")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "gpu_id").write_text(number)
    assert amd_gpus(tmp_path) == [Gpu("AMD GPU", "0"), Gpu("AMD GPU", "1")]
    assert amd_gpus(tmp_path / "none") == []


@pytest.mark.parametrize(
    ("nvidia", "amd", "build", "needed"),
    [
        (1, 0, "cuda", ""),
        (1, 0, "cpu", "NVIDIA GPUs (CUDA)"),
        (0, 1, "rocm", ""),
        (0, 1, "cuda", "AMD GPUs (ROCm)"),
        (0, 0, "cpu", ""),
    ],
)
def test_a_gpu_that_the_build_of_torch_cannot_use_is_named(
    monkeypatch: pytest.MonkeyPatch, nvidia: int, amd: int, build: str, needed: str
) -> None:
    monkeypatch.setattr(gpus, "nvidia_gpus", lambda: [Gpu("T4", "GPU-1")] * nvidia)
    monkeypatch.setattr(gpus, "amd_gpus", lambda: [Gpu("AMD GPU", "0")] * amd)
    monkeypatch.setattr("sys.platform", "linux")
    found = idle_gpu(build)
    assert found[1].endswith(needed) if found else not needed
