"""Parses web addresses, and tells which hosts can only be this machine."""

from __future__ import annotations

from ipaddress import ip_address

from yarl import URL


def web_url(text: str) -> URL | None:
    """Return an http or https address with a host and a valid port; None for any other text."""
    try:
        url = URL(text)
        complete = url.scheme in ("http", "https") and url.host is not None and url.port is not None
    except ValueError:
        return None
    return url if complete else None


def is_loopback(host: str | None) -> bool:
    """Return whether only this machine can answer at ``host`` (without port or brackets)."""
    if host and host.lower() == "localhost":
        return True
    try:
        return ip_address(host or "").is_loopback
    except ValueError:
        return False
