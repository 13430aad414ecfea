"""Resumes jobs that were paused by a full disk or by battery power, once the cause is gone.

A sweep's job that yielded to another job is queued again immediately: the queue places it behind that job.
"""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING, Final

from arkor_dev.local.jobs.disk import disk_shortage
from arkor_dev.local.jobs.store import Store
from arkor_dev.local.metrics.system_metrics import on_battery

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from arkor_dev.local.jobs.async_store import AsyncStore

CHECK_SECONDS: Final = 10.0
"""Seconds between checks of disk space and power supply."""
BATTERY: Final = "battery"
YIELDED: Final = "yielded"
PASSED: Final = {
    "disk": "The disk has free space again.",
    BATTERY: "The machine has power again.",
    YIELDED: "The job that was started meanwhile is over.",
}
"""Reasons of pauses that end automatically, each with the message shown on resuming."""


async def resume_due(store: AsyncStore, data: Path) -> bool:
    """Queue the jobs whose reason no longer holds; return whether any other is paused for such a reason."""
    still_paused = False
    for reason, message in PASSED.items():
        jobs = await store.read(Store.paused_for, reason)
        if not jobs:
            continue
        if reason == YIELDED:
            lasts = False
        elif reason == BATTERY:
            lasts = await asyncio.to_thread(on_battery)
        else:
            lasts = disk_shortage(data) is not None
        for job_id in jobs:
            if lasts or (reason == "disk" and await _needs_more(store, data, job_id)):
                still_paused = True
            else:
                await store.write(Store.resume, job_id, message, {"auto": True})
    return still_paused


async def _needs_more(store: AsyncStore, data: Path, job_id: str) -> bool:
    """Return whether a job paused by a full disk still lacks the space to continue."""
    job = await store.read(Store.get, job_id)
    return job is not None and shutil.disk_usage(data).free < job.get("pause", {}).get("needs", 0)


async def watch_power(pause: Callable[[str], None], *, despite_battery: bool) -> None:
    """Pause jobs when the machine switches to battery, unless a person resumed ``despite_battery``."""
    watching = not despite_battery
    while True:
        battery = await asyncio.to_thread(on_battery)
        if battery and watching:
            return pause(BATTERY)
        watching = watching or not battery
        await asyncio.sleep(CHECK_SECONDS)
