"""What cannot fit is not begun, and says what would; what is not known, or nearly fits, is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract.errors import MAKE_ROOM
from arkor_dev.local.forecast.advice import refusal

if TYPE_CHECKING:
    from arkor_dev.contract.shapes import Forecast

MB = 10**6


def forecast(
    peak: int, free: int | None, disk: int = 10 * MB, room: int | None = None, **more: Any
) -> Forecast:
    memory = {"peakBytes": peak, "freeBytes": free, "totalBytes": 9000 * MB}
    told: Any = {"memory": memory, "diskBytes": disk, "freeDiskBytes": room, **more}
    return told  # type: ignore[no-any-return]


FIX = {"settings": {"batchSize": 2}, "words": "a batch size of 2", "peakBytes": 900 * MB}


@pytest.mark.parametrize(
    "fits",
    [
        forecast(2000 * MB, None),
        forecast(2000 * MB, 2100 * MB),
        forecast(2000 * MB, 1900 * MB),  # it may be wrong by so much
        forecast(2000 * MB, 9000 * MB, 10 * MB, 10 * MB),
    ],
)
def test_a_job_that_fits_is_started(fits: Forecast) -> None:
    assert refusal(fits) is None


def test_a_job_without_enough_memory_is_refused() -> None:
    assert refusal(forecast(2000 * MB, 1000 * MB, fits=False, fixes=[FIX])) == {
        "type": "training.failed",
        "error": "Not started, since it cannot fit into memory. It was estimated to take 2.0 GB, and 1.0 "
        "GB are "
        "free now. What would fit: a batch size of 2 (900 MB).",
        "outOfMemory": True,
    }


def test_total_gpu_memory_counts() -> None:
    device = {"name": "cuda", "peakBytes": 30_000 * MB, "freeBytes": 1000 * MB, "totalBytes": 80_000 * MB}
    assert refusal(forecast(2000 * MB, 9000 * MB, device=device)) is None
    small = {**device, "totalBytes": 24_000 * MB}
    refused = refusal(forecast(2000 * MB, 9000 * MB, device=small, fits=False))
    assert refused
    said = refused["error"]
    assert "It was estimated to take 30.0 GB" in said
    assert "choose a smaller model" in said


def test_a_job_without_enough_disk_is_refused() -> None:
    said = refusal(forecast(1000 * MB, 9000 * MB, 5000 * MB, 3000 * MB))
    assert said == {
        "type": "training.failed",
        "error": "Not started, since it cannot fit. Its checkpoints and its result take 5.0 GB of disk "
        "space, and 3.0 GB are free: keep fewer checkpoints (save_total_limit, save_every). " + MAKE_ROOM,
    }
