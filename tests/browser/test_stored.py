"""What the page keeps in the browser over an upgrade: older forms are read, newer ones are left alone."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from .steps import soon
from .stored import fixture, read_stored, shape, visit, write_stored
from .talk import answers, ask

if TYPE_CHECKING:
    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

    from .conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NEWEST = 1


@pytest.mark.tabs
async def test_stored_data_matches_the_newest_fixture(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    """Who changes a form has to give it a version, a migration and a fixture."""
    async with open_page(studio.url, None) as page:
        await visit(page, studio.url, fake_backend)
        wanted = shape(fixture(NEWEST))

        async def stored() -> bool:
            return bool(shape(await read_stored(page)) == wanted)

        with suppress(AssertionError):  # what differs is shown below
            await soon(stored)
        assert shape(await read_stored(page)) == wanted


@pytest.mark.parametrize("version", range(1, NEWEST + 1))
async def test_data_of_earlier_versions_is_migrated(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage, version: int
) -> None:
    fake_backend.headers = {"Sunset": "Mon, 01 Mar 2027 12:00:00 GMT", "Warning": '299 - "Use v2"'}
    fake_backend.add_job("completed", name="support-bot")
    async with open_page(studio.url, None) as page:
        await write_stored(page, studio.url, fixture(version))
        await page.goto(f"{studio.url}/#/playground")
        await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        await expect(page.get_by_label("System prompt")).to_have_value("Be kind.")
        await expect(page.get_by_label("Message")).to_have_value("Not sent yet")
        await expect(page.get_by_role("group", name="Preset")).to_contain_text("Short")
        await expect(page.locator(".pg-chat")).to_have_count(3)
        await page.get_by_role("button", name="How do I reset my password?", exact=False).first.click()
        await expect(page.locator(".chat-user")).to_have_text(
            ["How do I reset my password?", "And my e-mail?"]
        )
        await expect(answers(page).last).to_contain_text("Reset it here.")
        await page.get_by_role("button", name="Is this stored?", exact=False).first.click()
        await expect(answers(page)).to_contain_text("Reset it here.")
        # The notice was dismissed, and single keys were turned off.
        await expect(page.locator(".shell-note")).to_have_count(0)
        await page.locator("main h1").first.focus()
        await page.keyboard.press("?")
        await page.keyboard.press("Control+k")
        await expect(page.get_by_role("dialog", name="Jump to")).to_be_visible()
        await expect(page.get_by_role("dialog")).to_have_count(1)

        async def taken_over() -> bool:
            stored = await read_stored(page)
            rows = stored["database"]["stores"]["conversations"]["rows"]
            return len(rows) == 3 and "arkor.unsaved" not in stored["localStorage"]

        await soon(taken_over)


async def test_data_of_newer_versions_is_not_changed(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.add_job("completed")
    future = fixture(NEWEST)
    future["database"]["version"] = NEWEST + 1
    future["database"]["stores"]["folders"] = {"keyPath": "name", "rows": [{"name": "later"}]}
    for row in future["database"]["stores"]["conversations"]["rows"]:
        row["turns"] = [{"said": turn["user"]} for turn in row["turns"].values()]
    for storage in ("localStorage", "sessionStorage"):
        future[storage] = {f"{key}.{NEWEST + 1}": f"new {text}" for key, text in future[storage].items()}
    async with open_page(studio.url, None) as page:
        await write_stored(page, studio.url, future)
        await page.goto(f"{studio.url}/#/playground")
        trouble = page.locator(".pg-trouble")
        await expect(trouble).to_contain_text("A newer Arkor Studio has stored this browser's conversations")
        await expect(page.locator("html")).not_to_have_attribute("data-theme", "dark")
        # What is asked now is answered, and said not to be stored.
        await ask(page, "Hello?")
        await expect(answers(page)).to_contain_text("Hello, world")
        await page.get_by_label("System prompt").fill("Be brief.")
        await page.get_by_role("button", name="Delete “Hello?”").click()
        await page.get_by_role("button", name="Delete conversation").click()
        await ask(page, "Still there?")
        await expect(trouble).to_contain_text("A newer Arkor Studio")
        stored = await read_stored(page)
    assert stored["database"] == future["database"]
    for storage in ("localStorage", "sessionStorage"):
        assert future[storage].items() <= stored[storage].items()


@pytest.mark.tabs
async def test_another_tab_can_upgrade_the_database(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.add_job("completed")
    async with open_page(studio.url, "/#/playground") as page:
        await ask(page, "Hello?")
        other = await page.context.new_page()
        await other.route("**/blank", lambda route: route.fulfill(body="", content_type="text/html"))
        await other.goto(f"{studio.url}/blank")
        upgraded = await other.evaluate(
            """version => new Promise((resolve) => {
              const request = indexedDB.open("arkor-studio", version);
              request.onsuccess = () => { request.result.close(); resolve(true); };
              // The page may be storing something, and then close it a moment later.
              request.onblocked = () => setTimeout(resolve, 20000, false);
            })""",
            NEWEST + 1,
        )
        assert upgraded
        await ask(page, "And now?")
        await expect(page.locator(".pg-trouble")).to_contain_text("A newer Arkor Studio")


async def test_an_unreadable_conversation_affects_no_other(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.add_job("completed")
    damaged = fixture(1)
    stores = damaged["database"]["stores"]
    lost = next(row["id"] for row in stores["list"]["rows"] if row["title"] == "Hello?")
    for row in stores["conversations"]["rows"]:
        if row["id"] == lost:
            row["turns"] = "gone"
    stores["list"]["rows"].append({"id": "nameless"})
    async with open_page(studio.url, None) as page:
        await write_stored(page, studio.url, damaged)
        await page.goto(f"{studio.url}/#/playground")
        await expect(page.locator(".pg-chat")).to_have_count(3)
        await page.get_by_role("button", name="Hello?", exact=False).first.click()
        await expect(page.locator(".ui-said")).to_have_text("“Hello?” cannot be read")
        await page.get_by_role("button", name="How do I reset my password?", exact=False).first.click()
        await expect(answers(page).last).to_contain_text("Reset it here.")
        stored = await read_stored(page)
    assert [row for row in stored["database"]["stores"]["conversations"]["rows"] if row["id"] == lost] == [
        row for row in stores["conversations"]["rows"] if row["id"] == lost
    ]
