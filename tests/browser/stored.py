"""What the page keeps in the browser: filled by a visit, read out, and put into a browser that is new.

``python -m tests.browser.stored FILE`` writes a fixture of what the page of today stores (``web/fixtures``).
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.async_api import async_playwright

from .conftest import QUIET, chromium_path
from .screenshots import scene_of
from .talk import ask, put

if TYPE_CHECKING:
    from collections.abc import Iterable

    from playwright.async_api import Page

    from tests.support.fake_backend import FakeBackend

FIXTURES = Path(__file__).parents[2] / "web" / "fixtures"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

MANIFEST = {
    "trainer": {"name": "support-bot"},
    "trainers": [
        {
            "name": "support-bot",
            "config": {"model": "m", "datasetSource": {"type": "file", "path": "d.jsonl"}},
        }
    ],
    "source": "arkor.toml",
    "revision": "1",
}

READ = """async () => {
  const done = (request) => new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const db = await done(indexedDB.open("arkor-studio"));
  const stores = {};
  for (const name of db.objectStoreNames) {
    const store = db.transaction(name).objectStore(name);
    stores[name] = { keyPath: store.keyPath, rows: await done(store.getAll()) };
  }
  db.close();
  const database = { name: db.name, version: db.version, stores };
  return { database, localStorage: { ...localStorage }, sessionStorage: { ...sessionStorage } };
}"""

WRITE = """async ({ database, ...storages }) => {
  const request = indexedDB.open(database.name, database.version);
  request.onupgradeneeded = () => {
    for (const [name, { keyPath, rows }] of Object.entries(database.stores)) {
      const store = request.result.createObjectStore(name, { keyPath });
      for (const row of rows) store.put(row);
    }
  };
  await new Promise((resolve) => { request.onsuccess = resolve; });
  request.result.close();
  for (const [storage, values] of Object.entries(storages)) Object.assign(window[storage], values);
}"""


def fixture(version: int) -> dict[str, Any]:
    """What the page of that version has stored after ``visit``."""
    stored: dict[str, Any] = json.loads((FIXTURES / f"stored-version-{version}.json").read_text())
    return stored


async def read_stored(page: Page) -> dict[str, Any]:
    """Everything that the browser keeps for the page's origin."""
    stored: dict[str, Any] = await page.evaluate(READ)
    return stored


async def write_stored(page: Page, origin: str, stored: dict[str, Any]) -> None:
    """Put all of it into a browser that has nothing of this origin yet."""
    blank = f"{origin}/blank"
    await page.route(blank, lambda route: route.fulfill(body="", content_type="text/html"))
    await page.goto(blank)
    await page.evaluate(WRITE, stored)


async def visit(page: Page, origin: str, fake: FakeBackend) -> None:
    """Use everything that the page stores."""
    fake.headers = {"Sunset": "Mon, 01 Mar 2027 12:00:00 GMT", "Warning": '299 - "Use v2"'}
    fake.add_job("completed", name="support-bot")
    running = fake.add_job("running", name="support-bot-2")
    await page.goto(f"{origin}/#/jobs")
    await page.locator(".shell-note").get_by_role("button", name="Dismiss").click()
    await page.get_by_role("button", name="Columns").click()
    await page.get_by_role("menuitemcheckbox", name="Learning rate").click()
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Theme").click()
    await page.get_by_role("menuitemradio", name="Dark").click()
    await page.keyboard.press("?")
    await page.get_by_label("Single-key shortcuts").click()
    await page.keyboard.press("Escape")
    await page.route("**/api/manifest", lambda route: route.fulfill(json=MANIFEST))
    await page.goto(f"{origin}/#/")
    await page.get_by_role("button", name="Edit settings").click()
    await page.get_by_label("LoRA rank").fill("16")
    await page.unroute("**/api/manifest")
    await page.goto(f"{origin}/#/jobs/{running}")
    await page.get_by_role("button", name="More actions").click()
    await page.get_by_role("menuitem", name="Notify me when done").click()
    await page.goto(f"{origin}/#/playground")
    await page.get_by_label("System prompt").fill("Be brief.")
    await put(page.get_by_label("Max tokens"), "9")
    await page.get_by_label("Message").click()
    await page.get_by_role("button", name="Save as preset").click()
    await page.get_by_label("Name of the preset").fill("Short")
    await page.keyboard.press("Enter")
    fake.chat.chunks = ["Reset", " it ", "**here**."]
    await ask(page, "How do I reset my password?")
    await page.get_by_role("button", name="Compare").click()
    await ask(page, "And my e-mail?")
    await page.get_by_role("button", name="New conversation").click()
    await ask(page, "Hello?")
    await page.get_by_role("button", name="New conversation").click()
    await page.get_by_label("System prompt").fill("Be kind.")
    await page.get_by_label("Message").fill("Not sent yet")
    await leave_unsaved(page, origin)


async def leave_unsaved(page: Page, origin: str) -> None:
    """In a second tab, whose database never answers: a conversation that its page could not store."""
    left = await page.context.new_page()
    await left.add_init_script("IDBFactory.prototype.open = () => ({})")
    await left.goto(f"{origin}/#/playground")
    await ask(left, "Is this stored?")
    await left.evaluate("dispatchEvent(new Event('pagehide'))")


def shape(value: Any) -> Any:
    """The same with types in place of values. Lists are sorted, as are values under ids."""
    if isinstance(value, dict):
        shapes = {key: shape(item) for key, item in value.items()}
        return in_order(shapes.values()) if shapes and all(map(UUID.fullmatch, shapes)) else shapes
    if isinstance(value, list):
        return in_order(map(shape, value))
    if isinstance(value, str):
        try:
            return shape(json.loads(value))
        except ValueError:
            return "text"
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else value


def in_order(shapes: Iterable[Any]) -> list[Any]:
    """Sorted by how they are written."""
    return sorted(shapes, key=json.dumps)


async def main(path: Path) -> None:
    """Write what the page of today stores."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium_path(), args=list(QUIET))
        async with scene_of(browser) as scene:
            page = await (await browser.new_context()).new_page()
            await visit(page, scene.studio.url, scene.fake)
            path.write_text(json.dumps(await read_stored(page), indent=1) + "\n")
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
