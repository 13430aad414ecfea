"""Describes an estimate in sentences: what to do if memory is short, and whether to start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from arkor_dev.contract.errors import MAKE_ROOM
from arkor_dev.contract.events import TRAINING_FAILED, TrainingFailed
from arkor_dev.contract.units import format_bytes

if TYPE_CHECKING:
    from arkor_dev.contract.shapes import Forecast

TOO_MUCH: Final = 1.1
"""A job is refused if it needs this multiple of the free memory; below that, estimates are too inexact."""


def refusal(forecast: Forecast) -> TrainingFailed | None:
    """Return the failure of a job that is refused for this estimate; None if it may start.

    For a GPU, compare with its total memory: the free memory was measured some time ago.
    """
    device = forecast.get("device")
    limit, available = (device, device["totalBytes"]) if device else (None, None)
    if limit is None:
        limit, available = forecast["memory"], forecast["memory"]["freeBytes"]
    if available is not None and limit["peakBytes"] > TOO_MUCH * available:
        error = f"Not started, since it cannot fit into memory. {advice(forecast)}"
        return TrainingFailed(type=TRAINING_FAILED, error=error, outOfMemory=True)
    free, need = forecast.get("freeDiskBytes"), forecast["diskBytes"]
    if free is not None and need > free:
        error = (
            "Not started, since it cannot fit. Its checkpoints and its result take "
            f"{format_bytes(need)} of disk space, and {format_bytes(free)} are free: keep fewer checkpoints "
            f"(save_total_limit, save_every). {MAKE_ROOM}"
        )
        return TrainingFailed(type=TRAINING_FAILED, error=error)
    return None


def advice(forecast: Forecast) -> str:
    """Describe the estimate, and settings that would fit."""
    limit = forecast.get("device") or forecast["memory"]
    free, need = limit["freeBytes"], limit["peakBytes"]
    if free is None:
        return f"It was estimated to take {format_bytes(need)}."
    estimate = f"It was estimated to take {format_bytes(need)}, and {format_bytes(free)} are free now."
    if forecast.get("fits"):
        return f"{estimate} Other programs have taken the memory since: close them, and run it again."
    fixes = [f"{fix['words']} ({format_bytes(fix['peakBytes'])})" for fix in forecast.get("fixes", ())]
    if not fixes:
        return f"{estimate} No batch size or length of this model fits: choose a smaller model."
    return f"{estimate} What would fit: {'; '.join(fixes)}."
