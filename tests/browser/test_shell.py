"""The frame around every page: pages by link, key and palette; theme; what it says when somebody is away."""

from __future__ import annotations

import re
import socket
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from arkor_dev.project.start_requests import PendingStart, folder_of
from arkor_dev.server.serve import bind, serving
from tests.support.waiting import until

from .steps import hurried
from .test_home import declare

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.async_api import Route

    from arkor_dev.core.settings import Settings
    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

    from .conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]
POLL = 60_000


@contextmanager
def kept_port() -> Iterator[int]:
    """A port of 127.0.0.1 that nobody else gets while no Studio listens there."""
    with socket.socket() as place:
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        place.bind(("127.0.0.1", 0))
        yield place.getsockname()[1]


async def test_the_bar_the_shortcuts_and_the_palette_lead_to_pages_and_jobs(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.add_job("completed", name="needle in the hay")
    for index in range(30):
        fake_backend.add_job("completed", name=f"hay {index}")
    async with open_page(studio.url) as page:
        await expect(page.get_by_role("banner")).to_contain_text(
            re.compile(r"anonymous · anon-org / demo · 127\.0\.0\.1:\d+ · to sign in: arkor-dev login")
        )
        for name in ("Jobs", "Playground", "Endpoints", "Home"):
            link = page.get_by_role("navigation", name="Pages").get_by_role("link", name=name)
            await link.click()
            await expect(link).to_have_attribute("aria-current", "page")
            # A screen reader starts reading at the page's name.
            await expect(page.locator("main h1").first).to_be_focused()
        await page.goto(f"{studio.url}/#/nothing")
        await expect(page.get_by_text("There is no page at this address.")).to_be_visible()

        await page.goto(f"{studio.url}/#/jobs")
        await expect(page.get_by_role("link", name="needle in the hay")).to_be_attached()
        await page.keyboard.press("Control+k")
        await page.keyboard.type("needle")
        await expect(page.get_by_role("option").first).to_contain_text("needle in the hay")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="needle in the hay")).to_be_visible()

        # Shortcuts can be listed and disabled.
        await page.goto(f"{studio.url}/#/")
        await expect(page.locator("main h1").first).to_be_attached()
        await page.keyboard.type("gj")
        await expect(page.get_by_role("heading", name="Jobs", level=1)).to_be_visible()
        await page.keyboard.press("?")
        sheet = page.get_by_role("dialog", name="Keyboard shortcuts")
        await expect(sheet.get_by_text("Search jobs")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(sheet).to_have_count(0)
        await page.keyboard.press("/")
        await expect(page.get_by_role("searchbox")).to_be_focused()
        await page.keyboard.type("g h")
        await expect(page.get_by_role("heading", name="Jobs", level=1)).to_be_visible()
        await page.locator("main h1").first.focus()
        await page.keyboard.press("?")
        await page.get_by_role("switch", name="Single-key shortcuts").uncheck()
        await page.reload()
        await expect(page.locator("main h1").first).to_be_attached()
        await page.keyboard.press("?")
        await page.keyboard.press("Control+k")
        await expect(page.get_by_role("dialog")).to_have_count(1)
        await expect(page.get_by_role("dialog", name="Jump to")).to_be_visible()


async def test_the_palette_finds_help_settings_and_what_can_be_done(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    declare(studio.settings.project)
    fake_backend.features = [*(fake_backend.features or []), "datasets", "exports", "sweeps"]
    fake_backend.finish(fake_backend.add_job(name="first"))
    async with open_page(studio.url, "/#/jobs") as page:
        await page.keyboard.press("Control+k")
        typed = page.get_by_role("combobox")
        for words, found in (
            ("learning rate", "Setting: Learning rate"),
            ("sweep", "Search for better settings (sweep)"),
            ("make rows", "Make rows with a teacher"),
            ("export", "Export the last completed job"),
        ):
            await typed.fill(words)
            await expect(page.get_by_role("option", name=found, exact=True)).to_be_visible()
        await page.keyboard.press("Escape")
        await page.keyboard.press("Control+k")
        await page.keyboard.type("gradient norm")
        await page.keyboard.press("Enter")
        await expect(page.get_by_label("Max gradient norm")).to_be_focused()
        await page.keyboard.press("Control+k")
        await page.keyboard.type("help")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=1, name="Start")).to_be_visible()
        await page.get_by_role("article").get_by_role("link", name="Read your result").first.click()
        await expect(page.get_by_role("heading", level=1, name="Read your result")).to_be_visible()


async def test_the_theme_is_applied_before_the_first_paint(studio: Studio, open_page: OpenPage) -> None:
    async with open_page(studio.url) as page:
        await page.get_by_role("button", name="Theme").click()
        await page.get_by_role("menuitemradio", name="Dark").click()
        await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        # Without the page's module there is only what came before it.
        await page.route(
            "**/index-*.js", lambda route: route.fulfill(body="", content_type="text/javascript")
        )
        await page.reload()
        await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        dark = await page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        await page.evaluate("document.documentElement.removeAttribute('data-theme')")
        assert await page.evaluate("getComputedStyle(document.documentElement).backgroundColor") != dark


async def test_an_unreachable_backend_keeps_the_last_data(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.add_job("completed", name="still here")
    async with open_page(studio.url, "/#/jobs", faulty=True, clock=True) as page:
        row = page.get_by_role("link", name="still here")
        await expect(row).to_be_visible()
        await fake_backend.stop()
        note = page.get_by_text("The backend is not answering.")
        async with hurried(page, studio):
            await expect(note).to_be_visible(timeout=POLL)
        # What is wrong, since when, and what is being tried.
        await expect(page.locator(".shell-note")).to_contain_text(
            re.compile(r"127\.0\.0\.1.*What you see is from \d+ (s|min) ago\. Retrying every 5 s\.")
        )
        await expect(row).to_be_visible()
        await fake_backend.restart()
        async with hurried(page, studio):
            await expect(note).to_have_count(0, timeout=POLL)


async def test_the_identity_is_fetched_once_the_backend_is_back(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    async with open_page(studio.url, None, faulty=True, clock=True) as page:
        away = {"status": 502, "json": {"error": "The backend does not answer."}}
        # As when the backend was away while the page was loaded.
        for path in ("**/api/credentials", "**/api/jobs"):
            await page.route(path, lambda route: route.fulfill(**away))
        await page.goto(studio.url)
        await expect(page.get_by_role("banner")).to_contain_text("Sign-in unknown")
        await page.unroute_all()
        async with hurried(page, studio):
            await expect(page.get_by_role("banner")).to_contain_text("anon-org", timeout=POLL)


async def test_a_deprecation_notice_is_shown_until_dismissed(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.headers = {"Sunset": "Mon, 01 Mar 2027 12:00:00 GMT", "Warning": '299 - "Use <b>v2</b>"'}
    async with open_page(studio.url, "/#/jobs", clock=True) as page:
        note = page.locator(".shell-note")
        await expect(note).to_contain_text("Use <b>v2</b>. It ends on 1 Mar 2027.")
        await expect(note).to_contain_text("arkor-dev doctor says how to upgrade")
        await note.get_by_role("button", name="Dismiss").click()
        await expect(note).to_have_count(0)
        await expect(page.get_by_role("heading", name="Jobs", level=1)).to_be_focused()
        await page.reload()
        await expect(page.get_by_text("No job has run yet.")).to_be_visible()
        await expect(note).to_have_count(0)
        fake_backend.headers["Sunset"] = "soon"
        async with hurried(page, studio):
            await expect(note).to_contain_text("It ends on soon.", timeout=POLL)


async def test_a_brief_network_failure_is_not_shown(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.add_job("completed", name="here")
    async with open_page(studio.url, "/#/jobs", faulty=True, clock=True) as page:
        await page.get_by_role("checkbox", name="Select here").check()
        await page.evaluate("document.body.dataset.old = ''")
        cut: list[str] = []

        async def abort(route: Route) -> None:
            cut.append(route.request.url)
            await route.abort("internetdisconnected")

        await page.route("**/api/jobs", abort, times=1)
        async with hurried(page, studio):
            await until(lambda: cut, 60)
            async with page.expect_response("**/api/jobs"):
                pass
        # Longer, but it is the same launch that comes back.
        await page.context.set_offline(True)
        gone = page.get_by_text("Studio is not answering.").first
        async with hurried(page, studio):
            await expect(gone).to_be_visible(timeout=POLL)
        fake_backend.add_job("completed", name="from meanwhile")
        await page.context.set_offline(False)
        await expect(gone).to_have_count(0)
        # The daemon may answer with a list that is some seconds old: it is in the next one then.
        async with hurried(page, studio):
            await expect(page.get_by_role("link", name="from meanwhile")).to_be_visible(timeout=POLL)
        await expect(page.locator("body[data-old]")).to_have_count(1)
        await expect(page.get_by_role("checkbox", name="Select here")).to_be_checked()


async def test_an_expired_token_reloads_the_page(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.add_job("completed", name="alive")
    async with open_page(studio.url, "/#/jobs", faulty=True, clock=True) as page:
        await expect(page.get_by_role("link", name="alive")).to_be_visible()
        # As after a restart that no request fell into: the page has the token of another launch.
        await page.evaluate("document.body.dataset.old = ''")
        await page.route(
            "**/api/jobs",
            lambda route: route.fulfill(status=403, json={"error": "Missing or invalid studio token"}),
            times=1,
        )
        async with hurried(page, studio):
            await expect(page.locator("body[data-old]")).to_have_count(0, timeout=POLL)
            await expect(page.get_by_role("link", name="alive")).to_be_visible()


async def test_only_supported_pages_are_in_the_bar(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.fault("GET /v1/endpoints", status=404, body=b'{"error": "No such thing here."}')
    async with open_page(studio.url, None) as page:
        async with page.expect_response("**/api/deployments"):
            await page.goto(studio.url)
        pages = page.get_by_role("navigation", name="Pages")
        await expect(pages.get_by_role("link")).to_have_text(["Home", "Jobs", "Playground"])
        await page.keyboard.press("Control+k")
        await page.keyboard.type("go to")
        await expect(page.get_by_role("option", name="Go to Jobs")).to_be_visible()
        await expect(page.get_by_role("option", name="Go to Endpoints")).to_have_count(0)
        await page.keyboard.press("Escape")
        # A backend may name them, and then no list has to be asked for.
        named = b'{"features": ["endpoints", "pause"]}'
        fake_backend.fault("GET /v1/capabilities", status=200, body=named)
        await page.reload()
        await expect(pages.get_by_role("link")).to_have_text(["Home", "Jobs", "Playground", "Endpoints"])
        # The tab knows it from then on: no link that comes late.
        fake_backend.fault("GET /v1/jobs", hang=True)
        await page.reload()
        await expect(pages.get_by_role("link")).to_have_text(["Home", "Jobs", "Playground", "Endpoints"])


@pytest.mark.tabs
async def test_a_restarted_studio_reloads_every_tab(
    settings: Settings, signed_in: None, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.add_job("completed", name="from before")
    with kept_port() as port:
        origin = f"http://127.0.0.1:{port}"
        async with serving(replace(settings, port=port), bind(port)):
            opened = open_page(origin, "/#/jobs", faulty=True, clock=True)
            page = await opened.__aenter__()
            tabs = [page, await page.context.new_page()]
            await tabs[1].goto(f"{origin}/#/jobs")
            for tab in tabs:
                await expect(tab.get_by_role("link", name="from before")).to_be_visible()
        async with hurried(page):
            for tab in tabs:
                await expect(tab.get_by_text("Studio is not answering.").first).to_be_visible(timeout=POLL)
        fake_backend.add_job("completed", name="from after")
        async with serving(replace(settings, port=port, studio_token="another-launch"), bind(port)):
            # The old page's token is worth nothing now; only a new page can list this job.
            for tab in tabs:
                await expect(tab.get_by_role("link", name="from after")).to_be_visible(timeout=POLL)
            await opened.__aexit__(None, None, None)


async def test_a_requested_run_needs_a_persons_consent(studio: Studio, open_page: OpenPage) -> None:
    said = {
        "client": "Assistant", "name": "bot", "model": "tiny", "data": "data/chats.jsonl",
        "changes": [["learning_rate", "0.02"], ["reward_funcs", '["' + "long name " * 90 + 'end"]']],
        "dryRun": False,
    }  # fmt: skip
    with PendingStart(folder_of(studio.settings), said) as request:
        async with open_page(studio.url) as page:
            asked = page.get_by_role("alert").filter(has_text="Assistant wants to start training bot")
            await expect(asked).to_contain_text("learning_rate = 0.02")
            await expect(asked).to_contain_text('long name end"]')
            assert request.answer() is None
            await page.get_by_role("link", name="Playground").click()
            thread = await page.locator(".pg-top").bounding_box()
            note = await asked.bounding_box()
            assert thread is not None
            assert note is not None
            assert note["y"] + note["height"] <= thread["y"]  # what is allowed must not be covered
            await asked.get_by_role("button", name="Allow", exact=True).click()
            await expect(asked).to_have_count(0)
            assert request.answer() is True
