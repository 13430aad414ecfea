"""Whose turn it is, where two Studios want it again and again."""

from __future__ import annotations

import asyncio
import fcntl
from typing import TYPE_CHECKING

from arkor_dev.project.project_turn import FOLDER, NEXT, ProjectTurn
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path


def is_waited_for(project: Path) -> bool:
    """Whether somebody waits for the turn of ``project``, which somebody has."""
    with (project / FOLDER / NEXT).open() as place:
        try:
            fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


async def test_the_project_lock_is_fair(tmp_path: Path) -> None:
    """A Studio that reads the project without a pause lets a start of another one come between."""
    busy, start = ProjectTurn(tmp_path), ProjectTurn(tmp_path)
    order: list[str] = []

    async def wait(name: str, turn: ProjectTurn) -> None:
        give_back = await turn.take()
        order.append(name)
        give_back()

    for _ in range(3):
        give_back = await busy.take()
        waiting = asyncio.create_task(wait("start", start))
        await until(lambda: is_waited_for(tmp_path))
        give_back()
        await asyncio.gather(wait("busy", busy), waiting)
    assert order == ["start", "busy"] * 3
