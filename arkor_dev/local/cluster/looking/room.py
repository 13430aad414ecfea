"""The process that looks whether a job would find a place on its cluster now, says ``room``, and ends."""

from __future__ import annotations

import os
import sys
import traceback

from arkor_dev.contract.placement.address import CLUSTER, INSECURE
from arkor_dev.local.cluster import access, connection
from arkor_dev.local.workers.errors import JobFailure
from arkor_dev.local.workers.link import Link


def main() -> None:
    """Serve the one message, ``{config}``. A cluster that cannot be asked has room: the job says why not."""
    link = Link()
    config = link.receive()["config"]
    try:
        access.check(config[CLUSTER], insecure=bool(config.get(INSECURE)))
        connection.connect(config[CLUSTER])
        found = connection.has_room(connection.Wish.of(config))
    except JobFailure:
        found = True
    except Exception:  # noqa: BLE001 - the last line of defence of a process about to end
        traceback.print_exc()
        found = False
    link.send(room=found)
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
