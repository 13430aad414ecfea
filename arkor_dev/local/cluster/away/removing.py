"""The process that removes places on a cluster which nobody needs, says which are ``gone``, and ends.

It is told ``{address, insecure, actors}``, those by the names of the places. A cluster that cannot be asked
keeps them: it is asked again later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arkor_dev.local.cluster import access, connection
from arkor_dev.local.workers.one_order import serve_one

from .attaching import remove

if TYPE_CHECKING:
    from arkor_dev.local.workers.link import Link


def work(order: dict[str, Any], _: Link) -> dict[str, Any]:
    """Remove the places in ``actors``. Raises JobFailure where there is no connection."""
    access.check(order["address"], insecure=order["insecure"])
    connection.connect(order["address"])
    return {"gone": [name for name, actor in order["actors"].items() if remove(actor, name)]}


if __name__ == "__main__":
    serve_one(work, lambda error: f"{type(error).__name__}: {error}")
