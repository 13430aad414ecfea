"""Conversations: what is kept of them over reloads and tabs, and what a hand that slips does not break."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from .steps import set_pace
from .talk import answers, ask, asked, put, start

if TYPE_CHECKING:
    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

    from .conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.mark.tabs
async def test_two_tabs_share_conversations_and_presets(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.add_job("completed")
    fake_backend.chat.chunks = [f"word{number} " for number in range(60)]
    fake_backend.chat.delay = 0.5
    async with open_page(studio.url, "/#/playground") as one:
        await start(one, "First?")
        await expect(answers(one)).to_contain_text("word3")
        other = await one.context.new_page()
        await other.goto(one.url)
        await expect(answers(other)).to_contain_text("Being answered in another tab.")
        fake_backend.chat.delay = 0.02  # it goes on at length until the other tab is there
        await expect(answers(other)).to_contain_text("word59")
        await expect(other.locator(".chat-foot")).to_be_visible()
        fake_backend.chat.delay = 0
        await ask(other, "Second?")
        # The first tab goes along, and what it does next adds to both.
        await expect(one.locator(".chat-user")).to_have_count(2)
        await put(one.get_by_label("Max tokens"), "99")
        await one.get_by_label("Message").click()
        await ask(one, "Third?")
        await expect(other.locator(".chat-user")).to_have_count(3)
        await other.reload()
        await expect(answers(other)).to_have_count(3)
        for number in range(3):
            await expect(answers(other).nth(number)).to_contain_text("word59")
        await one.get_by_role("button", name="Delete “First?”").click()
        await one.get_by_role("button", name="Delete conversation").click()
        await expect(other.locator(".chat-user, .pg-chat")).to_have_count(0)
        roles = [message["role"] for message in asked(fake_backend)[-1]["messages"]]
        assert roles == ["user", "assistant"] * 2 + ["user"]

        # So are presets.
        fake_backend.chat.chunks = ["Hello", ", ", "world"]
        fake_backend.chat.endless = True
        fake_backend.chat.delay = 0.02
        for page, name, tokens in ((one, "Short", "9"), (other, "Long", "999")):
            await put(page.get_by_label("Max tokens"), tokens)
            await page.get_by_label("Message").click()
            await page.get_by_role("button", name="Save as preset").click()
            await page.get_by_label("Name of the preset").fill(name)
            await page.keyboard.press("Enter")
            await expect(page.get_by_role("group", name="Preset")).to_contain_text(name)
        await one.reload()
        await expect(one.get_by_role("group", name="Preset")).to_contain_text("ShortLong")
        await put(one.get_by_label("Max tokens"), "7")
        await start(one, "Go on")
        await one.get_by_role("button", name="Save as preset").click()
        await one.get_by_label("Name of the preset").fill("steady")
        await one.keyboard.press("Enter")
        await expect(one.locator(".ui-said")).to_contain_text("choose another name")
        # The field's Escape is the field's own: the answer goes on.
        await one.keyboard.press("Escape")
        await expect(one.get_by_label("Name of the preset")).to_have_count(0)
        await expect(one.get_by_role("button", name="Stop")).to_be_visible()
        await one.keyboard.press("Escape")
        await expect(one.get_by_role("button", name="Send")).to_be_visible()

        # An answer whose tab was closed is marked as truncated.
        fake_backend.chat.delay = 0.05
        await one.get_by_role("button", name="New conversation").click()
        await start(one, "Go on")
        await expect(answers(one)).to_contain_text("world")
        await other.goto(one.url)
        await expect(answers(other)).to_contain_text("Being answered in another tab.")
        await one.close()
        await expect(answers(other)).to_contain_text("The page was closed before the answer was complete.")


async def test_typing_and_closing_a_column_during_an_answer_keep_focus_and_conversation(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.add_job("completed")
    async with open_page(studio.url, "/#/playground", clock=True) as page:
        message = page.get_by_label("Message")
        await message.fill("Hello?")
        send = page.get_by_role("button", name="Send")
        await expect(send).to_be_enabled()
        # Twice, as an impatient hand does: the second click meets Stop in the place of Send. It comes half a
        # second later at most, and so in no time by the page's clock, however slow this machine is.
        await set_pace(page, 0)
        await send.dblclick()
        await set_pace(page, 1)
        await expect(answers(page)).to_contain_text("Hello, world")
        await page.keyboard.type("can you now")
        await expect(message).to_have_value("can you now")
        await expect(page.locator(".chat-foot")).not_to_contain_text("Stopped")
        await expect(page.locator(".pg-head")).to_have_count(1)

        # Where a button disappears the focus returns to the message.
        await page.get_by_role("button", name="New conversation").click()
        fake_backend.chat.turns = turns = asyncio.Semaphore(0)
        await message.fill("Hello?")
        await send.click()
        await page.get_by_role("button", name="Stop").hover()
        await page.mouse.down()  # and the answer ends before the press does
        for _ in fake_backend.chat.chunks:
            turns.release()
        await expect(send).to_be_disabled()
        await page.mouse.up()
        await page.keyboard.type("can")
        await expect(message).to_have_value("can")
        await message.fill("")
        await expect(send).to_be_disabled()
        await page.mouse.down()  # on Send, which does nothing without a message
        await page.mouse.up()
        await page.keyboard.type("can you now")
        await expect(message).to_have_value("can you now")
        await expect(page.locator(".pg-head")).to_have_count(1)

        # Closing a column ends its answer.
        fake_backend.chat.turns = None
        fake_backend.chat.endless = True
        fake_backend.chat.delay = 0.02
        fake_backend.chat.left_at = None
        await page.get_by_role("button", name="New conversation").click()
        await page.get_by_role("button", name="Compare").click()
        await start(page, "Go on")
        await expect(answers(page).nth(1)).to_contain_text("world")
        await page.get_by_role("button", name="Close the left column").click()
        await fake_backend.until(lambda: fake_backend.chat.left_at is not None)
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("button", name="Send")).to_be_visible()


async def test_settings_survive_a_reload_and_paragraphs_have_their_direction(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.add_job("completed")
    fake_backend.chat.chunks = ["Here it is:\n\n\u05e9\u05dc\u05d5\u05dd in Studio.\n\n- \u05d0\n- \u05d1\n"]
    async with open_page(studio.url, "/#/playground") as page:
        await page.get_by_label("System prompt").fill("Be brief.")
        await page.get_by_text("Steady", exact=True).click()
        await page.reload()
        await expect(page.get_by_label("System prompt")).to_have_value("Be brief.")
        await expect(page.get_by_label("Max tokens")).to_have_value("256")

        await ask(page, "\u05e9\u05dc\u05d5\u05dd")
        direction = "(nodes) => nodes.map((node) => getComputedStyle(node).direction)"
        shown = page.locator(".md > *")
        await expect(shown).to_have_count(3)
        assert await shown.evaluate_all(direction) == ["ltr", "rtl", "rtl"]
        await page.get_by_label("Message").fill("\u05e9\u05dc\u05d5\u05dd")
        assert await page.get_by_label("Message").evaluate_all(direction) == ["rtl"]

        # A job that is unknown is named.
        await page.goto(f"{studio.url}/#/playground?job=nope")
        await page.get_by_label("Message").fill("Hello?")
        await expect(page.locator(".pg-composer")).to_contain_text("Job not found")
        await expect(page.get_by_role("button", name="Send")).to_be_disabled()
