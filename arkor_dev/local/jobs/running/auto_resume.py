"""Jobs that stand until the machine lets them go on: the disk has room again, or the power is back."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING, Final

from arkor_dev.local.jobs.disk import short_of_room
from arkor_dev.local.jobs.store import Store
from arkor_dev.local.metrics.system_metrics import on_battery

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from arkor_dev.local.jobs.async_store import AsyncStore

LOOK_SECONDS: Final = 10.0
"""How often is looked whether the disk has room, and where the power comes from."""
BATTERY: Final = "battery"
PASSED: Final = {"disk": "The disk has room again.", BATTERY: "The machine has power again."}
"""Reasons of a pause that pass by themselves, and what is said then."""


async def let_go_on(store: AsyncStore, data: Path) -> bool:
    """Let those jobs wait to go on whose reason has passed; whether any still stands for such a reason."""
    stands = False
    for reason, words in PASSED.items():
        jobs = await store.read(Store.paused_for, reason)
        if not jobs:
            continue
        lasts = await asyncio.to_thread(on_battery) if reason == BATTERY else short_of_room(data) is not None
        for job_id in jobs:
            if lasts or (reason == "disk" and await _needs_more(store, data, job_id)):
                stands = True
            else:
                await store.write(Store.go_on, job_id, words, {"auto": True})
    return stands


async def _needs_more(store: AsyncStore, data: Path, job_id: str) -> bool:
    """Whether less is free than the job needs that came to a full disk: it would only come there again."""
    job = await store.read(Store.get, job_id)
    return job is not None and shutil.disk_usage(data).free < job.get("pause", {}).get("needs", 0)


async def watch_power(pause: Callable[[str], None], *, asked: bool) -> None:
    """Pause once the machine runs on its battery. Where a person has ``asked`` to go on, not this time."""
    heeded = not asked
    while True:
        battery = await asyncio.to_thread(on_battery)
        if battery and heeded:
            return pause(BATTERY)
        heeded = heeded or not battery
        await asyncio.sleep(LOOK_SECONDS)
