"""A connection that fails for a reason that passes is tried again; any other failure is told at once."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.cluster import connection
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from pathlib import Path

DIES = "Initialization failure from server:\nRuntimeError: Starting Ray client server failed. See x.err"


class Ray(ModuleType):
    """Stands in for Ray: connects once it has failed with each of ``faults``."""

    def __init__(self, *faults: Exception) -> None:
        super().__init__("ray")
        self.faults = list(faults)
        self.tried = 0
        self.left = 0

    def init(self, **_: Any) -> None:
        self.tried += 1
        if self.faults:
            raise self.faults.pop(0)

    def shutdown(self) -> None:
        self.left += 1


def connect(monkeypatch: pytest.MonkeyPatch, ray: Ray) -> Ray:
    monkeypatch.setitem(sys.modules, "ray", ray)
    connection.connect("ray://127.0.0.2:10001")
    return ray


def test_a_ray_client_server_that_dies_at_start_is_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = connect(monkeypatch, Ray(ConnectionError(DIES), ConnectionError(DIES)))
    assert (ray.tried, ray.left) == (3, 2)


def test_a_ray_client_server_that_always_dies_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(JobFailure, match="Couldn't connect"):
        connect(monkeypatch, Ray(*[ConnectionError(DIES)] * 3))


def test_an_ended_local_cluster_is_noticed_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, unused_tcp_port: int
) -> None:
    """The address that ``ray start`` noted stays when its processes are killed."""
    pytest.importorskip("ray")
    noted = tmp_path / "ray" / "ray_current_cluster"
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.setattr("ray._private.services.find_gcs_addresses", set)
    monkeypatch.setattr("ray.init", lambda **_: pytest.fail("Ray would wait for minutes"))
    with pytest.raises(JobFailure, match="is not part of a Ray cluster"):
        connection.connect("auto")
    noted.parent.mkdir()
    noted.write_text(f"127.0.0.1:{unused_tcp_port}\n")
    with pytest.raises(JobFailure, match=f"was at .*:{unused_tcp_port}, where nothing answers now"):
        connection.connect("auto")


def test_permanent_connection_errors_are_not_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = Ray(ConnectionError("Ray Client connection refused"), ConnectionError(DIES))
    with pytest.raises(JobFailure, match="refused"):
        connect(monkeypatch, ray)
    assert ray.tried == 1
