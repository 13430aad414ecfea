"""The search in its own process, and how long those who ask wait for it."""

from __future__ import annotations

import asyncio
import lzma
from contextlib import closing
from typing import TYPE_CHECKING

from arkor_dev.backend.client import Backend
from arkor_dev.data.passages import Passages
from arkor_dev.local.deletion import search
from arkor_dev.local.deletion.messages import Found, SearchTexts
from arkor_dev.local.deletion.service import LONGEST_SEARCH, WORKER
from arkor_dev.local.jobs.database import DATABASE
from arkor_dev.local.jobs.store import Store
from arkor_dev.local.workers.process import Child

from .test_search import OTHER, SECRET

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


async def test_the_process_finds_what_is_there_beside_files_that_fill_memory(tmp_path: Path) -> None:
    data, project = tmp_path / "data", tmp_path / "project"
    data.mkdir()
    project.mkdir()
    with closing(Store(data / DATABASE, "local")):
        pass
    (project / "rows.csv").write_text(f"answer\n{SECRET}\n")
    # Its header asks for a dictionary of 3 GiB: more memory than the process may use.
    packed = bytearray(lzma.compress(SECRET.encode(), lzma.FORMAT_ALONE))
    packed[1:5] = (3 << 30).to_bytes(4, "little")
    (project / "wide.txt.xz").write_bytes(packed)
    passages = Passages.of([SECRET], [OTHER]).to_json()
    async with Child.running(WORKER) as child:
        child.send(SearchTexts(passages, data, project, {}, [project / "rows.csv"]))
        found = await asyncio.wait_for(child.result(Found, "The search"), 120)
    assert [(copy["name"], copy["kind"]) for copy in found.copies] == [("rows.csv", "data")]
    assert found.unsearched == ["wide.txt.xz (too large)"]
    assert (found.files, found.paths, found.keys) == (2, {}, {})


async def test_clients_wait_longer_than_two_searches_take(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    async def call(self: Backend, *parts: str, patience: float = 0, **rest: object) -> None:
        waited.append(patience)

    monkeypatch.setattr(Backend, "_call", call)
    backend = Backend.__new__(Backend)
    await backend.get_certificate("job_1")
    await backend.search_again("job_1", {})
    assert all(patience > 2 * LONGEST_SEARCH for patience in waited)
    assert len(waited) == 2
    assert LONGEST_SEARCH > search.SECONDS
