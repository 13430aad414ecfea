"""The benches run: a figure of theirs means something on a quiet machine alone, but it has to come."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


CARRIED = """
import sys
from pathlib import Path
from benchmarks import capacity
print(*capacity.measure(Path(sys.argv[1]) / "store", quick=True), sep="\\n")
"""


@pytest.mark.timeout(600)  # each of its events is a commit, and a disk may stand still
def test_what_this_machine_carries_of_a_cluster_is_measured(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CARRIED, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT / "scripts",
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line[:16].strip() for line in lines] == [
        "events stored of",
        "events stored of",
        "the list of th",
        "bytes of an ev",
        "messages of a no",
        "bytes of a check",
    ]
