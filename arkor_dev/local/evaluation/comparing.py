"""A short-lived process that compares two adapters by their stored losses.

It measures nothing; it is a process because only workers import numpy.
"""

from __future__ import annotations

from typing import Any

from arkor_dev.local.workers.link import Link

from .paired import compare
from .words import HELD_OUT, beside_adapter, part


def main() -> None:
    """Read ``{one, other, beside, called}``, with the scores of both, and send ``{comparison}``."""
    link = Link()
    asked = link.receive()
    link.send(comparison=compared(asked["one"], asked["other"], asked["beside"], asked["called"]))


def compared(one: dict[str, Any], other: dict[str, Any], beside: str, called: str | None) -> Any:
    """Compare the adapter of ``one`` with that of ``other``, which belongs to job ``beside``.

    ``called`` describes the rows unless they are the held-out ones. The larger of both margins applies.
    """
    margin = max(one["margin"], other["margin"])
    found, name = compare(other["adapter"], one["adapter"], one["groups"], margin), called or HELD_OUT
    return part(name, found, beside_adapter(name, found, beside))


if __name__ == "__main__":
    main()
