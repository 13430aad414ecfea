"""The backend's background work, such as an export: how its progress is polled, reported and worded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeGuard, TypeVar

from arkor_dev.contract.units import format_bytes
from arkor_dev.core.plain_text import one_line

if TYPE_CHECKING:
    from arkor_dev.contract.shapes import Export

LOOK_SECONDS = 0.5
"""Pause between two polls."""

Work = TypeVar("Work", bound=Mapping[str, object])
OnProgress = Callable[[Work], None]
"""Gets the record of the work, with its ``state`` and ``progress``, at every poll."""


def unreported(_: Mapping[str, object]) -> None:
    """Report no progress."""


def progress_words(work: Mapping[str, object], doing: str) -> str:
    """Describe the progress from ``state`` and ``progress``; ``doing`` until there is any."""
    progress = work.get("progress")
    if not isinstance(progress, dict):
        return "Waiting: a job is training" if work.get("state") == "waiting" else doing
    total = progress.get("total")
    label, unit = one_line(progress.get("label") or "", 80), one_line(progress.get("unit") or "", 20)
    done, seconds_left = progress.get("done"), progress.get("secondsLeft")
    ending = f", {seconds_left:.0f} s left" if _is_number(seconds_left) else ""
    if unit == "B" and _is_number(done) and (not total or _is_number(total)):
        return f"{label}: {format_bytes(done)}{f' of {format_bytes(total)}' if total else ''}{ending}"
    of = f" of {one_line(total, 20)}" if total else ""
    words = f"{label}: {one_line(done, 20)}{of} {unit}".rstrip() if total or unit else label
    return f"{words}{ending}"


def export_words(export: Export) -> str:
    """Describe the progress of an export."""
    words = progress_words(export, "Exporting")
    return f"Verifying · {words}" if export.get("state") == "verifying" else words


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e18
