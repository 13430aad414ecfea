"""What others do beside it is left out of the time that something takes; its own waits are not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from .own_time import OwnTime

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/schedstat").exists() or not hasattr(os, "sched_setaffinity"),
    reason="needs Linux's figures of the scheduler",
)


def work(seconds: float) -> None:
    """Compute for so many seconds of the processor's time."""
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def test_sleeping_counts_as_own_time() -> None:
    for _ in range(3):  # a thread of this process that waits for a processor meanwhile is left out as well
        own = OwnTime()
        time.sleep(0.2)
        if (seconds := own.seconds) > 0.15:
            break
    assert seconds > 0.15


def test_time_of_other_processes_does_not_count() -> None:
    """Five processes share one processor: by the clock it takes five times as long."""
    where = os.sched_getaffinity(0)
    one = {min(where)}
    body = f"import os\nos.sched_setaffinity(0, {one})\nprint(flush=True)\nwhile 1: pass"
    with ExitStack() as stack:
        for _ in range(4):
            process = subprocess.Popen([sys.executable, "-ISc", body], stdout=subprocess.PIPE)
            stack.enter_context(process)
            stack.callback(process.kill)
            assert process.stdout
            process.stdout.readline()  # it is at it
        stack.callback(os.sched_setaffinity, 0, where)
        os.sched_setaffinity(0, one)
        for _ in range(3):  # a machine that stands still itself tells no process of it
            own, began = OwnTime(), time.monotonic()
            work(0.2)
            took, own_seconds = time.monotonic() - began, own.seconds
            if 0.17 < own_seconds < 0.5 * took:
                break
    assert took > 0.4
    assert 0.17 < own_seconds < 0.5 * took
