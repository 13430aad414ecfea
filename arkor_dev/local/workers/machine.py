"""This machine's free memory and disk space, and the properties that determine its speed."""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import os
import platform
import shutil
from pathlib import Path
from typing import Final, NamedTuple

from arkor_dev.contract.gpus import nvidia_gpus

from .process import CHOOSES_GPUS
from .resources import address_space, available_cores, data_memory

MEMINFO: Final = Path("/proc/meminfo")
GROUPS: Final = Path("/proc/self/cgroup")
CONTROL: Final = Path("/sys/fs/cgroup")
UNLIMITED: Final = 2**60
"""A control group's limit of at least this value means unlimited."""
LIBRARIES: Final = ("torch", "transformers", "peft", "arkor-dev")


class Memory(NamedTuple):
    """Memory available to a new process, and the total, in bytes; None if unknown."""

    free: int | None
    total: int | None


def gpu_memory(name: str) -> Memory:
    """Memory available to a process on the GPU called ``name`` in ``CUDA_VISIBLE_DEVICES``."""
    gpu_found = next((gpu for gpu in nvidia_gpus() if gpu.uuid == name), None)
    return Memory(gpu_found.free, gpu_found.total) if gpu_found else Memory(None, None)


def memory() -> Memory:
    """Return the tightest limit: the system's, the control groups' or the process's own."""
    limits = [_system(), *_groups(), *_limits()]
    free = [limit.free for limit in limits if limit.free is not None]
    total = [limit.total for limit in limits if limit.total is not None]
    return Memory(min(free, default=None), min(total, default=None))


def spare_memory() -> int | None:
    """Return the bytes that this process may take in addition to its own; None if unknown."""
    free = [limit.free for limit in (_system(), *_groups(), *_limits(used=True)) if limit.free is not None]
    return min(free, default=None)


def _system() -> Memory:
    try:
        lines = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines())
        return Memory(*(int(lines[name].split()[0]) * 1024 for name in ("MemAvailable", "MemTotal")))
    except (OSError, ValueError, KeyError, IndexError):
        pass
    with contextlib.suppress(ImportError):
        import psutil  # type: ignore[import-untyped]  # comes with accelerate, which peft needs

        virtual = psutil.virtual_memory()
        return Memory(virtual.available, virtual.total)
    return Memory(None, _pages())


def _pages() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError, AttributeError):
        return None


def _groups() -> list[Memory]:
    """Return the limits of this process's control groups and their parents."""
    try:
        lines = GROUPS.read_text().splitlines()
    except OSError:
        return []
    groups: list[Memory] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, names = CONTROL, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            root = CONTROL / "memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        folder = root / path.lstrip("/")
        while folder.is_relative_to(root):
            group = _group(folder, *names)
            if group is not None:
                groups.append(group)
            folder = folder.parent
    return groups


def _group(folder: Path, limit: str, used: str, cache: str) -> Memory | None:
    """Return the memory left in one group; page cache counts as free, since it is reclaimed on demand."""
    try:
        most = int((folder / limit).read_text())
        now = int((folder / used).read_text())
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # also for "max": no limit
        return None
    if most >= UNLIMITED:
        return None
    return Memory(max(0, most - now + int(stat.get(cache, 0))), most)


def _limits(*, used: bool = False) -> list[Memory]:
    """Return the process's own limits (``ulimit -d`` and ``-v``), ``used`` by itself or by a new process."""
    try:
        import resource
    except ImportError:
        return []
    limits = [
        (resource.getrlimit(kind)[0], taken() if used else 0)
        for kind, taken in ((resource.RLIMIT_DATA, data_memory), (resource.RLIMIT_AS, address_space))
    ]
    return [
        Memory(max(0, limit - taken), limit)
        for limit, taken in limits
        if limit not in (resource.RLIM_INFINITY, -1)
    ]


def free_disk(folder: Path) -> int | None:
    """Return the free bytes on the disk of ``folder``."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


@functools.cache
def speed_factors() -> tuple[str, ...]:
    """Return what a speed measurement depends on: processor, cores, visible GPUs, variables, libraries."""
    threads = [f"{name}={os.environ.get(name)}" for name in ("OMP_NUM_THREADS", *CHOOSES_GPUS)]
    gpus = [gpu.name for gpu in nvidia_gpus()]
    versions = [f"{name} {_version(name)}" for name in LIBRARIES]
    return (processor(), f"{available_cores()} cores", *threads, *gpus, *versions)


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "none"


def processor() -> str:
    """Return the processor's name."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line
    except OSError:
        pass
    return platform.processor() or platform.machine()
