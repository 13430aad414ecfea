"""The system's proxy."""

from __future__ import annotations

import urllib.request

from yarl import URL

from arkor_dev.contract.placement import is_loopback


def proxy_for(url: URL) -> URL | None:
    """Return the system's proxy for an https address; None for this machine."""
    if url.scheme != "https" or not url.host or is_loopback(url.host):
        return None
    proxy = urllib.request.getproxies().get("https")
    return URL(proxy) if proxy and not urllib.request.proxy_bypass(url.host) else None
