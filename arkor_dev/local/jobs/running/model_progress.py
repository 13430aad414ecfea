"""Reports a job's preparation (downloading the model, reading rows) as events and notices."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.events import MODEL_PROGRESS
from arkor_dev.local.jobs.store import Store
from arkor_dev.local.workers import daemon_messages as notices

if TYPE_CHECKING:
    from arkor_dev.local.jobs.async_store import AsyncStore

PROGRESS_SECONDS: Final = 0.5


class Preparing:
    """Converts a preparation's progress to events and notices, at most two per second and label."""

    def __init__(self, store: AsyncStore, job_id: str) -> None:
        self._store = store
        self._job = job_id
        self._label = ""
        self._told = 0.0
        self._last: dict[str, Any] | None = None

    def __call__(self, progress: dict[str, Any]) -> None:
        label, moment = progress["label"], time.monotonic()
        over = progress["total"] is not None and progress["done"] >= progress["total"]
        if progress == self._last:
            return
        if label == self._label and moment - self._told < PROGRESS_SECONDS and not over:
            return
        self._label, self._told, self._last = label, moment, progress
        self._store.post(Store.append, self._job, [(MODEL_PROGRESS, progress)])
        notices.progress(progress)
