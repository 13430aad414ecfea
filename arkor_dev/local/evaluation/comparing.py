"""The process that compares two adapters by the losses that are kept of both, and ends.

It measures nothing; it is a process because numpy is for workers alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arkor_dev.local.workers.link import serve_one

from .paired import compare
from .words import HELD_OUT, beside_adapter, part

if TYPE_CHECKING:
    from arkor_dev.local.workers.link import Link


def compared(one: dict[str, Any], other: dict[str, Any], beside: str, called: str | None) -> Any:
    """The contract's part with the adapter of ``one`` beside that of ``other``, whose job is ``beside``.

    ``called`` is what the rows are, where they are not the held-out ones. The larger margin of both counts.
    """
    margin = max(one["margin"], other["margin"])
    found, name = compare(other["adapter"], one["adapter"], one["groups"], margin), called or HELD_OUT
    return part(name, found, beside_adapter(name, found, beside))


def _compared(message: dict[str, Any], _: Link) -> dict[str, Any]:
    return {"comparison": compared(message["one"], message["other"], message["beside"], message["called"])}


if __name__ == "__main__":
    serve_one(_compared, lambda error: f"{type(error).__name__}: {error}")
