"""Lists this machine's GPUs without a library that would occupy one."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

DRIVER: Final = Path("/proc/driver/nvidia/gpus")


def gpus(environ: Mapping[str, str], driver: Path = DRIVER) -> list[str]:
    """Return the numbers or names of the usable GPUs, as in ``CUDA_VISIBLE_DEVICES``."""
    told = environ.get("CUDA_VISIBLE_DEVICES")
    if told is not None:
        return [each.strip() for each in told.split(",") if each.strip() and each.strip() != "-1"]
    with contextlib.suppress(OSError):
        return [str(number) for number, _ in enumerate(sorted(driver.iterdir()))]
    return []
