"""The terminal is notified when a preparation ends before it is complete."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from arkor_dev.local.jobs.running.worker_session import PreparationProgress

if TYPE_CHECKING:
    import pytest


def test_only_incomplete_steps_are_reported_as_ended(capsys: pytest.CaptureFixture[str]) -> None:
    store: Any = SimpleNamespace(post=lambda *_: None)
    preparing = PreparationProgress(store, "job")
    for label, done, total in (("a", 2, 2), ("b", 0, None), ("c", 1, 2), ("d", 1, 2), ("d", 2, 2)):
        preparing({"label": label, "done": done, "total": total, "unit": "rows"})
    preparing.close()
    preparing.close()
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    ended = [line["label"] for line in said if line["notice"] == "progressEnded"]
    assert ended == ["c"]
    assert said[-1]["notice"] == "progressEnded"
