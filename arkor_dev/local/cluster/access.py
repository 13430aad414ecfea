"""Whether a cluster may be used: whoever reaches an open one runs programs on it, and on its users' machines.

Off this machine a cluster has to ask for a token, and that is tried: it is asked something without one, and
then with this machine's, as Ray itself takes half a minute to say that one is wrong. The token is Ray's to
read, from its own places; a file that others can read is refused.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final, Literal

from arkor_dev.contract.placement.address import host_of, is_loopback
from arkor_dev.local.workers.errors import JobFailure

MODE: Final = "RAY_AUTH_MODE"
TOKEN: Final = "RAY_AUTH_TOKEN"  # noqa: S105 - a variable's name
TOKEN_FILE: Final = "RAY_AUTH_TOKEN_PATH"  # noqa: S105 - a variable's name
USUAL_FILE: Final = ".ray/auth_token"
HOW: Final = (
    "Start it with RAY_AUTH_MODE=token on every node (Ray 2.52 or later; `ray get-auth-token --generate` "
    f"makes a token), and give the same token here in {TOKEN}, or in a file of mode 0600 that {TOKEN_FILE} "
    f"names or that is ~/{USUAL_FILE}"
)
ROUND: Final = "--insecure-cluster uses it all the same"
LONGEST: Final = 65536
"""Bytes of a token at the most."""
SECONDS: Final = 10.0
CLIENT: Final = "/ray.rpc.RayletDriver/ClusterInfo"
HEAD: Final = "/ray.rpc.NodeInfoGcsService/GetClusterId"
"""Calls that a cluster of either kind of address answers; one that asks for a token refuses them without."""

Answer = Literal["open", "token", "away"]


def token() -> bytes | None:
    """The token in one of Ray's places, None without one; JobFailure for a file that others can read."""
    if said := os.environ.get(TOKEN):
        return said.encode()
    named = os.environ.get(TOKEN_FILE)
    path = Path(named) if named else Path.home() / USUAL_FILE
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise JobFailure(f"The cluster's token in {path} can be read by others: chmod 600 {path}")
            return file.read(LONGEST)
    except OSError:
        return None


def look(address: str, given: bytes | None = None) -> Answer:
    """What the cluster at ``address`` says to somebody with no token, or with the ``given`` one.

    Imports gRPC, which Ray brings. The token goes there as Ray sends it.
    """
    import grpc

    target = address.removeprefix("ray://")
    metadata = (("authorization", f"Bearer {given.strip().decode(errors='replace')}"),) if given else None
    with grpc.insecure_channel(target) as channel:
        call = channel.unary_unary(
            CLIENT if address.startswith("ray://") else HEAD,
            request_serializer=lambda empty: empty,
            response_deserializer=lambda answer: answer,
        )
        try:
            call(b"", timeout=SECONDS, metadata=metadata)
        except grpc.RpcError as fault:
            code = fault.code()
            if code == grpc.StatusCode.UNAUTHENTICATED:
                return "token"
            if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                return "away"
    return "open"


def refused(address: str) -> str:
    """That the cluster does not take the token, for a person."""
    return (
        f"The cluster {address} does not take this machine's token: give the one that it was started "
        f"with ({TOKEN}, or the file that {TOKEN_FILE} names)"
    )


def check(address: str, *, insecure: bool) -> bool | None:
    """Whether the cluster asks for a token; None where that was not looked at (``auto``).

    Sets up Ray's mode of this process for it. Raises JobFailure where it may not be used, or is not there.
    """
    host = host_of(address)
    if host is None:
        return None
    answer = look(address)
    if answer == "away":
        raise JobFailure(
            f"Nobody answers at {address}: is the cluster started, and is its port open to here?"
        )
    if answer == "token":
        given = token()
        if given is None:
            raise JobFailure(f"The cluster {address} asks for a token, and there is none here. {HOW}")
        if look(address, given) == "token":
            raise JobFailure(refused(address))
        os.environ[MODE] = "token"
        return True
    if not (insecure or is_loopback(host)):
        raise JobFailure(
            f"The cluster {address} asks for no token: whoever reaches it can run programs there and read "
            f"your data, so it is not used. {HOW}. {ROUND}"
        )
    os.environ[MODE] = "disabled"
    return False
