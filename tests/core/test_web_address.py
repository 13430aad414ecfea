"""Which texts are web addresses, and which hosts can only be this machine."""

from __future__ import annotations

from arkor_dev.core.web_address import is_loopback, web_url


def test_loopback_is_what_cannot_be_elsewhere() -> None:
    assert all(map(is_loopback, ("localhost", "LOCALHOST", "127.9.9.9", "::1")))
    others = (None, "", "127.1", "10.0.0.5", "head", "localhost.example", "::", "127.0.0.1.example")
    assert not any(map(is_loopback, others))


def test_a_web_address_has_a_scheme_a_host_and_a_valid_port() -> None:
    assert web_url("https://host.example/v1")
    assert not any(
        map(web_url, ("", "host.example", "ftp://host.example", "http://", "http://host:99999", "http://["))
    )
