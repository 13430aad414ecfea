"""Browser contexts that are used again: a new one starts a process, which compiles page and axe anew.

A test gets a new page of an origin of its own, and what that origin has stored is deleted afterwards. What a
test does to the context itself would stay, so such a one is closed. Between two tests an empty page keeps the
process.
"""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from playwright.async_api import BrowserContext

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, CDPSession, Page, Route

ONE_PROCESS = "--renderer-process-limit=1"
"""Chromium's flag: all pages of a context that are of one site, such as 127.0.0.1, share a process."""

SITE = "http://127.0.0.1/"
ONE_TAB = "a test of several tabs has the mark `tabs`: each of them gets a process of its own then"
READS = {"cookies", "new_cdp_session", "new_page", "storage_state"}


class Contexts:
    """One browser's idle contexts, by their options."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._unused: dict[str, list[Shared]] = {}

    @asynccontextmanager
    async def lent(self, origin: str, **options: Any) -> AsyncIterator[Shared]:
        """A context while the block runs, of which nothing but a page on ``origin`` is wanted."""
        unused = self._unused.setdefault(json.dumps(options, sort_keys=True), [])
        shared = unused.pop() if unused else await Shared.made(await self._browser.new_context(**options))
        try:
            yield shared
        except BaseException:
            await shared.context.close()
            raise
        if shared.changed:
            await shared.context.close()
            return
        await shared.clear(origin)
        unused.append(shared)


class Shared:
    """A context, and whether it is still as it was made."""

    def __init__(self, context: BrowserContext, keeper: Page, tools: CDPSession) -> None:
        self.context = context
        self.changed = False
        self._keeper = keeper
        self._tools = tools
        for owner in (context, context.clock):
            for name in dir(type(owner)):
                if not name.startswith("_") and name not in READS and callable(getattr(type(owner), name)):
                    self._note(owner, name)
        setattr(context, "new_page", _refuse)  # noqa: B010

    @classmethod
    async def made(cls, context: BrowserContext) -> Shared:
        """Of a new context: with the page that keeps the process, of which the daemons' pages are then."""

        async def nothing(route: Route) -> None:
            await route.fulfill(content_type="text/html", body="")

        keeper = await context.new_page()
        await keeper.route("**/*", nothing)
        await keeper.goto(SITE)
        await keeper.unroute("**/*", nothing)
        return cls(context, keeper, await context.new_cdp_session(keeper))

    async def new_page(self) -> Page:
        """The page of a test."""
        return await BrowserContext.new_page(self.context)

    async def close_pages(self) -> None:
        """All but the one that keeps the process."""
        for page in self.context.pages:
            if page != self._keeper:
                await page.close()

    async def clear(self, origin: str) -> None:
        """Delete all that an origin has stored, its cookies too."""
        await self._tools.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "all"})

    def _note(self, owner: object, name: str) -> None:
        change = getattr(owner, name)

        def noted(*args: Any, **kwargs: Any) -> Any:
            self.changed = True
            return change(*args, **kwargs)

        setattr(owner, name, noted)


async def _refuse() -> Page:
    raise AssertionError(ONE_TAB)
