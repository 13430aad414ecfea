"""Endpoints: made, changed, opened to callers by keys that are shown once, and deleted by name."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from .steps import at_rest, hurried
from .talk import start

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page

    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

    from .conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def add_endpoint(fake_backend: FakeBackend, slug: str = "shop", **more: object) -> str:
    """An endpoint that exists; answers its id."""
    endpoint_id = fake_backend.new_id("dep")
    fake_backend.deployments[endpoint_id] = {
        "id": endpoint_id,
        "slug": slug,
        "orgId": "o",
        "projectId": "p",
        "target": {"kind": "base_model", "baseModel": "tiny"},
        "authMode": "fixed_api_key",
        "urlFormat": "openai_compat",
        "enabled": True,
        "customDomain": None,
        "createdAt": "2026-01-01T00:00:00Z",
        "updatedAt": "2026-01-01T00:00:00Z",
        **more,
    }
    fake_backend.keys[endpoint_id] = {}
    return endpoint_id


async def issue_key(page: Page) -> Locator:
    """Issues a key by keys alone; answers the field that shows it."""
    await page.get_by_label("Label of a new key").fill("web shop")
    await page.keyboard.press("Enter")
    shown = page.get_by_label("API key", exact=True)
    await expect(shown).to_be_visible()
    return shown


async def ask_again(page: Page) -> None:
    """What the page polls for is asked for at once, as when one comes back to its tab."""
    async with page.expect_response("**/api/deployments"):
        await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def add_key(fake_backend: FakeBackend, endpoint: str, label: str, **more: object) -> None:
    """A key that was issued before."""
    key_id = fake_backend.new_id("key")
    fake_backend.keys[endpoint][key_id] = {
        "id": key_id,
        "label": label,
        "prefix": "ak_1",
        "enabled": True,
        "createdAt": "2026-01-01T00:00:00Z",
        "lastUsedAt": None,
        **more,
    }


async def save(page: Page) -> None:
    """Save the one line that is being edited."""
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_role("button", name="Save", exact=True)).to_have_count(0)


async def test_an_endpoint_is_created_for_a_checkpoint_and_deleted_by_its_name(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    job = fake_backend.add_job("completed", name="Support Bot")
    fake_backend.emit(job, "checkpoint.saved", step=30)
    taken = add_endpoint(fake_backend, "taken")
    async with open_page(studio.url, "/#/endpoints", faulty="/api/deployments") as page:
        await page.get_by_role("button", name="New endpoint").click()
        address = page.get_by_role("textbox", name="Address")
        create = page.get_by_role("button", name="Create endpoint")
        await expect(address).to_have_value("support-bot")  # proposed once the jobs are known
        # A slug that is invalid or taken is reported at the field.
        for wrong, said in (
            ("-a", "No dash at either end."),
            ("A b", "Lower case only."),
            ("a", "At least 2"),
        ):
            await address.fill(wrong)
            await create.click()
            await expect(page.get_by_role("alert")).to_contain_text(said)
        assert fake_backend.count("POST /v1/endpoints") == 0
        await address.fill("taken")
        await create.click()
        await expect(page.get_by_role("alert")).to_have_text("This slug is taken.")
        await address.fill("support-bot")
        await page.get_by_label("Adapter of the job").select_option("30")
        await page.get_by_role("spinbutton", name="Days").fill("30")
        await create.click()
        await expect(page.get_by_role("heading", name="support-bot", level=1)).to_be_visible()
        await expect(page.get_by_text("https://support-bot.arkor.app/v1", exact=True)).to_be_visible()
        chat = page.get_by_text("https://support-bot.arkor.app/v1/chat/completions", exact=True)
        await expect(chat).to_be_visible()
        await page.get_by_role("main").get_by_role("link", name="Endpoints").click()
        await expect(page.get_by_role("link", name="support-bot")).to_be_visible()
        docs = page.get_by_role("link", name="How endpoints work")
        await expect(docs).to_have_attribute("href", "https://docs.arkor.ai/studio/endpoints")
        del fake_backend.deployments[taken]
        ((endpoint, made),) = fake_backend.deployments.items()
        assert made["target"] == {
            "kind": "adapter",
            "adapter": {"kind": "checkpoint", "jobId": job, "step": 30},
        }
        assert (made["runRetentionMode"], made["runRetentionDays"]) == ("days", 30)

        await page.get_by_role("link", name="support-bot").click()
        await page.get_by_role("button", name="Delete endpoint").click()
        question = page.get_by_role("dialog", name="Delete support-bot?")
        await question.get_by_role("textbox").fill("support-bo")
        await expect(question.get_by_role("button", name="Delete endpoint")).to_be_disabled()
        await page.keyboard.press("Enter")
        assert endpoint in fake_backend.deployments
        await question.get_by_role("textbox").fill("support-bot")
        await page.keyboard.press("Enter")
        await expect(page).to_have_url(re.compile(r"#/endpoints$"))
        await expect(page.get_by_role("heading", name="Endpoints", level=1)).to_be_focused()
        await expect(page.get_by_text("Give a model its own address")).to_be_visible()
    assert fake_backend.deployments == {}


async def test_each_property_of_an_endpoint_can_be_changed(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    job = fake_backend.add_job("completed", name="newer")
    endpoint = add_endpoint(fake_backend)
    held = fake_backend.deployments[endpoint]
    held |= {"engine": "auto", "answeredBy": None}
    async with open_page(studio.url, f"/#/endpoints?id={endpoint}") as page:
        await expect(page.get_by_text("Automatic: the first answer decides")).to_be_visible()
        await page.get_by_role("button", name="Change: answered by").click()
        await page.get_by_role("radio", name="llama.cpp").check()
        await save(page)
        assert held["engine"] == "llama.cpp"
        await page.get_by_role("switch").click()
        await expect(page.get_by_role("switch")).not_to_be_checked()
        await fake_backend.until(lambda: held["enabled"] is False)
        await page.get_by_role("button", name="Change: serves").click()
        await page.get_by_role("button", name=re.compile("^Serves: ")).click()
        await page.keyboard.type("newer completed")
        await expect(page.get_by_role("option", name="newer")).to_have_count(2)  # what was typed, and the job
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("Enter")
        await save(page)
        assert held["target"] == {"kind": "adapter", "adapter": {"kind": "final", "jobId": job}}
        await page.get_by_role("button", name="Change: access").click()
        await page.get_by_role("radio", name="Open to all").check()
        await save(page)
        assert held["authMode"] == "none"
        await page.get_by_role("button", name="Change: chats kept").click()
        await page.get_by_role("radio", name="Not at all").check()
        await save(page)
        assert held["runRetentionMode"] == "disabled"
        await expect(page.get_by_text("keys are not checked")).to_be_visible()


async def test_a_new_key_is_shown_once_and_leaving_is_guarded(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    endpoint = add_endpoint(fake_backend)
    here = f"/#/endpoints?id={endpoint}"
    async with open_page(studio.url, here) as page:
        await expect(page.get_by_text("No API keys yet")).to_be_visible()
        await page.get_by_label("Label of a new key").fill("  web shop ")
        await page.get_by_role("button", name="Issue key").click()
        shown = page.get_by_label("API key", exact=True)
        await expect(shown).to_have_value(re.compile("^ak_1secret"))
        plaintext = await shown.input_value()

        question = page.get_by_role("dialog", name="Leave without the key?")
        await page.evaluate("location.hash = '#/jobs'")
        await question.get_by_role("button", name="Back").click()
        await expect(page).to_have_url(studio.url + here)
        await expect(shown).to_have_value(plaintext)
        await page.keyboard.press("Escape")
        await question.get_by_role("button", name="Back").click()
        await expect(shown).to_be_visible()

        # Whoever has stored it may go at once, before the next frame is drawn.
        stored = page.get_by_role("button", name="I have stored it")
        await stored.evaluate("(button) => { button.click(); location.hash = '#/jobs'; }")
        await expect(page.get_by_role("heading", name="Jobs", level=1)).to_be_visible()
        assert plaintext not in await page.content()
        await page.evaluate(f"location.hash = '{here.removeprefix('/')}'")

        await page.get_by_role("button", name="Revoke web shop").click()
        await page.get_by_role("button", name="Revoke key").click()
        await expect(page.get_by_role("row", name="web shop")).to_contain_text("Revoked", timeout=2000)
    assert [key["enabled"] for key in fake_backend.keys[endpoint].values()] == [False]


async def test_the_endpoint_list_is_refreshed_or_says_why_it_is_not(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    async with open_page(studio.url, "/#/endpoints", faulty="/api/deployments", clock=True) as page:
        await expect(page.get_by_text("Give a model its own address")).to_be_visible()
        async with hurried(page, studio):
            add_endpoint(fake_backend, "made-elsewhere")
            await expect(page.get_by_role("link", name="made-elsewhere")).to_be_visible()
            fake_backend.fault("GET /v1/endpoints", status=500, body=b'{"error": "Out of order."}')
            await expect(page.get_by_role("alert")).to_contain_text("Out of order.")
        await expect(page.get_by_role("link", name="made-elsewhere")).to_be_visible()

        fake_backend.heal()
        fake_backend.fault("GET /v1/endpoints", status=404, body=b'{"error": "No such thing here."}')
        await page.reload()
        await expect(page.get_by_text("This backend has no endpoints")).to_be_visible()
        await expect(page.get_by_role("alert")).to_have_count(0)
        await expect(page.get_by_role("button", name="New endpoint")).to_have_count(0)


async def test_escape_and_a_failed_refresh_do_not_close_a_new_key(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    endpoint = add_endpoint(fake_backend)
    made = asyncio.Event()
    async with open_page(studio.url, f"/#/endpoints?id={endpoint}") as page:
        shown = await issue_key(page)
        fake_backend.fault("GET /v1/endpoints", times=1, status=404, body=b'{"error": "Just now."}')
        await ask_again(page)
        await expect(page.get_by_role("alert", include_hidden=True)).to_contain_text("may be out of date")
        await expect(shown).to_be_visible()
        await ask_again(page)
        await expect(page.get_by_role("alert", include_hidden=True)).to_have_count(0)
        question = page.get_by_role("dialog", name="Leave without the key?")
        # From the second in a row on, Chromium closes a dialog whatever it says.
        for _ in range(9):
            await page.keyboard.press("Escape")
            await page.evaluate("new Promise(requestAnimationFrame)")
            await expect(shown).to_be_visible()
        if await at_rest(question.is_hidden):
            await page.keyboard.press("Escape")
        await question.get_by_role("button", name="Back").click()
        await page.get_by_role("button", name="I have stored it").click()
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await expect(page.get_by_label("Label of a new key")).to_be_focused()
        fake_backend.fault("POST /v1/endpoints/{id}/keys", times=1, until=made)
        await page.get_by_label("Label of a new key").fill("web shop")
        await page.keyboard.press("Enter")
        await page.get_by_role("link", name="Jobs").click()
        await expect(question).to_be_visible()
        made.set()
        await expect(page.get_by_label("API key", exact=True)).to_be_visible()
        await expect(question).to_have_count(0)
        await page.get_by_role("button", name="I have stored it").click()
        await page.get_by_role("link", name="Jobs").click()
        await expect(page.get_by_role("heading", name="Jobs", level=1)).to_be_visible()


async def test_selecting_an_endpoint_scrolls_to_its_top(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    for index in range(40):
        add_endpoint(fake_backend, f"many-{index:02}")
    async with open_page(studio.url, "/#/endpoints") as page:
        name = page.get_by_role("heading", level=1)
        link = page.get_by_role("link", name="many-").last
        await link.scroll_into_view_if_needed()
        await page.wait_for_function("() => history.state?.y > 0")
        there = await page.evaluate("scrollY")
        await link.press("Enter")
        await expect(name).to_have_text(re.compile("^many-"))
        await expect(name).to_be_focused()
        await expect(name).to_be_in_viewport()
        await page.wait_for_function("() => scrollY === 0")
        await page.go_back()
        await page.wait_for_function(f"() => scrollY === {there}")
        await expect(name).to_have_text("Endpoints")
        await expect(name).to_be_focused()
        await page.keyboard.press("n")
        await expect(name).to_have_text("New endpoint")
        await expect(name).to_be_focused()
        await page.wait_for_function("() => scrollY === 0")


async def test_a_new_endpoint_keeps_its_proposed_target(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    job = fake_backend.add_job("completed", name="Müller's résumé bot", createdAt="2026-01-02T00:00:00Z")
    async with open_page(studio.url, "/#/endpoints?new=1", clock=True) as page:
        address = page.get_by_role("textbox", name="Address")
        await expect(address).to_have_value("muller-s-resume-bot")
        fake_backend.add_job("completed", name="newer", createdAt="2026-01-03T00:00:00Z")
        await page.get_by_role("button", name=re.compile("^Serves: ")).click()
        async with hurried(page, studio):
            await expect(page.get_by_role("option", name="newer")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(address).to_have_value("muller-s-resume-bot")
        # Impatience makes one endpoint all the same.
        answered = asyncio.Event()
        fake_backend.fault("POST /v1/endpoints", times=1, until=answered)
        await address.press("Enter")
        await address.press("Enter")
        answered.set()
        await expect(page.get_by_role("heading", name="muller-s-resume-bot", level=1)).to_be_visible()
    (made,) = fake_backend.deployments.values()
    assert made["target"]["adapter"] == {"kind": "final", "jobId": job}
    assert fake_backend.count("POST /v1/endpoints") == 1


async def test_focus_stays_with_the_action(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    off, endpoint = add_endpoint(fake_backend, "off"), add_endpoint(fake_backend)
    add_key(fake_backend, off, "leaked", enabled=False)
    add_key(fake_backend, endpoint, "old")
    add_key(fake_backend, endpoint, "new")
    async with open_page(studio.url, f"/#/endpoints?id={endpoint}") as page:
        for fact, first in (
            ("serves", page.get_by_role("button", name=re.compile("^Serves: "))),
            ("access", page.get_by_role("radio", name="API key")),
            ("chats kept", page.get_by_role("radio", name="For days")),
        ):
            change = page.get_by_role("button", name=f"Change: {fact}")
            for end in ("Cancel", "Save"):
                await change.press("Enter")
                await expect(first).to_be_focused()
                await page.get_by_role("button", name=end, exact=True).press("Enter")
                await expect(change).to_be_focused()

        switch = page.get_by_role("switch")
        answered = asyncio.Event()
        fake_backend.fault("PATCH /v1/endpoints/{id}", times=1, until=answered)
        await switch.press("Space")
        await expect(switch).to_have_attribute("aria-disabled", "true")
        await page.keyboard.press("Space")
        answered.set()
        await expect(switch).not_to_have_attribute("aria-disabled", "true")
        await expect(switch).not_to_be_checked()
        await expect(switch).to_be_focused()

        for label, then in (
            ("old", page.get_by_role("button", name="Revoke new")),
            ("new", page.get_by_role("heading", name="API keys")),
        ):
            await page.get_by_role("button", name=f"Revoke {label}").press("Enter")
            await page.get_by_role("button", name="Revoke key").press("Enter")
            await expect(then).to_be_focused()
        # What is off cannot be revoked again.
        await page.goto(f"{studio.url}/#/endpoints?id={off}")
        row = page.get_by_role("row", name="leaked")
        await expect(row).to_contain_text("Revoked")
        await expect(row.get_by_role("button")).to_have_count(0)


async def test_a_refused_change_keeps_its_form_open(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    endpoint = add_endpoint(fake_backend, "shop")
    fake_backend.fault("DELETE /v1/endpoints/{id}", status=500)
    fake_backend.fault(
        "PATCH /v1/endpoints/{id}", status=409, body=b'{"error": "This adapter is being deleted."}'
    )
    async with open_page(studio.url, "/#/endpoints?new=1", faulty=True) as page:
        radio = await at_rest(page.get_by_role("radio", name="For days").bounding_box)
        days = await page.get_by_role("spinbutton", name="Days").bounding_box()
        assert radio
        assert days
        assert abs(radio["y"] + radio["height"] / 2 - days["y"] - days["height"] / 2) < 2

        await page.goto(f"{studio.url}/#/endpoints?id={endpoint}")
        await page.get_by_role("button", name="Delete endpoint").click()
        field = page.get_by_role("dialog").get_by_role("textbox")
        await field.fill("shop")
        await field.press("Enter")
        note = await at_rest(page.get_by_role("alert").bounding_box)
        above = await field.bounding_box()
        assert note
        assert above
        assert note["y"] - above["y"] - above["height"] > 8
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await page.get_by_role("button", name="Change: access").click()
        await page.get_by_role("radio", name="Open to all").check()
        await page.get_by_role("button", name="Save", exact=True).click()
        refused = page.get_by_role("alert").filter(has_text="This adapter is being deleted.")
        await expect(refused).to_be_visible()
        await expect(page.get_by_role("radio", name="Open to all")).to_be_checked()


ASKED = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Ahoy"},
    {"role": "user", "content": "Where is my parcel?"},
]


def add_request(fake_backend: FakeBackend, endpoint: str, **more: object) -> None:
    """A request that somebody has sent to the endpoint, with its text."""
    fake_backend.features = ["endpoints", "serving"]
    log = fake_backend.serving.log.setdefault(endpoint, [])
    figures = {"status": 200, "key": "ak-1234567", "promptTokens": 41, "completionTokens": 7, "seconds": 1.84}
    usual = {"call": "chat/completions", "stream": False, "firstTokenSeconds": 0.2, **figures}
    said = {"messages": ASKED, "answers": ["In the attic."]}
    log.insert(0, {"id": str(len(log) + 1), "at": "2026-01-01T00:00:00Z", **usual, **said, **more})


async def test_requests_are_listed_with_older_ones_on_demand_and_open_in_the_playground(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    endpoint = add_endpoint(fake_backend, runRetentionMode="unlimited")
    textless = add_endpoint(fake_backend, "textless", runRetentionMode="disabled")
    add_request(fake_backend, textless)
    target = {"kind": "adapter", "adapter": {"kind": "final", "jobId": "job_gone"}}
    broken = add_endpoint(fake_backend, "broken", target=target)
    fake_backend.serving.trouble["job_gone"] = "The job keeper has no final adapter."
    for number in range(60):
        add_request(fake_backend, endpoint, promptTokens=1000 + number)
    add_request(fake_backend, endpoint, status=401, key=None, error="The key is wrong", answers=[])
    kept = add_endpoint(fake_backend, "kept", runRetentionMode="days", runRetentionDays=7)
    add_request(fake_backend, kept)
    silent = add_endpoint(fake_backend, "silent", authMode="none")
    fake_backend.serving.totals = {"errors": 1, "tokensPerSecond": 51.8, "medianSeconds": 1.84}
    async with open_page(studio.url, f"/#/endpoints?id={endpoint}") as page:
        table = page.get_by_role("region", name="Requests").get_by_role("table")
        await expect(table.get_by_role("row")).to_have_count(51)
        await expect(table.get_by_role("row").nth(1)).to_contain_text("Wrong key")
        await expect(table.get_by_role("row").nth(1)).to_contain_text("The key is wrong")
        for figure in ("61", "51.8", "1.8 s"):
            await expect(page.locator(".ep-totals").get_by_text(figure, exact=True)).to_be_visible()
        await page.get_by_role("button", name="Show older requests").click()
        await expect(table.get_by_role("row")).to_have_count(62)
        await expect(table.get_by_role("row").last).to_contain_text("1,000")
        await expect(page.get_by_role("button", name="Show older requests")).to_have_count(0)
        # A text that is not kept is not offered.
        await page.goto(f"{studio.url}/#/endpoints?id={textless}")
        await expect(page.get_by_text("Answered")).to_have_count(1)
        await expect(page.get_by_role("button", name="Show the text")).to_have_count(0)
        await page.goto(f"{studio.url}/#/endpoints/{broken}")
        alert = page.get_by_role("alert").filter(has_text="This endpoint can't answer")
        await expect(alert).to_contain_text("The job keeper has no final adapter.")
        fake_backend.serving.trouble.clear()
        await ask_again(page)
        await expect(alert).to_have_count(0)

        await page.goto(f"{studio.url}/#/endpoints?id={kept}")
        await page.get_by_role("button", name="Show the text").click()
        await expect(page.get_by_role("region", name="Answer")).to_contain_text("In the attic.")
        await page.get_by_role("button", name="Open in the playground").click()
        await expect(page.get_by_text("In the attic.")).to_be_visible()
        await start(page, "Which attic?")
        await expect(page.get_by_text("Hello, world")).to_be_visible()
        # It is a conversation like any other, and outlives a reload.
        await page.reload()
        await expect(page.get_by_text("In the attic.")).to_be_visible()
        asked = fake_backend.last("POST /v1/inference/chat").json()
        assert asked["messages"] == [
            *ASKED,
            {"role": "assistant", "content": "In the attic."},
            {"role": "user", "content": "Which attic?"},
        ]
        assert asked["baseModel"] == "tiny"

        # A local endpoint has Studio's address: here by the one that `arkor dev` gives its page.
        fake_backend.serving.totals = {}
        await page.goto(f"{studio.url}/#/endpoints/{silent}")
        await expect(page.get_by_text(f"{studio.url}/e/silent/v1", exact=True)).to_be_visible()
        code = page.get_by_role("region", name="Code")
        await expect(code).to_contain_text(f"{studio.url}/e/silent/v1/chat")
        await expect(page.get_by_text("Nobody has called this endpoint yet.")).to_be_visible()
        await expect(page.locator(".ep-open")).to_have_text("Open to all")
        await page.get_by_role("button", name="Change: access").click()
        await expect(page.get_by_text("Every program on this machine can call it.")).to_be_visible()


async def test_a_logged_answer_is_corrected_and_traced(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    endpoint = add_endpoint(fake_backend, runRetentionMode="unlimited")
    add_request(fake_backend, endpoint)
    adapter = {"kind": "adapter", "adapter": {"kind": "final", "jobId": fake_backend.add_job()}}
    trained = add_endpoint(fake_backend, "trained", runRetentionMode="unlimited", target=adapter)
    add_request(fake_backend, trained)
    fake_backend.features = ["endpoints", "serving", "attribution"]
    fake_backend.attributions.told |= {
        "adapter": {"logp": -9.0, "tokens": 10},
        "base": {"logp": -8.0, "tokens": 10},
    }
    file = studio.settings.project / "data" / "corrections.jsonl"
    async with open_page(studio.url, f"/#/endpoints?id={endpoint}") as page:
        await page.get_by_role("button", name="Show the text").click()
        await page.get_by_role("button", name="Correct and add to the data").click()
        field = page.get_by_role("textbox", name="The corrected answer")
        await expect(field).to_have_value("In the attic.")
        add = page.get_by_role("button", name="Add to the data", exact=True)
        await expect(add).to_be_disabled()
        await field.fill("At the post office.")
        await add.click()
        await expect(page.get_by_text("Line 1 of data/corrections.jsonl.")).to_be_visible()
        row = json.loads(file.read_text())
        assert row["messages"] == [*ASKED, {"role": "assistant", "content": "At the post office."}]
        assert row["corrected"]["instead"] == "In the attic."
        assert row["corrected"]["by"] == "endpoint shop"
        await page.get_by_role("button", name="Undo").click()
        await expect(page.get_by_text("Line 1 of data/corrections.jsonl.")).to_have_count(0)
        await fake_backend.until(lambda: not file.exists())
        rated = studio.settings.project / "data" / "ratings.jsonl"
        bad = page.get_by_role("button", name="Bad answer")
        await bad.click()
        await expect(bad).to_have_attribute("aria-pressed", "true")
        row = json.loads(rated.read_text())
        assert (row["prompt"], row["completion"], row["label"]) == (ASKED, "In the attic.", False)
        await bad.click()
        await expect(bad).to_have_attribute("aria-pressed", "false")
        assert rated.read_text() == ""
        await page.goto(f"{studio.url}/#/endpoints?id={trained}")
        await page.get_by_role("button", name="Show the text").click()
        await page.get_by_role("button", name="Why this answer to: Where is my parcel?").click()
        shown = page.get_by_role("region", name="Why this answer")
        await expect(shown.get_by_text("The base model says this too.")).to_be_visible()
        await expect(shown.get_by_role("list")).to_have_count(0)
    asked = fake_backend.last("POST /v1/jobs/{id}/attributions").json()
    assert asked == {"messages": ASKED, "answer": "In the attic."}
