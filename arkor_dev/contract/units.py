"""Quantities as text. The page formats them in the same way (``web/src/lib/format.ts``)."""

from __future__ import annotations


def format_bytes(count: float) -> str:
    """Format a number of bytes in decimal units, like disks and downloads: ``39 MB``, ``2.1 GB``."""
    units = iter(("kB", "MB", "GB", "TB"))
    unit = "B"
    while count >= 999.5 and (larger := next(units, None)):
        count, unit = count / 1000, larger
    return f"{count:.0f} {unit}" if unit == "B" or count >= 99.5 else f"{count:.1f} {unit}"
