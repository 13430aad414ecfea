"""A real Chromium, and pages that fail their test on any console message, page error or foreign request."""

from __future__ import annotations

import os
import shutil
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import async_playwright

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from playwright.async_api import Browser, ConsoleMessage, Page

    OpenPage = Callable[..., AbstractAsyncContextManager[Page]]

QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def chromium_path() -> str | None:
    """The browser that `scripts/test` has found, else one on PATH, else Playwright's own."""
    return os.environ.get("ARKOR_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """A headless Chromium of this test's own."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium_path(), args=list(QUIET))
        yield browser
        await browser.close()


@pytest.fixture
def open_page(browser: Browser) -> OpenPage:
    """Opens a page on an origin; when the block ends, nothing may have gone wrong in it.

    Without a path it is left to the test to go there.

    ``faulty`` is for tests in which the daemon refuses or is away; more keywords go to the browser context.
    """

    @asynccontextmanager
    async def opened(
        origin: str,
        path: str | None = "/",
        *,
        width: int = 1280,
        height: int = 900,
        scheme: str = "light",
        faulty: bool = False,
        **context_options: Any,
    ) -> AsyncIterator[Page]:
        context = await browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if scheme == "dark" else "light",
            **context_options,
        )
        page = await context.new_page()
        faults: list[str] = []

        def on_console(message: ConsoleMessage) -> None:
            # The browser itself writes this for each refused call; a test of refusals expects it.
            if not (faulty and message.text.startswith("Failed to load resource:")):
                faults.append(f"console {message.type}: {message.text}")

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
        if path is not None:
            await page.goto(origin + path)
        yield page
        await context.close()
        assert faults == []

    return opened
