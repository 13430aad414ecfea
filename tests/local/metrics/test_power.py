"""Whether the machine runs on its battery: only where that is certain."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from arkor_dev.local.metrics.system_metrics import on_battery


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (None, False),
        (SimpleNamespace(percent=50, power_plugged=True), False),
        (SimpleNamespace(percent=50, power_plugged=None), False),
        (SimpleNamespace(percent=50, power_plugged=False), True),
        (OSError("a broken driver"), False),
    ],
)
def test_battery_state_is_read_from_the_system(
    monkeypatch: pytest.MonkeyPatch, told: Any, expected: bool
) -> None:
    def battery() -> Any:
        if isinstance(told, Exception):
            raise told
        return told

    monkeypatch.setitem(sys.modules, "psutil", SimpleNamespace(sensors_battery=battery))
    assert on_battery() is expected


def test_without_psutil_the_battery_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psutil", None)
    assert on_battery() is False
    # A system that has no such call.
    monkeypatch.setitem(sys.modules, "psutil", SimpleNamespace())
    assert on_battery() is False
