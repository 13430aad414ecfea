"""The picture of a run in a notebook, of whatever figures a run has."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest

from arkor_dev.contract.events import TRAINING_LOG
from arkor_dev.jobs.figures import FigureRow
from arkor_dev.sdk.chart import html_of
from arkor_dev.sdk.metrics import Metrics, Point


def picture_of(*rows: dict[str, Any]) -> str:
    figures = [
        FigureRow(TRAINING_LOG, None, row["step"], {key: row[key] for key in row if key != "step"})
        for row in rows
    ]
    html = html_of("run", "completed", None, Metrics(figures))
    encoded = re.search(r"base64,([^\"]*)", html)
    return base64.b64decode(encoded[1]).decode() if encoded else ""


def test_points_without_a_step_are_not_drawn() -> None:
    assert picture_of({"step": None, "loss": 2.0}) == ""
    picture = picture_of(*({"step": step, "loss": 1.0 + (step or 9)} for step in (1, None, 2)))
    assert len(re.findall(r"[\d.]+,[\d.]+", re.findall(r'points="([^"]*)"', picture)[0])) == 2
    assert "10.00" not in picture


@pytest.mark.parametrize("value", [1e308, -1e308, 10**300])
def test_huge_values_are_drawn(value: float) -> None:
    assert "polyline" in picture_of({"step": 1, "loss": value}, {"step": 2, "loss": -value})


def test_values_beyond_float_are_none() -> None:
    assert Point(1, {"loss": 10**400}).loss is None
