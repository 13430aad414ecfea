"""The process that compares two adapters by the losses that are kept of both, and ends.

It measures nothing; it is a process because numpy is for workers alone.
"""

from __future__ import annotations

from typing import Any

from arkor_dev.local.workers.link import Link

from .paired import compare
from .words import HELD_OUT, beside_adapter, part


def main() -> None:
    """Take ``{one, other, beside, called}``, the scores of both, and send ``{comparison}``."""
    link = Link()
    asked = link.receive()
    link.send(comparison=compared(asked["one"], asked["other"], asked["beside"], asked["called"]))


def compared(one: dict[str, Any], other: dict[str, Any], beside: str, called: str | None) -> Any:
    """The contract's part with the adapter of ``one`` beside that of ``other``, whose job is ``beside``.

    ``called`` is what the rows are, where they are not the held-out ones. The larger margin of both counts.
    """
    margin = max(one["margin"], other["margin"])
    found, name = compare(other["adapter"], one["adapter"], one["groups"], margin), called or HELD_OUT
    return part(name, found, beside_adapter(name, found, beside))


if __name__ == "__main__":
    main()
