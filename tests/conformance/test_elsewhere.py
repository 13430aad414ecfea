"""The suite finds its way to a backend that the environment names, and fails where that one does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import ELSEWHERE, fake_target

TEST = "tests/conformance/test_access.py::test_projects_of_an_organization_are_listed"

pytestmark = pytest.mark.skipif(bool(ELSEWHERE), reason="this is the run against the backend that is named")


def run(url: str, token: str, config: object) -> subprocess.CompletedProcess[str]:
    """One test of the suite against a backend, in a process of its own."""
    named = {"URL": f"{url}/", "TOKEN": token, "CONFIG": json.dumps(config)}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", TEST],
        cwd=Path(__file__).parents[2],
        env=os.environ | {f"ARKOR_CONFORMANCE_{name}": value for name, value in named.items()},
        capture_output=True,
        text=True,
        timeout=250,
    )


def test_the_named_backend_is_tested() -> None:
    with fake_target() as target:
        good = run(target.address, target.token, target.quick)
        refused = run(target.address, "not-the-token", target.quick)
    assert good.returncode == 0, good.stdout
    assert "1 passed" in good.stdout
    assert refused.returncode == 1
    assert "[elsewhere" in refused.stdout
    assert "AssertionError" in refused.stdout
