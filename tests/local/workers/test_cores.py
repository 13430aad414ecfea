"""As many cores as this process was given; all of them where nobody says."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from arkor_dev.local.workers.cores import cores

if TYPE_CHECKING:
    import pytest


def test_they_are_those_that_this_process_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 2, 5}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 10)
    assert cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    assert cores() == 10
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores() == 1
