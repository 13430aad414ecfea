"""The patience of Studio that a test of its calls must not outwait, on a machine that stands still."""

from __future__ import annotations

import pytest

from arkor_dev.jobs import feed
from arkor_dev.jobs.jobs_cache import JobsCache


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No older list or history is shown as the new one takes long, and nothing is polled unasked."""
    defaults = JobsCache.__init__.__kwdefaults__
    assert defaults is not None
    for name in ("interval", "patience"):
        monkeypatch.setitem(defaults, name, 600.0)
    monkeypatch.setattr(feed, "CATCH_UP", 600.0)
