"""The process that looks at a cluster and ends: told ``{address, insecure, cache}``, it says ``cluster``."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import Any

from arkor_dev.local.workers.errors import JobFailure
from arkor_dev.local.workers.link import Link

from . import access, code, connection


def look(address: str, cache: Path, *, insecure: bool) -> dict[str, Any]:
    """The contract's ``Cluster``; what cannot be used has its ``problem``."""
    try:
        token = access.check(address, insecure=insecure)
        connection.connect(address, code.packed(cache))
        told = {"address": address, **connection.look()}
        return told if token is None else {**told, "token": token}
    except JobFailure as failure:
        return {"address": address, "problem": str(failure)}


def main() -> None:
    """Serve the one message, then end."""
    link = Link()
    asked = link.receive()
    try:
        cluster = look(asked["address"], Path(asked["cache"]), insecure=asked["insecure"])
    except Exception as error:  # noqa: BLE001 - the last line of defence of a process about to end
        traceback.print_exc()
        cluster = {"address": asked["address"], "problem": f"{type(error).__name__}: {error}"}
    link.send(cluster=cluster)
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
