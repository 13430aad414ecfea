"""The benches run: a figure of theirs means something on a quiet machine alone, but it has to come."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.beside
@pytest.mark.timeout(600)
def test_the_bench_of_answers_measures_both_sides() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "bench"), "inference", "--quick", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    figures = {figure["name"]: figure for figure in json.loads(done.stdout)}
    for count in (1, 4, 8):
        figure = figures[f"{count} at once, generate beside, float32"]
        assert figure["value"] > 0
        assert figure["floor"] > 0
    assert {"first token, generate beside", "  of the next question", "peak memory, generate beside"} <= set(
        figures
    )
    assert all(figure["value"] > 0 for figure in figures.values())


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
