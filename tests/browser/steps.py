"""What a person does in Studio, step by step; shared by the story's test and the screenshots."""

from __future__ import annotations

import asyncio
import itertools
import re
import shutil
import sys
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from playwright.async_api import Error, expect

from arkor_dev.jobs import jobs_cache
from arkor_dev.server.app_keys import JOBS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from playwright.async_api import Page

    from tests.support.studio import Studio

T = TypeVar("T")

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "support-bot"
QUESTION = "The parcel came with a broken mug. What can I do?"
MINUTE = 60_000
HURRY_STEP = 0.25
HURRY_TIMES = 10
JOB_SAYS = "(text) => new RegExp(text).test(document.querySelector('.job')?.textContent)"
# Every poll waits for longer than anything else that the page does.
HOLDABLE = """
const wait = window.setTimeout;
window.setTimeout = (act, ms) => wait(() => { if (!window.held || !(ms > 1000)) act(); }, ms);
"""
# The page's timers, its date and the time of its frames, at a pace that can be changed. Playwright's own
# clock changes the whole context, which is then closed, and is moved by a call for each jump.
PACED = """
(() => {
  const { setTimeout, clearTimeout, requestAnimationFrame, Date } = window;
  const passed = performance.now.bind(performance);
  const begun = Date.now() - passed();
  const timers = new Map();
  let [pace, shown, since, last] = [1, passed(), passed(), 0];
  const now = () => shown + pace * (passed() - since);
  const arm = (timer) => {
    clearTimeout(timer.handle);
    if (pace > 0) timer.handle = setTimeout(fire, Math.max(0, (timer.due - now()) / pace), timer);
  };
  const fire = (timer) => {
    if (timer.every === undefined) timers.delete(timer.id);
    else {
      timer.due = now() + timer.every;
      arm(timer);
    }
    timer.act(...timer.given);
  };
  const add = (act, ms, every, given) => {
    const timer = { id: ++last, act, every, given, due: now() + Math.max(0, ms || 0) };
    timers.set(timer.id, timer);
    arm(timer);
    return timer.id;
  };
  const remove = (id) => {
    clearTimeout(timers.get(id)?.handle);
    timers.delete(id);
  };
  const dateNow = () => Math.floor(begun + now());
  Object.assign(window, {
    setTimeout: (act, ms, ...given) => add(act, ms, undefined, given),
    setInterval: (act, ms, ...given) => add(act, ms, Math.max(1, ms || 0), given),
    clearTimeout: remove,
    clearInterval: remove,
    requestAnimationFrame: (act) => requestAnimationFrame(() => act(now())),
    Date: class extends Date {
      constructor(...given) {
        super(...(given.length ? given : [dateNow()]));
      }
      static now = dateNow;
    },
    setPace(times) {
      [shown, since, pace] = [now(), passed(), times];
      for (const timer of timers.values()) arm(timer);
    },
  });
  performance.now = now;
})();
"""
COPIED = "async (text) => (await navigator.clipboard.readText()) === text"
"""Whether the clipboard holds this: a page says that something is copied before the browser has done it."""


def copy_example(folder: Path) -> Path:
    """The example project in a folder of the test's own."""
    return Path(shutil.copytree(EXAMPLE, folder / "support-bot", ignore=shutil.ignore_patterns(".arkor")))


def typescript_project(project: Path, body: str) -> None:
    """A TypeScript project whose ``arkor`` is this Python: its output is whatever is wanted to be seen."""
    cli = project / "node_modules" / ".bin" / "arkor"
    cli.parent.mkdir(parents=True)
    built = 'export const trainer = { name: "support-bot", start() {}, wait() {}, cancel() {} };'
    cli.write_text(
        f"#!{sys.executable}\n"
        "import pathlib, sys, time\n"
        "if sys.argv[1] == 'build':\n"
        "    out = pathlib.Path('.arkor/build'); out.mkdir(parents=True, exist_ok=True)\n"
        f"    (out / 'index.mjs').write_text({built!r})\n"
        "    raise SystemExit\n"
        f"{body}\n"
    )
    cli.chmod(0o755)


async def press_run(page: Page) -> str:
    """Press Run training on Home; the job's id, as soon as the page shows a way to it."""
    await page.get_by_role("button", name="Run training").click()
    link = page.locator("a[href^='#/jobs/job_']").first
    # The starter model may have to be fetched, but the job exists before that.
    await expect(link).to_be_visible(timeout=MINUTE)
    href = await link.get_attribute("href")
    assert href
    return href.removeprefix("#/jobs/")


async def open_job(page: Page, job_id: str) -> None:
    """Follow the link to a job."""
    await page.locator(f"a[href='#/jobs/{job_id}']").first.click()
    await expect(page.locator(".job")).to_be_visible()


async def first_loss(page: Page, steps: int = 40) -> None:
    """Wait on the job's page for the first step that was trained of ``steps``."""
    await _job_says(page, rf"[1-9]\d*\s*/\s*{steps}", 4 * MINUTE)


async def completed(page: Page) -> None:
    """Wait on the job's page for the end of the training."""
    await _job_says(page, "Completed", 5 * MINUTE)


async def _job_says(page: Page, pattern: str, ms: float) -> None:
    """Wait until the job's page has text like ``pattern``; look twice a second: it may take minutes.

    Fails at once if the job has failed.
    """
    failed = r"Failed\b"
    await page.wait_for_function(JOB_SAYS, arg=f"{pattern}|{failed}", polling=500, timeout=ms)
    text = await page.locator(".job").inner_text()
    assert not re.search(failed, text), text


async def go_to(page: Page, name: str) -> None:
    """Open a page by the bar."""
    await page.get_by_role("navigation", name="Pages").get_by_role("link", name=name).click()


async def ask_both(page: Page, question: str, tokens: int | None = None) -> tuple[str, str]:
    """In the Playground, ask the base model and the adapter the same; both answers, left and right.

    They have as many ``tokens`` at most.
    """
    await go_to(page, "Playground")
    await page.get_by_role("button", name="Compare").click()
    if tokens is not None:
        await page.get_by_role("spinbutton", name="Max tokens").fill(str(tokens))
    await page.get_by_label("Message").fill(question)
    await page.get_by_role("button", name="Send").click()
    answers = page.locator(".chat-answers-two > *")
    await expect(answers).to_have_count(2)
    await expect(page.get_by_role("button", name="Send")).to_be_visible(timeout=3 * MINUTE)
    return await answers.nth(0).inner_text(), await answers.nth(1).inner_text()


async def soon(holds: Callable[[], Awaitable[object]], seconds: float = 30) -> None:
    """Look again and again until it ``holds``: what is read of a page once may be of the moment before."""
    try:
        async with asyncio.timeout(seconds):
            while not await holds():  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"it does not hold, in {seconds} s") from None


async def at_rest(read: Callable[[], Awaitable[T]]) -> T:
    """What is read once it is the same twice, some frames apart: where something has come to that moves."""
    last = await read()
    while True:
        await asyncio.sleep(0.2)
        if (now := await read()) == last:
            return now
        last = now


async def lasting(find: Callable[[], Awaitable[list[str]]]) -> list[str]:
    """What is found to be wrong, and is still found two seconds later: the rest was of a moment."""
    for _ in range(4):
        if not (found := await find()):
            break
        await asyncio.sleep(0.5)
    return found


async def hold_polls(page: Page) -> None:
    """Let the page know, from now on, only what it asks for itself; needs ``HOLDABLE`` from its start."""
    await page.evaluate("window.held = true")


async def set_pace(page: Page, times: float) -> None:
    """Let the time of all tabs pass so many times as fast; a page that comes later has its own."""
    for tab in page.context.pages:
        with suppress(Error):  # it is being left
            await tab.evaluate("(times) => window.setPace?.(times)", times)


@asynccontextmanager
async def hurried(page: Page, studio: Studio | None = None) -> AsyncIterator[None]:
    """Within the block the time of all tabs passes ten times as fast, for what they do every few seconds.

    They have to be ``PACED`` before they are loaded: ``open_page(…, clock=True)``. A ``studio`` asks its
    backend for the jobs ten times as often too: else a tab may get a list that is 5 s old.
    """

    async def hurry() -> None:
        for turn in itertools.count():
            if studio and turn % round(jobs_cache.INTERVAL / HURRY_TIMES / HURRY_STEP) == 0:
                studio.app[JOBS].refresh()
            await set_pace(page, HURRY_TIMES)  # again and again, as a page may be loaded meanwhile
            await asyncio.sleep(HURRY_STEP)

    hurrying = asyncio.create_task(hurry())
    try:
        yield
    finally:
        hurrying.cancel()
        with suppress(asyncio.CancelledError):
            await hurrying
        await set_pace(page, 1)


DROP = """([name, text]) => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([text], name));
    const event = new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true });
    return !document.body.dispatchEvent(event); // whether somebody kept the browser from showing the file
}"""
"""Drops a file of this name and text on the page."""
