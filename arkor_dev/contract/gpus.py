"""The GPUs of this machine, without a library that would take one of them.

NVIDIA's are read through the driver's own library (NVML), AMD's from the kernel driver's files. A process
that opens CUDA instead would hold some hundred megabytes of a GPU.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NVML: Final = ("libnvidia-ml.so.1", "/usr/lib/wsl/lib/libnvidia-ml.so.1")
AMD: Final = Path("/sys/class/kfd/kfd/topology/nodes")
"""A folder for each processor and GPU; processors have no ``gpu_id``, or 0."""
VARIABLES: Final = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")
"""Environment variables that hide GPUs: of CUDA, and of ROCm, which knows all three."""
TEXT_BYTES: Final = 96


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU: its ``name``, what ``CUDA_VISIBLE_DEVICES`` calls it, and its memory in bytes, where known."""

    name: str
    uuid: str
    free: int | None = None
    total: int | None = None


class _Memory(ctypes.Structure):
    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


def nvidia_gpus(load: Callable[[str], ctypes.CDLL] = ctypes.CDLL) -> list[Gpu]:
    """Return the GPUs that NVIDIA's driver has, in the order of their slots; empty without the driver."""
    for name in NVML:
        try:
            library = load(name)
        except OSError:
            continue
        try:
            if library.nvmlInit_v2() == 0:
                try:
                    return list(_nvidia(library))
                finally:
                    library.nvmlShutdown()
        except AttributeError:  # another library of that name
            continue
    return []


def _nvidia(library: ctypes.CDLL) -> Iterator[Gpu]:
    count = ctypes.c_uint()
    if library.nvmlDeviceGetCount_v2(ctypes.byref(count)) != 0:
        return
    for index in range(count.value):
        handle, memory = ctypes.c_void_p(), _Memory()
        if library.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(handle)) != 0:
            continue

        def text(ask: Callable[..., int], handle: ctypes.c_void_p = handle) -> str:
            buffer = ctypes.create_string_buffer(TEXT_BYTES)
            success = ask(handle, buffer, TEXT_BYTES) == 0
            return buffer.value.decode(errors="replace") if success else ""

        known = library.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory)) == 0
        yield Gpu(
            text(library.nvmlDeviceGetName) or "NVIDIA GPU",
            text(library.nvmlDeviceGetUUID) or str(index),
            memory.free if known else None,
            memory.total if known else None,
        )


def amd_gpus(nodes: Path = AMD) -> list[Gpu]:
    """Return the GPUs that AMD's compute driver has, numbered; empty without the driver."""
    gpus: list[Gpu] = []
    with contextlib.suppress(OSError):
        for node in sorted(nodes.iterdir(), key=lambda path: (len(path.name), path.name)):
            with contextlib.suppress(OSError, ValueError):
                if int((node / "gpu_id").read_text() or 0):
                    gpus.append(Gpu("AMD GPU", str(len(gpus))))
    return gpus


def idle_gpu(build: str) -> tuple[str, str] | None:
    """Return the name of a GPU that this ``build`` of torch cannot use, and what to install.

    ``build`` is "cuda", "rocm" or "cpu". The GPU may be unusable for other reasons, such as an old driver.
    """
    if sys.platform == "darwin":
        return None
    nvidia, amd = nvidia_gpus(), amd_gpus()
    if nvidia and build != "cuda":
        return nvidia[0].name, "the build of PyTorch for NVIDIA GPUs (CUDA)"
    if amd and build != "rocm" and not nvidia:
        return amd[0].name, "the build of PyTorch for AMD GPUs (ROCm)"
    return None


def torch_build() -> str | None:
    """Return what torch was built for: cuda, rocm or cpu (also a Mac's). None without torch."""
    spec = importlib.util.find_spec("torch")
    for folder in (spec and spec.submodule_search_locations) or ():
        try:
            text = (Path(folder) / "version.py").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        for name, kind in (("cuda", "cuda"), ("hip", "rocm")):
            if re.search(rf"^{name}\b[^=\n]*=\s*['\"]", text, re.MULTILINE):
                return kind
        return "cpu"
    return None
