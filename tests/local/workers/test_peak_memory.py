"""The peak of a process of its own, which nothing else in this one can disturb."""

from __future__ import annotations

import json
import subprocess
import sys

MIB = 2**20
CODE = """
import json
from arkor_dev.local.workers import peak_memory as peak
block = bytearray(96 << 20)
held = peak.resident()
del block
before, most = peak.resident(), peak.peak()
peak.forget()
print(json.dumps([held, before, most, peak.peak()]))
"""


def test_a_peak_is_remembered_until_it_is_forgotten() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE], check=True, capture_output=True, text=True, timeout=60
    )
    held, before, most, after = json.loads(done.stdout)
    assert most + MIB > held > before + 90 * MIB  # the kernel counts pages in batches
    assert before - MIB < after < before + 8 * MIB
