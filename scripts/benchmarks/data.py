"""Measures the Data page on a data set of 100,000 rows, with a real ``arkor-dev --local`` and a real
Chromium.

A search and an edit are timed in this process, without the page.

The time is from the click in the navigation until the first row's tokens are painted. The first time, the
backend starts the process that reads the data, loads the tokenizer and builds the index; later, the process
is running.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

import platformdirs
from playwright.async_api import async_playwright

from arkor_dev.data.reader import DataFile
from arkor_dev.local.datasets.index import Index
from arkor_dev.local.datasets.view import View
from arkor_dev.project.data_editor import DataEditor, RowChange
from tests.browser.conftest import QUIET, chromium_path
from tests.support.daemon import free_port, running_daemon

from .figures import Figure
from .forecast import WORDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from playwright.async_api import Page

ROWS: Final = 100_000
ROUNDS: Final = 5
MINUTES: Final = 20 * 60_000
TOML: Final = """
[[trainer]]
name = "many"
model = "smollm2-135m-instruct"
dataset = "data.jsonl"
"""
# Painted means one frame after the tokens are in the page. The click on the link starts the clock.
PROBE: Final = """() => new Promise((told) => {
  const began = performance.now();
  const look = () => document.querySelector(".data-token")
    ? requestAnimationFrame(() => told(performance.now() - began))
    : requestAnimationFrame(look);
  location.hash = "#/data";
  requestAnimationFrame(look);
})"""


def measure(*, quick: bool) -> Iterator[Figure]:
    """Yield the seconds until the first row's tokens are painted, the first time and later."""

    async def all_of_it() -> list[Figure]:
        return [figure async for figure in opened(1_000 if quick else ROWS, 2 if quick else ROUNDS)]

    yield from asyncio.run(all_of_it())
    yield from worked_on(1_000 if quick else ROWS)


def worked_on(count: int) -> Iterator[Figure]:
    """Return the milliseconds of a search through all rows, and of an edit until it is on disk: the first one
    and later ones.
    """
    with tempfile.TemporaryDirectory(prefix="arkor-bench-") as folder:
        project = Path(folder)
        (project / "arkor.toml").write_text(TOML.lstrip())
        write_rows(project / "data.jsonl", count)
        view = View(Index([DataFile(project / "data.jsonl", "data.jsonl")]))
        while not view.index.complete:
            view.index.step(1)
        found = [1000 * _timed(lambda: _search(view)) for _ in range(ROUNDS)]
        view.close()
        editor = DataEditor(project)

        def edit(number: int) -> None:
            entry = editor.row("many", count // 2)["entry"]
            editor.change("many", [RowChange(0, entry, record={"text": f"edited {number}"})])

        def copy() -> None:
            with (project / "data.jsonl").open("rb") as old, (project / "copy").open("wb") as new:
                shutil.copyfileobj(old, new, 2**20)
                new.flush()
                os.fsync(new.fileno())

        both = []
        for number in range(2 * ROUNDS):
            seconds = _timed(partial(edit, number))
            both.append((seconds, _timed(copy)))
        edited, copied = [[1000 * seconds for seconds in each] for each in zip(*both, strict=True)]
        size = (project / "data.jsonl").stat().st_size / 1e6
    yield Figure(f"{count:,} rows: size of the file", size, "MB")
    yield Figure(f"{count:,} rows: a text that no row has, first time", found[0], "ms")
    yield Figure(f"{count:,} rows: a text that no row has, again", median(found[1:]), "ms", most=150)
    yield Figure(f"{count:,} rows: an edit on disk, first time", edited[0], "ms")
    again, floor = median(edited[1:]), median(copied[1:])
    yield Figure(f"{count:,} rows: an edit on disk, again", again, "ms", most=500)
    yield Figure(f"{count:,} rows: the same; floor: a copy", again, "ms", floor)


def _search(view: View) -> None:
    reached = -1
    while reached < len(view.index):
        reached = view.find("text", max(0, reached), text="no row has this")["reached"]


def _timed(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


async def opened(count: int, rounds: int) -> AsyncIterator[Figure]:
    """Start a new Studio per round for the first visit; later visits go to Home and back."""
    cache = Path(platformdirs.user_cache_dir("arkor-dev"))
    os.environ.setdefault("ARKOR_TEST_CACHE", str(cache))
    first, later, whole = [], [], 0.0
    with tempfile.TemporaryDirectory(prefix="arkor-bench-") as folder:
        project = Path(folder) / "project"
        project.mkdir()
        (project / "arkor.toml").write_text(TOML.lstrip())
        write_rows(project / "data.jsonl", count)
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=chromium_path(), args=list(QUIET))
            for number in range(rounds):
                home, port = Path(folder) / f"home{number}", free_port()
                async with running_daemon(home, port, "--local", "--project", str(project)) as daemon:
                    page = await browser.new_page(viewport={"width": 1280, "height": 900})
                    await page.goto(daemon.origin)
                    await page.get_by_role("button", name="Run training").wait_for()
                    began = time.monotonic()
                    first.append(await look(page))
                    later.append(await again(page))
                    if not number:
                        await page.locator(".data-progress").wait_for(state="detached", timeout=MINUTES)
                        whole = time.monotonic() - began
                        later.append(await again(page))
                    await page.close()
            await browser.close()
    yield Figure(f"{count:,} rows: the first row's tokens, first time", median(first), "s", most=1)
    yield Figure(f"{count:,} rows: the first row's tokens, again", median(later), "s", most=1)
    yield Figure(f"{count:,} rows: all read and checked", whole, "s")


async def look(page: Page) -> float:
    """Return the seconds from the click to the painted tokens."""
    return float(await page.evaluate(PROBE)) / 1000


async def again(page: Page) -> float:
    """Return the seconds of a further visit, after going to Home."""
    await page.evaluate("location.hash = '#/'")
    await page.get_by_role("button", name="Run training").wait_for()
    return await look(page)


def write_rows(path: Path, count: int) -> None:
    """Write chats of 240 to 1,040 words, most of them short: 2 kB on average."""
    chance, words = random.Random(0), WORDS.split()  # noqa: S311 - rows, no secrets
    with path.open("w") as file:
        for number in range(count):
            said = [chance.choice(words) for _ in range(240 + int(800 * chance.random() ** 3))]
            half = len(said) // 2
            turns = ("user", [str(number), *said[:half]]), ("assistant", said[half:])
            row = {"messages": [{"role": role, "content": " ".join(text)} for role, text in turns]}
            file.write(json.dumps(row) + "\n")
