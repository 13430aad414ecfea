"""How many files and connections a launch may have open."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from arkor_dev.core.process import connections_at_most

RAISED = """
import resource, sys
from arkor_dev.core.process import connections_at_most, raise_limit
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[2])))
raise_limit()
print(*resource.getrlimit(resource.RLIMIT_NOFILE), connections_at_most())
"""


@pytest.mark.parametrize(
    ("soft", "hard", "now"),
    [(64, 256, (256, 256, 64)), (128, 4096, (4096, 4096, 1024)), (256, 256, (256, 256, 64))],
)
def test_the_soft_limit_of_open_files_is_raised(soft: int, hard: int, now: tuple[int, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RAISED, str(soft), str(hard)], check=True, capture_output=True, text=True
    )
    assert tuple(map(int, done.stdout.split())) == now


@pytest.mark.parametrize(
    ("soft", "most"), [(20, 16), (1024, 256), (1_000_000, 1024), (resource.RLIM_INFINITY, 1024)]
)
def test_connection_limit_leaves_descriptors_for_files(
    soft: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, soft))
    assert connections_at_most() == most
