"""An open cluster on another machine is not used, and a token that others can read is not either."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.cluster import access
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def nothing_given(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (access.MODE, access.TOKEN, access.TOKEN_FILE):
        monkeypatch.setenv(name, "")  # so that what a test sets goes with it
        monkeypatch.delenv(name)


def answers(monkeypatch: pytest.MonkeyPatch, answer: access.AuthStatus) -> None:
    """What a cluster says to anybody, and to those with a token where that is the right one: ``open``."""
    monkeypatch.setattr(access, "probe_auth", lambda _, token=None: "open" if token else answer)


def test_an_open_remote_cluster_is_refused_with_advice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers(monkeypatch, "open")
    with pytest.raises(JobFailure, match=r"requires no token.*RAY_AUTH_MODE=token.*--insecure-cluster"):
        access.check_access("ray://head:10001", insecure=False)
    assert access.MODE not in os.environ


def test_an_open_cluster_needs_the_insecure_option(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, "open")
    assert access.check_access("ray://head:10001", insecure=True) is False
    assert os.environ[access.MODE] == "disabled"


def test_an_open_local_cluster_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, "open")
    assert access.check_access("127.0.0.2:6379", insecure=False) is False


def test_a_cluster_with_authentication_gets_the_token(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    answers(monkeypatch, "token")
    with pytest.raises(JobFailure, match="this machine has none"):
        access.check_access("ray://head:10001", insecure=False)
    file = home / ".ray" / "auth_token"
    file.parent.mkdir()
    file.write_text("secret-token")
    file.chmod(0o640)
    with pytest.raises(JobFailure, match="chmod 600") as refused:
        access.check_access("ray://head:10001", insecure=False)
    assert "secret-token" not in str(refused.value)
    file.chmod(0o600)
    assert access.check_access("ray://head:10001", insecure=False) is True
    assert os.environ[access.MODE] == "token"


def test_a_refused_token_is_reported_before_ray_connects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "probe_auth", lambda _, token=None: "token")
    monkeypatch.setenv(access.TOKEN, "of-another-cluster")
    with pytest.raises(JobFailure, match="does not accept this machine's token") as refused:
        access.check_access("ray://head:10001", insecure=False)
    assert "of-another-cluster" not in str(refused.value)
    assert access.MODE not in os.environ


@pytest.mark.parametrize("address", ["{}", "ray://{}"], ids=["head", "client"])
def test_the_probe_sends_the_token_as_ray_does(address: str) -> None:
    grpc = pytest.importorskip("grpc")
    asked: list[tuple[str, str | None]] = []

    class Closed(grpc.GenericRpcHandler):  # type: ignore[misc, name-defined]
        def service(self, call: Any) -> Any:
            said = dict(call.invocation_metadata).get("authorization")
            asked.append((call.method, said))

            def answer(_: bytes, context: Any) -> bytes:
                if said != "Bearer right":
                    context.abort(grpc.StatusCode.UNAUTHENTICATED, "no")
                return b""

            return grpc.unary_unary_rpc_method_handler(answer)

    server = grpc.server(ThreadPoolExecutor(1), handlers=[Closed()])
    to = address.format(f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
    server.start()
    try:
        answers = [access.probe_auth(to, given) for given in (None, b"wrong", b"right\n")]
        # What cannot be sent at all is left to Ray to refuse; nothing is raised that would quote it.
        assert access.probe_auth(to, b"to\nken") == "open"
    finally:
        server.stop(None).wait()
    assert answers == ["token", "token", "open"]
    assert {method for method, _ in asked} == {access.CLIENT if "ray" in to else access.HEAD}
    assert [said for _, said in asked] == [None, "Bearer wrong", "Bearer right"]


def test_the_token_comes_from_file_or_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert access.token() is None
    file = tmp_path / "token"
    file.write_text("x")
    file.chmod(0o600)
    monkeypatch.setenv(access.TOKEN_FILE, str(file))
    assert access.token() == b"x"
    monkeypatch.setenv(access.TOKEN_FILE, str(tmp_path / "none"))
    assert access.token() is None
    monkeypatch.setenv(access.TOKEN, "y")
    assert access.token() == b"y"


def test_an_unreachable_cluster_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, "unreachable")
    with pytest.raises(JobFailure, match=r"Nothing answers at ray://head:10001"):
        access.check_access("ray://head:10001", insecure=True)
