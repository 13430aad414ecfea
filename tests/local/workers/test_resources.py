"""Cores of this process, and the peak memory of a child process, which nothing else disturbs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from arkor_dev.local.workers.resources import available_cores

if TYPE_CHECKING:
    import pytest

MIB = 2**20
CODE = """
import json
from arkor_dev.local.workers import resources
block = bytearray(96 << 20)
held = resources.resident_memory()
del block
before, most = resources.resident_memory(), resources.peak_memory()
resources.reset_peak_memory()
print(json.dumps([held, before, most, resources.peak_memory()]))
"""


def test_peak_memory_can_be_reset() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE], check=True, capture_output=True, text=True, timeout=60
    )
    held, before, most, after = json.loads(done.stdout)
    assert most + MIB > held > before + 90 * MIB  # the kernel counts pages in batches
    assert before - MIB < after < before + 8 * MIB


def test_cores_are_those_assigned_to_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 2, 5}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 10)
    assert available_cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    assert available_cores() == 10
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert available_cores() == 1
