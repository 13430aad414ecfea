"""Addresses of Ray clusters."""

from __future__ import annotations

import re
from typing import Final

from arkor_dev.contract.rules import Rule

AUTO: Final = "auto"
"""The cluster that this machine is a node of."""
HERE: Final = "here"
"""No cluster: this machine."""
NAMED: Final = re.compile(r"(?:ray://)?([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:]{2,45}\]):([0-9]{1,5})")
CLUSTER: Final = "cluster"
INSECURE: Final = "insecureCluster"
STORAGE: Final = "storage"
"""The job config's fields for placement."""


def is_address(value: object) -> bool:
    """Return whether ``value`` names a cluster: ``auto``, ``ray://HOST:PORT`` or ``HOST:PORT``."""
    if not isinstance(value, str):
        return False
    found = NAMED.fullmatch(value)
    return value == AUTO or (found is not None and 1 <= int(found[2]) <= 65535)


ADDRESS: Final = Rule(
    "other",
    noun='a Ray cluster\'s address, such as "ray://head:10001", "10.0.0.5:6379" or "auto"',
    test=is_address,
)


ON: Final = Rule(
    "other",
    noun=f'"{HERE}", or {ADDRESS.noun}',
    test=lambda value: value == HERE or ADDRESS.fits(value),
)
"""A target: a cluster, or this machine."""


def host_of(address: str) -> str | None:
    """Return the host of an address; None for ``auto``."""
    found = NAMED.fullmatch(address)
    return found[1].strip("[]") if found else None


def is_loopback(host: str) -> bool:
    """Return whether only this machine can answer at ``host``."""
    from ipaddress import ip_address  # not needed for --help

    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
