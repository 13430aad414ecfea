"""Which GPUs this machine has, without a library that would take one of them."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

DRIVER: Final = Path("/proc/driver/nvidia/gpus")


def gpus(environ: Mapping[str, str], driver: Path = DRIVER) -> list[str]:
    """The numbers, or names, of the GPUs that a process may use, as ``CUDA_VISIBLE_DEVICES`` has them."""
    told = environ.get("CUDA_VISIBLE_DEVICES")
    if told is not None:
        return [each.strip() for each in told.split(",") if each.strip() and each.strip() != "-1"]
    with contextlib.suppress(OSError):
        return [str(number) for number, _ in enumerate(sorted(driver.iterdir()))]
    return []
