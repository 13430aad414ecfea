"""A port that is held is refused to callers, given to no other, and there for a server of ours."""

from __future__ import annotations

import socket

import pytest

from arkor_dev.contract.errors import ArkorError
from arkor_dev.server.serve import bind

from .ports import held_ports


def test_a_held_port_is_exclusive() -> None:
    with held_ports() as take:
        port, other = take(), take()
        assert port != other
        with socket.socket() as caller, pytest.raises(ConnectionRefusedError):
            caller.connect(("127.0.0.1", port))
        with bind(port):
            with socket.create_connection(("127.0.0.1", port)):
                pass
            with pytest.raises(ArkorError, match="Address already in use"):
                bind(port)
        with bind(port):  # again, as a second launch does
            pass
    with bind(other):  # and free in the end
        pass


def test_a_held_port_is_not_assigned_to_others() -> None:
    with held_ports() as take, socket.socket() as probe:
        port = take()
        probe.bind(("127.0.0.1", 0))
        assert probe.getsockname()[1] != port
        with socket.socket() as plain, pytest.raises(OSError, match="Address already in use"):
            plain.bind(("127.0.0.1", port))
