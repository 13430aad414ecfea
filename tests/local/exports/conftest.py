"""Exports of the tests ask half as many questions as the product does, but where a test asks for them all."""

from __future__ import annotations

import sys

import pytest

FEWER = 8
"""Rows of the job's own, and half the texts: all rows that the tests' trainings have."""


@pytest.fixture
def all_questions() -> None:
    """This test's exports ask as many questions as the product does."""


@pytest.fixture(autouse=True)
def _fewer_questions(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    export = sys.modules.get("arkor_dev.local.exports.export")
    if export is not None and "all_questions" not in request.fixturenames:
        monkeypatch.setattr(export, "ROWS", FEWER)
