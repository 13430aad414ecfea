"""Parses web addresses that a person entered."""

from __future__ import annotations

from yarl import URL


def web_url(text: str) -> URL | None:
    """Return an http or https address with a host and a valid port; None for any other text."""
    try:
        url = URL(text)
        complete = url.scheme in ("http", "https") and url.host is not None and url.port is not None
    except ValueError:
        return None
    return url if complete else None
