"""Detects the GPUs that the installed torch can use, without importing it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.gpus import VARIABLES, amd_gpus, nvidia_gpus, torch_build

if TYPE_CHECKING:
    from collections.abc import Mapping

DRIVER: Final = Path("/proc/driver/nvidia/gpus")


def gpus(environ: Mapping[str, str], driver: Path = DRIVER) -> list[str]:
    """Return the names of the usable GPUs, as in ``CUDA_VISIBLE_DEVICES``.

    NVIDIA GPUs are named by UUID, since the driver counts them in a different order from CUDA. Without the
    driver's library they are named by number.
    """
    kind = torch_build()
    for variable in VARIABLES[: 3 if kind == "rocm" else 1]:
        if (visible := environ.get(variable)) is not None:
            return [name.strip() for name in visible.split(",") if name.strip() and name.strip() != "-1"]
    if kind == "rocm":
        return [gpu.uuid for gpu in amd_gpus()]
    if kind != "cuda":
        return []
    if nvidia := nvidia_gpus():
        return [gpu.uuid for gpu in nvidia]
    with contextlib.suppress(OSError):
        return [str(number) for number, _ in enumerate(sorted(driver.iterdir()))]
    return []
