"""Pictures: ``python -m tests.browser.screenshots FOLDER [NAME...]`` or ``--docs [NAME...]``.

Every state of ``states/`` (or those that are named) in light and dark, on a desktop and on a phone, and a
contact sheet that shows all of them. ``--docs`` makes the pictures of README and docs anew: a tour through a
real run of the example project, one through the agent template's (ten minutes on two cores), and the states
that they show; with names, only these states. The name ``agents`` is that of the template's tour.
"""

from __future__ import annotations

import asyncio
import base64
import os
import re
import sys
import tempfile
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.async_api import Error, async_playwright, expect

from arkor_dev.core.settings import Settings
from tests.support.daemon import environment, free_port, running_daemon
from tests.support.fake_backend import running_fake_backend
from tests.support.moving_picture import moving
from tests.support.studio import running_studio

from .conftest import QUIET, chromium_path
from .contact_sheet import SCHEMES, VIEWPORTS, contact_sheet, picture_name
from .states import Scene, State, all_states, all_walks
from .steps import MINUTE, QUESTION, ask_both, completed, copy_example, go_to, open_job, press_run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, Page

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "screenshots"
SETTLED = 400
QUALITY = 70  # the documentation's pictures are in the repository
FRAME_QUALITY = 60
LONG, SHORT = 2500, 800
"""Milliseconds of a frame of the moving picture."""
SOON = 10 * MINUTE
AGENTS = "agents"
"""What names the tour of the agent template."""


async def set_look(page: Page, scheme: str, width: int) -> None:
    """Light or dark, and as wide as a desktop or a phone."""
    shown = VIEWPORTS[width]
    await page.set_viewport_size({"width": shown[0], "height": shown[1]})
    await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")


async def picture_of(page: Page, quality: int) -> bytes:
    """One picture, once the page has settled; as WebP, which takes a third of a PNG."""
    await page.wait_for_timeout(SETTLED)
    device = await page.context.new_cdp_session(page)
    picture = await device.send("Page.captureScreenshot", {"format": "webp", "quality": quality})
    await device.detach()
    return base64.b64decode(picture["data"])


async def save(page: Page, path: Path) -> None:
    """Write a picture of the page."""
    path.write_bytes(await picture_of(page, QUALITY))


async def new_page(browser: Browser) -> Page:
    """A page as a desktop shows it."""
    width, height = VIEWPORTS[1280]
    return await browser.new_page(viewport={"width": width, "height": height})


@asynccontextmanager
async def scene_of(browser: Browser) -> AsyncIterator[Scene]:
    """A Studio, a backend and a page that nothing has happened to yet."""
    with tempfile.TemporaryDirectory() as temporary:
        home, project = Path(temporary) / "home", Path(temporary) / "support-bot"
        home.mkdir()
        project.mkdir()
        os.environ["HOME"] = str(home)  # of the commands that this Studio runs
        async with running_fake_backend() as fake:
            fake.sign_in(home / ".arkor", project)
            settings = Settings(project, home, home / "data", home / "cache", cloud_url=fake.url)
            async with running_studio(settings) as studio:
                page = await new_page(browser)
                yield Scene(page, studio, fake)
                await page.close()


async def shoot_states(browser: Browser, folder: Path, states: list[State]) -> list[str]:
    """Each walk on a Studio of its own; the names of those states that could not be brought about."""
    left = {state.name for state in states}
    for walk in all_walks():
        wanted = {state.name for state in walk.states} & left
        if not wanted:
            continue
        async with scene_of(browser) as scene, aclosing(walk.play(scene)) as played:
            try:
                async for state in played:
                    if state.name in wanted:
                        await shoot(scene.page, folder, state.name)
                        left.remove(state.name)
            except (AssertionError, Error) as error:
                sys.stderr.write(f"{error}\n")
    return sorted(left)


async def shoot(page: Page, folder: Path, name: str) -> None:
    """A state's pictures; the page is then as it was before."""
    sys.stdout.write(f"{name}\n")
    sys.stdout.flush()
    for width in VIEWPORTS:
        for scheme in SCHEMES:
            await set_look(page, scheme, width)
            await save(page, folder / picture_name(name, scheme, width))
    await set_look(page, "light", 1280)


async def every_state(browser: Browser, folder: Path, names: list[str]) -> None:
    """The states, or those that are named, and the sheet of all that the folder holds."""
    states = all_states()
    if unknown := set(names) - {state.name for state in states}:
        raise SystemExit(f"There is no state {', '.join(sorted(unknown))}.")
    folder.mkdir(parents=True, exist_ok=True)
    failed = await shoot_states(browser, folder, [s for s in states if not names or s.name in names])
    sheet = folder / "index.html"
    sheet.write_text(contact_sheet(states, folder))
    sys.stdout.write(f"All of them: {sheet.resolve().as_uri()}\n")
    if failed:
        raise SystemExit(f"These could not be brought about: {', '.join(failed)}.")


def shown_pictures() -> set[tuple[str, str]]:
    """What README and docs show, as ``("job", "light")``."""
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    texts = "".join(page.read_text() for page in pages)
    return set(re.findall(r"screenshots/([\w-]+)-(light|dark)\.webp", texts))


async def shoot_shown(page: Page, name: str) -> None:
    """The page as it is, in the looks in which it is shown."""
    for picture, scheme in sorted(shown_pictures()):
        if picture == name:
            await set_look(page, scheme, 1280)
            await save(page, PICTURES / f"{name}-{scheme}.webp")


async def tour(page: Page) -> None:
    """One visit, from the first look to the answer; README's moving picture is made of it, too."""
    frames: list[tuple[bytes, int]] = []

    async def shoot_frame(milliseconds: int) -> None:
        await set_look(page, "light", 1280)
        frames.append((await picture_of(page, FRAME_QUALITY), milliseconds))

    await page.get_by_role("button", name="Run training").wait_for()
    await shoot_shown(page, "home")
    await shoot_frame(LONG)
    job_id = await press_run(page)
    await open_job(page, job_id)
    for least in (4, 12, 20, 28, 36):
        reached = "|".join(map(str, range(least, 41)))
        await expect(page.locator(".job")).to_contain_text(re.compile(rf"({reached})\s*/\s*40"), timeout=SOON)
        await shoot_frame(SHORT)
        if least == 28:  # beyond the middle, so that there is a curve to be seen
            await shoot_shown(page, "job-running")
    await completed(page)
    await shoot_shown(page, "job")
    await shoot_frame(LONG)
    await go_to(page, "Playground")
    await page.get_by_label("Max tokens").last.fill("96")  # so that both answers are in the picture
    await ask_both(page, QUESTION)
    await shoot_shown(page, "playground")
    await shoot_frame(LONG)
    (PICTURES / "run.webp").write_bytes(moving(frames, *VIEWPORTS[1280]))


async def for_the_docs(browser: Browser, names: list[str]) -> None:
    """The tours, each on a daemon and a home of its own, then the states; with ``names``, only these."""
    if not names:
        await tour_of_the_example(browser)
    if not names or AGENTS in names:
        with tempfile.TemporaryDirectory() as temporary:
            await train_agent(Path(temporary))
            await tour_of_the_agent(browser, Path(temporary))
    shown = {name for name, _ in shown_pictures()}
    wanted = shown & set(names) if names else shown
    for walk in all_walks():
        if wanted & {state.name for state in walk.states}:
            async with scene_of(browser) as scene, aclosing(walk.play(scene)) as played:
                async for state in played:
                    if state.name in wanted:
                        await shoot_shown(scene.page, state.name)


async def tour_of_the_example(browser: Browser) -> None:
    """The tour on a daemon and a home of its own."""
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        project = copy_example(work)
        async with running_daemon(
            work / "home", free_port(), "--local", "--project", str(project), PIP_NO_INDEX="0"
        ) as daemon:
            page = await new_page(browser)
            await page.goto(daemon.origin)
            await tour(page)
            await page.close()


async def train_agent(work: Path) -> None:
    """Run the commands of docs/agents.md in ``work``, with its home."""
    (work / "home").mkdir()
    env = {**environment(work / "home"), "PIP_NO_INDEX": "0", "PYTHONPATH": str(ROOT)}
    for folder, command in (
        (work, "init --template agent parcel-desk"),
        (work / "parcel-desk", "start calls --then desk --local"),
    ):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "arkor_dev", *command.split(), cwd=folder, env=env
        )
        if await process.wait():
            raise SystemExit(f"arkor-dev {command} failed.")


async def tour_of_the_agent(browser: Browser, work: Path) -> None:
    """The pictures of docs/agents.md, of the project that `train_agent` has trained in ``work``."""
    project = work / "parcel-desk"
    async with running_daemon(work / "home", free_port(), "--local", "--project", str(project)) as daemon:
        jobs = (await daemon.api("GET", "/api/jobs"))["jobs"]
        (desk,) = [job["id"] for job in jobs if job["name"] == "desk"]
        page = await new_page(browser)
        await page.goto(f"{daemon.origin}/#/data")
        await expect(page.get_by_text("No problems found")).to_be_visible(timeout=MINUTE)
        row = page.locator(".data-tokens")
        await expect(row).to_contain_text("look_up", timeout=MINUTE)
        await row.evaluate("(it) => it.scrollTo(0, it.scrollHeight)")
        await shoot_shown(page, "agents-data")
        await page.goto(f"{daemon.origin}/#/jobs/{desk}")
        verdict = page.get_by_role("region", name="Verdict")
        await expect(verdict).to_contain_text("39 of 40", timeout=MINUTE)
        await verdict.scroll_into_view_if_needed()
        await shoot_shown(page, "agents-verdict")
        episodes = page.get_by_role("region", name="Episodes")
        await expect(episodes).to_contain_text("reward 1.00", timeout=MINUTE)
        await episodes.evaluate("(it) => it.scrollIntoView()")
        await shoot_shown(page, "agents-episodes")
        await page.close()


async def main(arguments: list[str]) -> None:
    """The documentation's pictures, or every state's."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium_path(), args=list(QUIET))
        if arguments[:1] == ["--docs"]:
            await for_the_docs(browser, arguments[1:])
        else:
            await every_state(browser, Path(arguments[0]), arguments[1:])
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
