"""A machine on which no process can be started says so to whoever asks."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from arkor_dev.local.inference.client import Inference
from arkor_dev.local.workers.errors import JobFailure
from arkor_dev.local.workers.process import Child


async def test_that_no_process_can_be_started_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(*_: Any) -> Child:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(Child, "start", refused)
    inference = Inference()
    for _ in range(2):
        with pytest.raises(JobFailure, match=r"inference process cannot be started: .*unavailable"):
            async with inference.answer(base="base"):
                pass
    assert inference._answers == {}
    await inference.close()
