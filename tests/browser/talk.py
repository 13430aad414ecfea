"""Asking in the playground: what the tests of conversations share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from playwright.async_api import expect

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page

    from tests.support.fake_backend import FakeBackend

CHAT = "POST /v1/inference/chat"


async def put(field: Locator, text: str) -> None:
    """Type a number in place of what stands there: in Firefox, Playwright's own ``fill`` adds to it."""
    await field.focus()
    await field.press("ControlOrMeta+a")
    await field.press_sequentially(text)


async def start(page: Page, text: str) -> None:
    """Ask, as soon as somebody is there to be asked."""
    await page.get_by_label("Message").fill(text)
    await send(page)


async def send(page: Page) -> None:
    """Send what is in the field that has the focus, as soon as somebody is there to be asked."""
    await expect(page.get_by_role("button", name="Send")).to_be_enabled()
    await page.keyboard.press("Enter")


async def ask(page: Page, text: str) -> None:
    """Ask, and wait for the answer's end."""
    await start(page, text)
    await expect(page.locator(".chat-user").last).to_have_text(text)
    await expect(page.get_by_role("button", name="Send")).to_be_visible()


def answers(page: Page) -> Locator:
    """The answers in sight, from the top and from the left."""
    return page.locator(".chat-answer")


def asked(fake_backend: FakeBackend) -> list[dict[str, Any]]:
    """The bodies of all chat calls."""
    return [seen.json() for seen in fake_backend.requests if seen.route == CHAT]
