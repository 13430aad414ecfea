"""What waits for a limited time gives up in no test of jobs but in those that are about that."""

from __future__ import annotations

import pytest

from arkor_dev.local.execution.local_process import LocalProcess
from arkor_dev.local.jobs import async_store, scheduler

PATIENT = 60.0


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that stands still for some seconds is none that has taken too long."""
    for name in ("CLOSE_SECONDS", "REQUEST_SECONDS"):
        monkeypatch.setattr(async_store, name, PATIENT)
    for name in ("RECOVER_SECONDS", "CANCEL_SECONDS", "REST_SECONDS", "SETTLE_SECONDS"):
        monkeypatch.setattr(scheduler, name, PATIENT)
    monkeypatch.setattr(LocalProcess, "grace", PATIENT)
