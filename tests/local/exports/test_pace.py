"""How long it will still take: by its own rate, for each piece of work anew."""

from __future__ import annotations

from typing import Any

from arkor_dev.local.exports.service import ExportPace


def test_the_time_left_is_that_of_the_current_phase() -> None:
    now = [0.0]
    pace = ExportPace(lambda: now[0])

    def left(seconds: float, label: str, done: float, total: float | None = 100.0) -> Any:
        now[0] = seconds
        return pace.estimate({"label": label, "done": done, "total": total, "unit": "B"}).get("secondsLeft")

    assert left(0, "a", 20) is None
    assert left(1, "a", 30) is None, "too early"
    assert left(4, "a", 40) == 12.0
    assert left(5, "b", 90) is None
    assert left(8, "b", 90) is None, "nothing came"
    assert left(9, "b", 95, None) is None
    assert left(9, "b", 100) == 0.0
    assert left(10, "b", 10) is None, "it has begun again"
    assert left(13, "b", 40) == 6.0
