"""The backend's own messages about a running job: in the job's log, or in the terminal after its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arkor_dev.contract.events import TRAINING_MESSAGE
from arkor_dev.local.jobs.store import Store
from arkor_dev.local.workers import daemon_messages as notices

if TYPE_CHECKING:
    from arkor_dev.local.jobs.async_store import AsyncStore


class Log:
    """The log of one job. Nothing may follow its end: once ``over``, messages go to the terminal."""

    def __init__(self, store: AsyncStore, job_id: str, name: str) -> None:
        self._store, self._job, self._name = store, job_id, name
        self.over = False

    def say(self, text: str) -> None:
        """Log a sentence without waiting."""
        if self.over:
            notices.message("warning", f"{self._name}: {text}")
        else:
            self._store.post(Store.append, self._job, [(TRAINING_MESSAGE, {"message": text})])
