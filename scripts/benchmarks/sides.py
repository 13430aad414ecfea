"""Runs one side of a comparison in a separate process, whose threads wait like those of a worker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arkor_dev.local.workers.process import DEFAULTS

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[2]


def environment() -> dict[str, str]:
    """Return the environment of a side's process."""
    return {
        **DEFAULTS,
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT / "scripts"), str(ROOT)]),
        "HF_HUB_OFFLINE": "1",
    }


def in_a_process(
    module: str, side: str, *arguments: object, settings: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the figures that ``benchmarks.MODULE SIDE ARGUMENTS`` prints as its last line."""
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}", side, *map(str, arguments)],
        env={**environment(), **(settings or {})},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"the {side} side failed:\n{done.stderr[-2000:]}")
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures
