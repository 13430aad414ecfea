"""What names a cluster, and whether that is this machine."""

from __future__ import annotations

import pytest

from arkor_dev.contract.placement import host_of, is_address, is_loopback


@pytest.mark.parametrize(
    "address", ["auto", "ray://head:10001", "10.0.0.5:6379", "ray://[::1]:10001", "head.lab_1.example:1"]
)
def test_valid_cluster_addresses_pass(address: str) -> None:
    assert is_address(address)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "here",
        "head",
        "ray://head",
        "head:0",
        "head:65536",
        "http://head:8265",
        "ray://user:secret@head:10001",
        "head:6379/path",
        "head:6379\n",
        "--option:1 x",
        " head:6379",
        None,
        6379,
    ],
)
def test_invalid_cluster_addresses_are_refused(text: object) -> None:
    assert not is_address(text)


def test_loopback_addresses_are_recognized() -> None:
    assert host_of("auto") is None
    assert host_of("ray://[::1]:10001") == "::1"
    assert all(map(is_loopback, ("localhost", "LOCALHOST", "127.9.9.9", "::1")))
    others = (None, "", "127.1", "10.0.0.5", "head", "localhost.example", "::", "127.0.0.1.example")
    assert not any(map(is_loopback, others))
