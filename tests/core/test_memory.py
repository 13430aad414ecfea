"""What is free goes back to the system."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from arkor_dev.core import process

# Many small pieces, of which the last one stays: glibc cannot shrink its heap below that by itself.
FREED = """
import os
from pathlib import Path
from arkor_dev.core.process import give_back
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20
pieces = [bytes([n % 256]) * 20_000 for n in range(4_000)]
last = pieces.pop()
full = resident()
del pieces
freed = resident()
give_back()
print(full, freed, resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators give back by themselves")
def test_freed_memory_is_returned_to_the_system() -> None:
    done = subprocess.run([sys.executable, "-c", FREED], check=True, capture_output=True, text=True)
    full, freed, given_back = map(int, done.stdout.split())
    assert freed > full - 20  # else there is nothing to give back, and this module can go
    assert given_back < full - 70


def test_other_allocators_are_not_trimmed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_trim", lambda: None)
    process.give_back()
