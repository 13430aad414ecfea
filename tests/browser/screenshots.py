"""Pictures for ``docs/``: ``python -m tests.browser.screenshots FOLDER [NAME...]``.

A tour through a real run of the example project, and every state of ``states/``, each in light and dark.
With names, only those states.
"""

from __future__ import annotations

import asyncio
import base64
import os
import sys
import tempfile
from contextlib import asynccontextmanager
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.async_api import async_playwright

from arkor_dev.core.settings import Settings
from tests.support.daemon import free_port, running_daemon
from tests.support.fake_backend import FakeBackend
from tests.support.studio import running_studio

from .conftest import QUIET, chromium_path
from .states import Scene, State, all_states
from .steps import QUESTION, ask_both, completed, copy_example, first_loss, go_to, open_job, press_run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, Page

DESKTOP = {"width": 1280, "height": 860}
PHONE = {"width": 390, "height": 844}
SETTLED = 400


async def shoot(page: Page, folder: Path, name: str) -> None:
    """The page as it is, in light and dark and on a phone."""
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        await save(page, folder / f"{name}-{scheme}.webp")
    await page.emulate_media(color_scheme="light")
    await page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    await save(page, folder / f"{name}-phone.webp")
    await page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]


async def save(page: Page, path: Path) -> None:
    """One picture, once the page stands still; as WebP, which takes a third of a PNG."""
    await page.wait_for_timeout(SETTLED)
    device = await page.context.new_cdp_session(page)
    picture = await device.send("Page.captureScreenshot", {"format": "webp", "quality": 90})
    await device.detach()
    path.write_bytes(base64.b64decode(picture["data"]))


async def tour(page: Page, folder: Path) -> None:
    """One visit, from the first look to the answer."""
    await page.get_by_role("button", name="Run training").wait_for()
    await shoot(page, folder, "home")
    job_id = await press_run(page)
    await page.wait_for_timeout(15_000)
    await shoot(page, folder, "home-running")
    await open_job(page, job_id)
    await first_loss(page)
    await page.wait_for_timeout(40_000)
    await shoot(page, folder, "job-running")
    await completed(page)
    await page.wait_for_timeout(1_000)
    await shoot(page, folder, "job")
    await go_to(page, "Jobs")
    await page.wait_for_timeout(800)
    await shoot(page, folder, "jobs")
    await go_to(page, "Playground")
    await page.get_by_label("Max tokens").last.fill("96")  # so that both answers are in the picture
    await ask_both(page, QUESTION)
    await shoot(page, folder, "playground")


async def real_run(browser: Browser, folder: Path) -> None:
    """The tour, on a daemon and a home of its own."""
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        project = copy_example(work)
        async with running_daemon(work / "home", free_port(), "--local", "--project", str(project)) as daemon:
            page = await browser.new_page(viewport=DESKTOP)  # type: ignore[arg-type]
            await page.goto(daemon.origin)
            await tour(page, folder)
            await page.close()


@asynccontextmanager
async def scene_of(browser: Browser) -> AsyncIterator[Scene]:
    """A Studio, a backend and a page that nothing has happened to yet."""
    with tempfile.TemporaryDirectory() as temporary:
        home, project = Path(temporary) / "home", Path(temporary) / "support-bot"
        home.mkdir()
        project.mkdir()
        os.environ["HOME"] = str(home)  # of the commands that this Studio runs
        fake = FakeBackend()
        await fake.start()
        fake.sign_in(home / ".arkor", project)
        settings = Settings(project, home, home / "data", home / "cache", cloud_url=fake.url)
        async with running_studio(settings) as studio:
            page = await browser.new_page(viewport=DESKTOP)  # type: ignore[arg-type]
            yield Scene(page, studio, fake)
            await page.close()
        await fake.close()


async def shoot_states(browser: Browser, folder: Path, states: list[State]) -> None:
    """Each state on a Studio of its own."""
    folder.mkdir(exist_ok=True)
    for state in states:
        sys.stdout.write(f"{state.name}\n")
        async with scene_of(browser) as scene:
            await state.play(scene)
            await shoot(scene.page, folder, state.name)


def gallery(states: list[State]) -> str:
    """The page that shows them."""
    parts = ["# Every state of every page\n", "Made by `./scripts/screenshots`: light, dark, and a phone.\n"]
    for room, members in groupby(states, key=lambda state: state.room):
        parts.append(f"## {room.capitalize()}\n")
        for state in members:
            pictures = (
                f'<img src="{state.name}-{kind}.webp" width="{width}" alt="{state.caption}, {kind}">'
                for kind, width in (("light", "40%"), ("dark", "40%"), ("phone", "12%"))
            )
            parts.append(f"{state.caption}\n\n{' '.join(pictures)}\n")
    return "\n".join(parts)


async def main(folder: Path, names: list[str]) -> None:
    """Everything, or the states that are named."""
    states = all_states()
    folder.mkdir(parents=True, exist_ok=True)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium_path(), args=list(QUIET))
        if not names:
            await real_run(browser, folder)
        chosen = [state for state in states if not names or state.name in names]
        await shoot_states(browser, folder / "states", chosen)
        await browser.close()
    (folder / "states" / "README.md").write_text(gallery(states))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2:]))
