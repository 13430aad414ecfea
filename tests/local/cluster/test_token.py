"""A cluster that asks for a token, by the address of its head and of its client server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from .conftest import running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.cluster, pytest.mark.timeout(600)]

TOKEN = "0123456789abcdef" * 4
LOOK = """
import json, sys
from pathlib import Path
from arkor_dev.local.cluster.tasks import cluster_status
print(json.dumps(cluster_status(sys.argv[1], Path(sys.argv[2]), insecure=False)))
"""


@pytest.fixture(scope="module")
def closed() -> Iterator[tuple[str, str]]:
    """Both addresses of a cluster that asks for a token."""
    with running(0, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=TOKEN) as nodes:
        yield nodes.address, nodes.client


def look(address: str, home: Path, token: str | None) -> tuple[dict[str, Any], str]:
    """The cluster, and all that was written on the way to it, with ``token`` in a file of this home."""
    (home / ".ray").mkdir(parents=True)
    if token is not None:
        (home / ".ray" / "auth_token").write_text(token)
        (home / ".ray" / "auth_token").chmod(0o600)
    env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    ran = subprocess.run(
        [sys.executable, "-c", LOOK, address, str(home)],
        capture_output=True,
        text=True,
        check=True,
        env={**env, "HOME": str(home), "RAY_USAGE_STATS_ENABLED": "0"},
    )
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return found, ran.stdout + ran.stderr


@pytest.mark.parametrize("kind", [0, 1], ids=["head", "client"])
def test_the_token_is_accepted_and_never_logged(closed: tuple[str, str], tmp_path: Path, kind: int) -> None:
    cluster, said = look(closed[kind], tmp_path / "home", TOKEN)
    assert "problem" not in cluster, cluster
    assert cluster["token"] is True
    assert [node["name"] for node in cluster["nodes"]] == ["127.0.0.2"]
    assert TOKEN not in said


@pytest.mark.parametrize("kind", [0, 1], ids=["head", "client"])
def test_a_missing_token_says_how_to_provide_it(closed: tuple[str, str], tmp_path: Path, kind: int) -> None:
    cluster, _ = look(closed[kind], tmp_path / "home", None)
    assert "requires a token, and this machine has none" in cluster["problem"]
    assert "RAY_AUTH_TOKEN" in cluster["problem"]


@pytest.mark.parametrize("kind", [0, 1], ids=["head", "client"])
def test_a_wrong_token_is_named(closed: tuple[str, str], tmp_path: Path, kind: int) -> None:
    cluster, said = look(closed[kind], tmp_path / "home", TOKEN[::-1])
    assert "does not accept this machine's token" in cluster["problem"]
    assert TOKEN[::-1] not in said
