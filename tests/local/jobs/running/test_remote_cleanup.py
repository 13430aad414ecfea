"""What jobs have left elsewhere is looked for again: soon after a failure, then less and less often."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.jobs.running import remote_cleanup
from arkor_dev.local.jobs.running.remote_cleanup import AGAIN_SECONDS, RemoteCleanup

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping
    from pathlib import Path


class Jobs:
    """As the store of jobs, of which none stands."""

    async def read(self, _: Any) -> dict[str, str]:
        return {}


class EndError(Exception):
    """Ends what goes on for ever."""


async def test_cleanup_is_retried_with_backoff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Of each attempt whether nothing is left, and whether there is news before the time is over.
    attempts = [(False, False)] * 8 + [
        (False, True),
        (False, True),
        (False, False),
        (True, True),
        (False, True),
    ]
    tried = iter(attempts)
    waited: list[float | None] = []

    async def clear(_: Path, __: Mapping[str, str]) -> bool:
        return attempts[len(waited)][0]

    async def wait_for(waiting: Coroutine[Any, Any, Any], seconds: float | None) -> None:
        waiting.close()
        _, news = next(tried)
        waited.append(seconds)
        if len(waited) == len(attempts):
            raise EndError
        if not news:
            raise TimeoutError

    monkeypatch.setattr(remote_cleanup, "clear", clear)
    monkeypatch.setattr(remote_cleanup, "asyncio", SimpleNamespace(Event=asyncio.Event, wait_for=wait_for))
    with pytest.raises(EndError):
        await RemoteCleanup(Jobs(), tmp_path).watch()  # type: ignore[arg-type]
    # Whenever there is news it is tried at once, and soon again.
    assert waited == [10, 20, 40, 80, 160, 320, *[AGAIN_SECONDS] * 3, 10, 10, None, 10]
