"""What jobs have left elsewhere is looked for again: soon after a failure, then less and less often."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.jobs.running import remains
from arkor_dev.local.jobs.running.remains import Remains

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Jobs:
    """As the store of jobs, of which none stands."""

    async def read(self, _: Any) -> dict[str, str]:
        return {}


async def test_it_is_tried_again_soon_and_then_less_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[float] = []
    news = asyncio.Event()

    async def clear(_: Path, __: Mapping[str, str]) -> bool:
        tried.append(asyncio.get_running_loop().time())
        news.set()
        return len(tried) in (5, 7)

    async def came(count: int) -> None:
        while len(tried) < count:
            news.clear()
            await news.wait()

    monkeypatch.setattr(remains, "clear", clear)
    monkeypatch.setattr(remains, "SOON_SECONDS", 0.1)
    monkeypatch.setattr(remains, "AGAIN_SECONDS", 0.3)
    found = Remains(Jobs(), tmp_path)  # type: ignore[arg-type]
    looking = asyncio.create_task(found.look())
    async with asyncio.timeout(60):
        await came(5)
        pauses = [later - before for before, later in pairwise(tried)]
        assert all(took >= least for took, least in zip(pauses, (0.1, 0.2, 0.3, 0.3), strict=True)), pauses
        with pytest.raises(TimeoutError):  # nothing is left, and nothing looked for
            await asyncio.wait_for(came(6), 0.7)
        found.wake()
        await came(7)
        assert tried[6] - tried[5] >= 0.1
    looking.cancel()
