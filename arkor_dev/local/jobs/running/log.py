"""What the backend itself says of a job while it runs: sentences in the job's log, later in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arkor_dev.contract.events import TRAINING_MESSAGE
from arkor_dev.local.jobs.store import Store
from arkor_dev.local.workers import daemon_messages as notices

if TYPE_CHECKING:
    from arkor_dev.local.jobs.async_store import AsyncStore


class Log:
    """The log of one job. Nothing comes behind its end: from ``over`` on a sentence is for the terminal."""

    def __init__(self, store: AsyncStore, job_id: str, name: str) -> None:
        self._store, self._job, self._name = store, job_id, name
        self.over = False

    def say(self, text: str) -> None:
        """Say a sentence; never waits."""
        if self.over:
            notices.message("warning", f"{self._name}: {text}")
        else:
            self._store.post(Store.append, self._job, [(TRAINING_MESSAGE, {"message": text})])
