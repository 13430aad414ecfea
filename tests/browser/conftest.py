"""A real browser, and pages that fail their test on any console message, page error or foreign request.

Chromium, unless ``ARKOR_TEST_BROWSER`` is ``firefox`` (``scripts/test --browser firefox``): then a stock
Firefox, which Playwright drives by WebDriver BiDi.

The browser is started once, so everything here runs on one event loop. An async fixture of a test module
needs ``loop_scope="session"``.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
import pytest_asyncio
from playwright.async_api import async_playwright, expect

from arkor_dev.project import data_check
from tests.support.fake_backend import running_fake_backend
from tests.support.ports import held_ports
from tests.support.studio import running_studio

from .contexts import ONE_PROCESS, Contexts
from .looking import look_often, overlook_announcements
from .steps import PACED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from contextlib import AbstractAsyncContextManager

    from playwright.async_api import Browser, ConsoleMessage, Page, Playwright

    from arkor_dev.contract.dataset_shapes import DataCheck
    from arkor_dev.core.settings import Settings
    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

    Browsers = Callable[..., Awaitable[Browser]]
    ContextsOf = Callable[[Browser], Contexts]
    OpenPage = Callable[..., AbstractAsyncContextManager[Page]]

# Milliseconds. On a quiet machine all comes at once; on a busy one nothing is wrong before this.
expect.set_options(timeout=30_000)
look_often()
overlook_announcements()

SHARED_OPTIONS = {"reduced_motion", "width", "height"}
HERE = Path(__file__).parent
SLOW = int(os.environ.get("ARKOR_TEST_SLOW", "0"))
"""How many times as slow as it is each page runs, to find what waits for the wrong thing: 4 is plenty."""
FIREFOX = os.environ.get("ARKOR_TEST_BROWSER") == "firefox"
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Threads of the browser's process: each frame and each request would pass between two processes.
    "--in-process-gpu",
    "--enable-features=NetworkServiceInProcess2,CDPScreenshotNewSurface",  # the latter is Playwright's own
)
BRIEF = "--js-flags=--no-maglev --no-opt"
"""A page of a test lives for a second: its scripts are not optimized for hours that it might stay open."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests here run on the loop of the shared browser. In Firefox, skip what its driver cannot do."""
    for item in items:
        if item.path.is_relative_to(HERE) and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
        marker = item.get_closest_marker("chromium_only")
        if FIREFOX and marker:
            item.add_marker(pytest.mark.skip(reason=marker.args[0]))


def chromium_path() -> str | None:
    """The browser that `scripts/test` has found, else one on PATH, else Playwright's own."""
    return os.environ.get("ARKOR_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")


def shell_path() -> str | None:
    """Chromium without its window, where `scripts/test` has found it: the same pages for less work.

    Tests of the browser's own preferences need the whole one.
    """
    return os.environ.get("ARKOR_TEST_HEADLESS_SHELL") or shutil.which("chromium-headless-shell")


def firefox_path() -> str | None:
    """The Firefox on PATH; Debian's is the long-term one."""
    return shutil.which("firefox-esr") or shutil.which("firefox")


async def launch(
    playwright: Playwright,
    *,
    chromium: dict[str, Any] | None = None,
    firefox: dict[str, Any] | None = None,
    tabs: bool = False,
) -> Browser:
    """A headless browser, with Blink's settings or Firefox's preferences as the one that it is has them.

    With ``tabs`` each page has a process of its own, as in anyone's browser.
    """
    if FIREFOX:
        return await playwright.firefox.launch(
            channel="moz-firefox", executable_path=firefox_path(), firefox_user_prefs=firefox or {}
        )
    settings = ",".join(f"{name}={value}" for name, value in (chromium or {}).items())
    args = [*QUIET, *([] if tabs else [ONE_PROCESS, BRIEF])]
    if settings:
        args.append(f"--blink-settings={settings}")
    return await playwright.chromium.launch(executable_path=shell_path() or chromium_path(), args=args)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browsers() -> AsyncIterator[Browsers]:
    """Headless browsers by their settings, each started once: that takes as long as many a test does."""
    started: dict[str, Browser] = {}
    async with async_playwright() as playwright:

        async def with_settings(**settings: Any) -> Browser:
            key = json.dumps(settings, sort_keys=True)
            if key not in started:
                started[key] = await launch(playwright, **settings)
            return started[key]

        yield with_settings
        for browser in started.values():
            await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def browser(browsers: Browsers, request: pytest.FixtureRequest) -> Browser:
    """The browser of all tests, or the one with the settings that the test asks for."""
    marker = request.node.get_closest_marker("browser_settings")
    settings = marker.kwargs if marker and marker.kwargs.get("firefox" if FIREFOX else "chromium") else {}
    tabs = request.node.get_closest_marker("tabs")
    if tabs and not tabs.kwargs.get("one_process") and not FIREFOX:
        settings = {**settings, "tabs": True}
    return await browsers(**settings)


def _has_tabs(request: pytest.FixtureRequest) -> bool:
    return request.node.get_closest_marker("tabs") is not None


@pytest.fixture(scope="session")
def contexts_of() -> ContextsOf:
    """The contexts of a browser that are used again."""
    known: dict[Browser, Contexts] = {}
    return lambda browser: known.setdefault(browser, Contexts(browser))


@pytest_asyncio.fixture(loop_scope="session")
async def fake_backend() -> AsyncIterator[FakeBackend]:
    """A running fake backend, on the loop of the browser."""
    async with running_fake_backend() as fake:
        yield fake


@pytest.fixture(scope="session")
def studio_port() -> Iterator[int]:
    """The port of every Studio in turn: the browser keeps the page's scripts, compiled, by their address."""
    with held_ports() as take:
        yield take()


async def _check_here(project: Path, trainer: str) -> DataCheck:
    """Check data in this process: Home and Data want it of each page, and a child takes 0.3 s to start.

    ``tests/server/api/test_manifest.py`` has the real one.
    """

    def heard(*_: object) -> None:
        """Nobody watches its progress."""

    return await asyncio.to_thread(data_check.check_trainer, project, trainer, heard, 60)


@pytest_asyncio.fixture(loop_scope="session")
async def studio(settings: Settings, signed_in: None, studio_port: int) -> AsyncIterator[Studio]:
    """A whole Studio, signed in at the fake backend, on the loop of the browser."""
    with patch.object(data_check, "check_in_child", _check_here):
        async with running_studio(settings, studio_port) as studio:
            yield studio


@asynccontextmanager
async def watched(
    page: Page,
    origin: str,
    path: str | None,
    *,
    faulty: bool | str = False,
    close: Callable[[], Awaitable[None]] | None = None,
) -> AsyncIterator[Page]:
    """The page. When the block ends, by ``close`` or its context's, nothing may have gone wrong in it."""
    faults: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        # The browser itself writes this for each refused call; a test of refusals expects it.
        refused = message.text.startswith("Failed to load resource:")
        if not (refused and (faulty is True or (faulty and re.search(faulty, message.location["url"])))):
            faults.append(f"console {message.type}: {message.text}")

    if SLOW and not FIREFOX:
        tools = await page.context.new_cdp_session(page)
        await tools.send("Emulation.setCPUThrottlingRate", {"rate": SLOW})
    page.on("console", on_console)
    page.on("pageerror", lambda e: faults.append(f"page error: {e}"))
    page.on(
        "request",
        lambda r: (
            None
            if r.url.startswith((origin, "data:", "blob:"))
            else faults.append(f"left the origin: {r.url}")
        ),
    )
    try:
        if path is not None:
            await page.goto(origin + path)
        yield page
    finally:
        # What answers in the backend's place may be at it: it cannot reach a page that is closed.
        for each in page.context.pages:
            await each.unroute_all(behavior="ignoreErrors")
        await (close or page.context.close)()
    assert faults == []


@pytest.fixture
def open_page(browser: Browser, contexts_of: ContextsOf, request: pytest.FixtureRequest) -> OpenPage:
    """Opens a page on an origin; when the block ends, nothing may have gone wrong in it.

    Without a path it is left to the test to go there.

    ``faulty`` is for tests in which the daemon refuses or is away; a pattern says of which addresses alone.
    ``clock`` is for those that let the page's time pass quicker (``steps.hurried``); more keywords are of the
    browser context: ``width`` and ``height`` in px, ``scheme``, Playwright's own. With any but
    ``SHARED_OPTIONS`` the context is the test's alone. A test that opens several tabs in
    it has the mark ``tabs``.
    """

    @asynccontextmanager
    async def opened(
        origin: str,
        path: str | None = "/",
        *,
        faulty: bool | str = False,
        clock: bool = False,
        **options: Any,
    ) -> AsyncIterator[Page]:
        if FIREFOX or options.keys() - SHARED_OPTIONS or _has_tabs(request):
            context = await browser.new_context(**_options(**options))
            if clock:
                await context.add_init_script(PACED)
            async with watched(await context.new_page(), origin, path, faulty=faulty) as page:
                yield page
            return
        size = {name: options.pop(name) for name in ("width", "height") if name in options}
        async with contexts_of(browser).lent(origin, **_options(**options)) as shared:
            page = await shared.new_page()
            if size:
                await page.set_viewport_size(_options(**size)["viewport"])
            if clock:
                await page.add_init_script(PACED)
            async with watched(page, origin, path, faulty=faulty, close=shared.close_pages):
                yield page

    return opened


def _options(
    *, width: int = 1280, height: int = 900, scheme: str = "light", **options: Any
) -> dict[str, Any]:
    return {"viewport": {"width": width, "height": height}, "color_scheme": scheme, **options}


@pytest.fixture
def open_blocked(tmp_path: Path) -> OpenPage:
    """Opens a page in a browser whose user has blocked all cookies, by the browser's own preference."""

    @asynccontextmanager
    async def opened(origin: str, path: str) -> AsyncIterator[Page]:
        async with async_playwright() as playwright:
            if FIREFOX:
                browser = await launch(playwright, firefox={"network.cookie.cookieBehavior": 2})
                async with watched(await (await browser.new_context()).new_page(), origin, path) as page:
                    yield page
                await browser.close()
                return
            # Chromium reads preferences from a profile on the disk alone.
            preferences = {"profile": {"default_content_setting_values": {"cookies": 2}}}
            (tmp_path / "profile" / "Default").mkdir(parents=True)
            (tmp_path / "profile" / "Default" / "Preferences").write_text(json.dumps(preferences))
            context = await playwright.chromium.launch_persistent_context(
                tmp_path / "profile", executable_path=chromium_path(), args=list(QUIET)
            )
            async with watched(await context.new_page(), origin, path) as page:
                yield page

    return opened
