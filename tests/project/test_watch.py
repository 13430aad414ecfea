"""Edits of a project are noticed: arkor.toml, the files that it names, TypeScript sources."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from arkor_dev.project import watch
from arkor_dev.project.source_state import SETTLED
from arkor_dev.project.watch import ProjectWatch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

TOML = '[[trainer]]\nname = "t"\nmodel = "m"\ndataset = { path = "data/chats.jsonl" }\n'
ROW = '{"prompt": "a", "completion": "b"}\n'
notified = pytest.mark.skipif(sys.platform != "linux", reason="only Linux's notifications are used")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "arkor.toml").write_text(TOML)
    (tmp_path / "data" / "chats.jsonl").write_text(ROW)
    return tmp_path


@pytest.fixture
def without_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "POLL", 60.0)
    monkeypatch.setattr(watch, "QUIET", 0.01)


@asynccontextmanager
async def watching(project: Path) -> AsyncIterator[ProjectWatch]:
    watched = ProjectWatch(project)
    inspected = asyncio.Event()
    loop, inspect = asyncio.get_running_loop(), watched._look

    def look(notifications: int) -> bytes:
        state = inspect(notifications)
        loop.call_soon_threadsafe(inspected.set)
        return state

    watched._look = look  # type: ignore[method-assign]
    running = asyncio.create_task(watched.run())
    await inspected.wait()
    yield watched
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def save_as_editors_do(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.swp")
    part.write_text(text)
    part.replace(path)


@notified
@pytest.mark.parametrize("name", ["arkor.toml", "data/chats.jsonl"])
async def test_a_file_saved_by_renaming_is_noticed_without_polling(
    project: Path, without_polling: None, name: str
) -> None:
    async with watching(project) as watched:
        for number in range(2):  # the second time it is another inode that is replaced
            edit = asyncio.create_task(watched.changed(watched.edits, 10))
            await asyncio.sleep(0)
            save_as_editors_do(project / name, TOML + f"steps = {number + 1}\n")
            assert await edit


@notified
async def test_a_data_file_whose_folder_did_not_exist_is_noticed_once_it_is_there(
    project: Path, without_polling: None
) -> None:
    (project / "arkor.toml").write_text(TOML.replace("data/", "later/"))
    async with watching(project) as watched:
        edit = asyncio.create_task(watched.changed(watched.edits, 10))
        (project / "later").mkdir()
        (project / "later" / "chats.jsonl").write_text(ROW)
        assert await edit


@notified
async def test_files_that_arkor_toml_does_not_name_change_nothing(
    project: Path, without_polling: None
) -> None:
    async with watching(project) as watched:
        edit = asyncio.create_task(watched.changed(watched.edits, 10))
        await asyncio.sleep(0)
        for number in range(20):
            (project / f"log{number}.txt").write_text("a")
            (project / "data" / f"other{number}.jsonl").write_text(ROW)
        await asyncio.sleep(0.1)
        assert not edit.done()
        (project / "data" / "chats.jsonl").write_text(ROW * 2)
        assert await edit


@notified
async def test_sources_of_a_typescript_project_are_watched_but_not_its_build_and_dependencies(
    tmp_path: Path, without_polling: None
) -> None:
    for folder in ("src/arkor", ".arkor/build", "node_modules/x"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "src/arkor/index.ts").write_text("1")
    os.utime(tmp_path / "src/arkor/index.ts", (1, 1))
    await asyncio.sleep(SETTLED)
    async with watching(tmp_path) as watched:
        edit = asyncio.create_task(watched.changed(watched.edits, 10))
        await asyncio.sleep(0)
        (tmp_path / ".arkor/build/index.mjs").write_text("built")
        (tmp_path / "node_modules/x/index.js").write_text("a")
        await asyncio.sleep(0.05)
        assert not edit.done()
        (tmp_path / "src/arkor/callbacks.ts").write_text("2")
        assert await edit


async def test_without_notifications_files_are_polled(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unavailable() -> int:
        raise OSError

    monkeypatch.setattr(watch, "_inotify", unavailable)
    monkeypatch.setattr(watch, "POLL", 0.01)
    async with watching(project) as watched:
        edit = asyncio.create_task(watched.changed(watched.edits, 10))
        await asyncio.sleep(0)
        (project / "data" / "chats.jsonl").write_text(ROW * 2)
        assert await edit


async def test_the_state_follows_the_named_files_even_while_arkor_toml_is_not_valid(project: Path) -> None:
    watched = ProjectWatch(project)
    first = await watched.files_state()
    assert await watched.files_state() == first
    (project / "arkor.toml").write_text(TOML + "steps = ")
    broken = await watched.files_state()
    (project / "data" / "chats.jsonl").write_text(ROW * 2)
    assert len({first, broken, await watched.files_state()}) == 3


async def test_a_path_that_leads_out_of_the_project_is_not_followed(project: Path, tmp_path: Path) -> None:
    outside = tmp_path.parent / "outside.jsonl"
    (project / "arkor.toml").write_text(TOML.replace("data/chats.jsonl", "../outside.jsonl"))
    watched = ProjectWatch(project)
    first = await watched.files_state()
    outside.write_text(ROW)
    assert await watched.files_state() == first


async def test_nobody_waits_for_an_edit_once_studio_ends(project: Path) -> None:
    watched = ProjectWatch(project)
    edit = asyncio.create_task(watched.changed(0, 60))
    await asyncio.sleep(0)
    watched.close()
    await edit
    assert not await watched.changed(0, 60)
