"""Connects this process to a Ray cluster, and explains failures.

Functions import Ray only after `access` has approved the cluster. Ray's output goes to the log.
"""

from __future__ import annotations

import contextlib
import logging
import os
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.extras import install_command
from arkor_dev.contract.placement import AUTO, host_of, is_loopback
from arkor_dev.local.workers.errors import JobFailure

from . import access

if TYPE_CHECKING:
    from pathlib import Path

NAMESPACE: Final = "arkor-dev"
ATTEMPTS: Final = 3
"""Attempts if the head's server for this client dies when starting; each failure takes some 40 s."""
CONNECT_SECONDS: Final = 150.0
"""Time limit of all attempts together, in seconds."""


def connect(address: str, code: Path | None = None) -> None:
    """Connect to a cluster; nodes will import the package folder ``code``. Raises JobFailure."""
    try:
        import ray
    except ImportError:
        command = install_command("ray")
        raise JobFailure(f"A cluster needs Ray, which is not installed. Install it with: {command}") from None
    if code:
        # Ray adds this process's working directory first to the path of nodes that have a folder of that
        # name.
        empty = code.parent / "empty"
        empty.mkdir(exist_ok=True)
        os.chdir(empty)
    options: dict[str, str] = {}
    host = host_of(address)
    if host and is_loopback(host) and not address.startswith("ray://"):
        options["_node_ip_address"] = "127.0.0.1" if host == "localhost" else host
    else:
        # With this variable set, Ray could start a cluster here instead of connecting to the given one.
        os.environ.pop("RAY_ADDRESS", None)
    if address == AUTO:
        _require_local_cluster()
    for attempts_left in reversed(range(ATTEMPTS)):
        try:
            ray.init(
                address=address,
                namespace=NAMESPACE,
                log_to_driver=False,
                configure_logging=False,
                logging_level=logging.ERROR,
                runtime_env={"py_modules": [str(code)]} if code else None,
                **options,
            )
        except Exception as fault:
            if not (attempts_left and _server_died_at_start(fault)):
                raise JobFailure(_reason(address, fault)) from fault
            with contextlib.suppress(Exception):
                ray.shutdown()
        else:
            return


def _require_local_cluster() -> None:
    """Raise JobFailure unless this machine's own cluster responds; Ray would wait for minutes.

    The address that ``ray start`` wrote remains after the cluster was killed.
    """
    from ray._private.services import canonicalize_bootstrap_address  # how ray.init resolves "auto"

    advice = "Start one with `ray start --head`, or name another address"
    try:
        address = canonicalize_bootstrap_address(AUTO)
    except ConnectionError:
        raise JobFailure(f"This machine is not part of a Ray cluster. {advice}") from None
    if address is not None and access.probe_auth(address) == "unreachable":
        raise JobFailure(f"The cluster of this machine was at {address}, where nothing answers now. {advice}")


def _server_died_at_start(fault: Exception) -> bool:
    """Return whether the server that the head forks for each client died: gRPC in the head can kill it."""
    text = str(fault)
    return "Starting Ray client server failed" in text or "Proxy failed to Connect" in text


def _reason(address: str, fault: Exception) -> str:
    """Explain why connecting failed."""
    text = str(fault).strip() or type(fault).__name__
    lower = text.lower()
    if "version" in lower and ("mismatch" in lower or "python" in lower):
        return (
            f"The cluster {address} and this machine must run the same Ray and the same Python: "
            f"{' '.join(text.split())[:500]}"
        )
    if "auth" in lower or "token" in lower:
        return access.token_refused(address)
    if isinstance(fault, ConnectionError) or "connect" in lower:
        return (
            f"Couldn't connect to the cluster {address}: is it running, is its port reachable from "
            f"here, and is the token correct? ({' '.join(text.split())[:200]})"
        )
    return f"The cluster {address} cannot be used: {' '.join(text.split())[:300]}"
