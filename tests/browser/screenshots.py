"""Pictures of every page from a real run: ``python -m tests.browser.screenshots FOLDER``."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.async_api import async_playwright

from tests.daemon import free_port, running_daemon

from .conftest import QUIET, chromium_path
from .steps import QUESTION, ask_both, completed, copy_example, first_loss, go_to, open_job, press_run

if TYPE_CHECKING:
    from playwright.async_api import Page

DESKTOP = {"width": 1280, "height": 860}
PHONE = {"width": 390, "height": 844}


async def shoot(page: Page, folder: Path, name: str) -> None:
    """The page as it is, in light and dark and on a phone."""
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        await page.wait_for_timeout(400)
        await page.screenshot(path=folder / f"{name}-{scheme}.png")
    await page.emulate_media(color_scheme="light")
    await page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    await page.wait_for_timeout(400)
    await page.screenshot(path=folder / f"{name}-phone.png")
    await page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]


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
    await ask_both(page, QUESTION)
    await shoot(page, folder, "playground")
    await go_to(page, "Endpoints")
    await page.wait_for_timeout(800)
    await shoot(page, folder, "endpoints")


async def main(folder: Path) -> None:
    """Run the tour on a daemon and a home of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        project = copy_example(work)
        async with (
            running_daemon(work / "home", free_port(), "--local", "--project", str(project)) as daemon,
            async_playwright() as playwright,
        ):
            browser = await playwright.chromium.launch(executable_path=chromium_path(), args=list(QUIET))
            page = await browser.new_page(viewport=DESKTOP)  # type: ignore[arg-type]
            await page.goto(daemon.origin)
            await tour(page, folder)
            await browser.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
