"""Decides whether a cluster may be used.

Anyone who reaches a cluster without authentication can run programs on it and, through it, on its users'
machines. So a remote cluster must require a token. This is tested by a call without a token and one with
this machine's, because Ray itself takes half a minute to report a wrong one. The token is read from the
places that Ray reads; a file that other users can read is refused.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final, Literal

from arkor_dev.contract.placement import host_of, is_loopback
from arkor_dev.local.workers.errors import JobFailure

MODE: Final = "RAY_AUTH_MODE"
TOKEN: Final = "RAY_AUTH_TOKEN"  # noqa: S105 - a variable's name
TOKEN_FILE: Final = "RAY_AUTH_TOKEN_PATH"  # noqa: S105 - a variable's name
DEFAULT_FILE: Final = ".ray/auth_token"
TOKEN_HELP: Final = (
    "Start it with RAY_AUTH_MODE=token on every node (Ray 2.52 or later; `ray get-auth-token --generate` "
    f"makes a token), and give the same token here in {TOKEN}, or in a file of mode 0600 that {TOKEN_FILE} "
    f"names or that is ~/{DEFAULT_FILE}"
)
OVERRIDE: Final = "--insecure-cluster uses it anyway"
MAX_TOKEN_BYTES: Final = 65536
PROBE_SECONDS: Final = 10.0
CLIENT: Final = "/ray.rpc.RayletDriver/ClusterInfo"
HEAD: Final = "/ray.rpc.NodeInfoGcsService/GetClusterId"
"""For each kind of address, a call that a cluster with authentication refuses without a token."""

AuthStatus = Literal["open", "token", "unreachable"]


def token() -> bytes | None:
    """Return the token that Ray would use, or None. Raises JobFailure if other users can read its file."""
    if value := os.environ.get(TOKEN):
        return value.encode()
    custom = os.environ.get(TOKEN_FILE)
    path = Path(custom) if custom else Path.home() / DEFAULT_FILE
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise JobFailure(f"The cluster's token in {path} can be read by others: chmod 600 {path}")
            return file.read(MAX_TOKEN_BYTES)
    except OSError:
        return None


def probe_auth(address: str, token: bytes | None = None) -> AuthStatus:
    """Call the cluster with ``token``, or without one; return "token" if it refused.

    Imports gRPC, which comes with Ray. The token is sent as Ray sends it.
    """
    import grpc

    target = address.removeprefix("ray://")
    metadata = (("authorization", f"Bearer {token.strip().decode(errors='replace')}"),) if token else None
    with grpc.insecure_channel(target) as channel:
        call = channel.unary_unary(
            CLIENT if address.startswith("ray://") else HEAD,
            request_serializer=lambda empty: empty,
            response_deserializer=lambda answer: answer,
        )
        try:
            call(b"", timeout=PROBE_SECONDS, metadata=metadata)
        except grpc.RpcError as fault:
            code = fault.code()
            if code == grpc.StatusCode.UNAUTHENTICATED:
                return "token"
            if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                return "unreachable"
    return "open"


def token_refused(address: str) -> str:
    """Return the failure of a cluster that does not accept this machine's token."""
    return (
        f"The cluster {address} does not accept this machine's token: use the one that it was started "
        f"with ({TOKEN}, or the file that {TOKEN_FILE} names)"
    )


def check_access(address: str, *, insecure: bool) -> bool | None:
    """Return whether the cluster requires a token; None if that is not tested (``auto``).

    Sets Ray's authentication mode for this process. Raises JobFailure if the cluster is forbidden or silent.
    """
    host = host_of(address)
    if host is None:
        return None
    status = probe_auth(address)
    if status == "unreachable":
        raise JobFailure(
            f"Nothing answers at {address}: is the cluster running, and is its port reachable from here?"
        )
    if status == "token":
        own_token = token()
        if own_token is None:
            raise JobFailure(
                f"The cluster {address} requires a token, and this machine has none. {TOKEN_HELP}"
            )
        if probe_auth(address, own_token) == "token":
            raise JobFailure(token_refused(address))
        os.environ[MODE] = "token"
        return True
    if not (insecure or is_loopback(host)):
        raise JobFailure(
            f"The cluster {address} requires no token: anyone who reaches it can run programs there and "
            f"read your data, so it is not used. {TOKEN_HELP}. {OVERRIDE}"
        )
    os.environ[MODE] = "disabled"
    return False
