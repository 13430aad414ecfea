"""The playground: asking one model or two, stopping, branching, and what stays when something breaks."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from asyncio import create_subprocess_exec, subprocess
from functools import partial
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from arkor_dev.server.app_keys import JOBS

from .conftest import FIREFOX
from .steps import at_rest, lasting, soon
from .talk import CHAT, answers, ask, asked, put, send, start

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Page, Route

    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

    from .conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]
DRAWN = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))"


@pytest.mark.quick
@pytest.mark.smoke
async def test_the_newest_adapter_is_compared_with_its_base(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.add_job("completed", name="older", createdAt="2026-01-01T00:00:00Z")
    job = fake_backend.add_job("completed", name="newer", createdAt="2026-01-02T00:00:00Z")
    async with open_page(studio.url, "/#/playground") as page:
        await expect(page.get_by_role("button", name="newer, final adapter")).to_be_visible()
        await page.get_by_role("button", name="Compare").click()
        await page.get_by_text("Steady").click()
        await page.get_by_label("System prompt").fill("Be brief.")
        await ask(page, "Hello?")
        await expect(answers(page)).to_have_count(2)
        for index in (0, 1):
            await expect(answers(page).nth(index)).to_contain_text("Hello, world")
            await expect(page.locator(".pg-head").nth(index)).to_contain_text("to first token")
        await expect(page).to_have_url(re.compile(rf"target=base%3Atiny&against=final%3A{job}"))
    base, adapter = sorted(asked(fake_backend), key=lambda body: "adapter" in body)
    shared = {
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello?"}],
        "temperature": 0,
        "topP": 1,
        "maxTokens": 256,
        "stream": True,
    }
    assert base == {**shared, "baseModel": "tiny"}
    assert adapter == {**shared, "adapter": {"kind": "final", "jobId": job}}


async def test_an_answer_before_the_job_list_gets_its_jobs_name(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    job = fake_backend.add_job("completed", name="newer")
    known = asyncio.Event()

    async def held(route: Route) -> None:
        await known.wait()
        await route.continue_()

    fake_backend.chat.endless = True
    fake_backend.chat.delay = 0.02
    async with open_page(studio.url) as page:
        await page.route("**/api/jobs", held)
        await page.goto(f"{studio.url}/#/playground?target=final%3A{job}")
        await page.reload()
        await start(page, "Hello?")
        await expect(answers(page)).to_have_accessible_name(f"Answer of {job} · final adapter")
        known.set()
        await expect(page.get_by_role("button", name="newer, final adapter")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(answers(page)).to_have_accessible_name("Answer of newer · final adapter")


async def new_conversation(page: Page) -> None:
    """Begin anew on the page that is open."""
    await page.get_by_role("button", name="New conversation").click()
    await expect(answers(page)).to_have_count(0)


async def test_a_long_answer_is_stopped_followed_and_limited(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.add_job("completed")
    fake_backend.chat.endless = True
    fake_backend.chat.delay = 0.02
    end = "() => document.documentElement.scrollHeight - innerHeight - scrollY < 2"
    async with open_page(studio.url, "/#/playground") as page:
        await start(page, "Go on")
        await expect(answers(page)).to_contain_text("world")
        await expect(page.get_by_role("button", name="Send")).to_have_count(0)
        await page.keyboard.press("Escape")
        await fake_backend.until(lambda: fake_backend.chat.left_at is not None)
        await expect(page.locator(".chat-foot")).to_contain_text("Stopped")
        await expect(answers(page)).to_contain_text("Hello, world")
        # Regenerating adds a version.
        fake_backend.chat.endless = False
        await page.get_by_role("button", name="Regenerate").click()
        await expect(page.get_by_role("group", name="Version 2 of 2")).to_be_visible()
        await expect(page.locator(".chat-foot")).not_to_contain_text("Stopped")
        await page.get_by_role("button", name="Previous version").click()
        await expect(page.locator(".chat-foot")).to_contain_text("Stopped")

        # Scrolling up stops following the answer.
        await new_conversation(page)
        fake_backend.chat.chunks = ["A line of text.\n\n"]
        fake_backend.chat.endless = True
        await start(page, "Go on")
        await page.wait_for_function("() => document.documentElement.scrollHeight > innerHeight + 400")
        await page.wait_for_function(end)
        await page.mouse.move(400, 400)
        latest = page.get_by_role("button", name="To the latest")
        await page.mouse.wheel(0, -40)
        await expect(latest).to_be_visible()
        place = await at_rest(lambda: page.evaluate("scrollY"))
        height = await page.evaluate("document.documentElement.scrollHeight")
        await page.wait_for_function("(h) => document.documentElement.scrollHeight > h + 200", arg=height)
        assert await page.evaluate("scrollY") == place
        await latest.click()
        await page.wait_for_function(end)
        await page.keyboard.press("Escape")
        await expect(page.locator(".chat-foot")).to_contain_text("Stopped")

        # An endless answer is cut off, and the page stays responsive.
        await new_conversation(page)
        fake_backend.chat.chunks = ["lorem ipsum " * 5000]
        fake_backend.chat.delay = 0
        fake_backend.chat.left_at = None
        await ask(page, "Go on")
        await expect(page.locator(".chat-foot")).to_contain_text("Stopped at 1,000,000 characters")
        await page.get_by_label("Message").fill("still there")
        await expect(page.get_by_label("Message")).to_have_value("still there")
        await fake_backend.until(lambda: fake_backend.chat.left_at is not None)


async def test_composer_shortcuts_work_and_an_edited_question_is_a_branch(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    async with open_page(studio.url, "/#/playground") as page:
        # Without a job the backend's model answers.
        chosen = page.get_by_role("button", name="Answers: ")
        await expect(chosen).to_be_visible()
        await page.keyboard.press("/")
        await page.keyboard.type("one")
        await page.keyboard.press("Shift+Enter")
        await page.keyboard.type("two")
        await page.reload()
        await expect(page.get_by_label("Message")).to_have_value("one\ntwo")
        await expect(chosen).to_be_visible()
        await page.keyboard.press("/")
        await send(page)
        await expect(answers(page)).to_contain_text("Hello, world")
        (body,) = asked(fake_backend)
        assert body["baseModel"] == "unsloth/gemma-4-E4B-it"
        assert body["messages"] == [{"role": "user", "content": "one\ntwo"}]

        await new_conversation(page)
        await ask(page, "first")
        await ask(page, "second")
        await page.get_by_role("button", name="Edit and ask again").first.click()
        edited = page.get_by_label("Edit the question")
        await expect(edited).to_be_focused()  # the caret is put once, and no fill may come between
        await edited.fill("other")
        await page.keyboard.press("Enter")
        await expect(answers(page)).to_have_count(1)
        await expect(answers(page)).to_contain_text("world")
        assert [m["content"] for m in asked(fake_backend)[-1]["messages"]] == ["other"]
        await page.get_by_role("button", name="Previous version").click()
        await expect(page.locator(".chat-user")).to_have_text(["first", "second"])
        await ask(page, "third")
        words = [m["content"] for m in asked(fake_backend)[-1]["messages"]]
        assert words == ["first", "Hello, world", "second", "Hello, world", "third"]
        # A link of `arkor dev` to an adapter.
        await page.goto(f"{studio.url}/#/playground?adapter=j1")
        await expect(page).to_have_url(re.compile("/playground.target=final%3Aj1"))


@pytest.mark.chromium_only("a stock Firefox tells its driver of no download")
async def test_conversations_survive_a_reload_and_become_a_training_set(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage, tmp_path: Path
) -> None:
    fake_backend.add_job("completed")
    async with open_page(studio.url, "/#/playground") as page:
        await ask(page, "Are you there?")
        await page.get_by_role("button", name="New conversation").click()
        await expect(answers(page)).to_have_count(0)
        await ask(page, "And now?")
        await page.reload()
        await expect(page.locator(".chat-user")).to_have_text("And now?")
        await page.get_by_role("button", name="Are you there?").first.click()
        await expect(page.locator(".chat-user")).to_have_text("Are you there?")
        await page.get_by_role("button", name="Export").click()
        async with page.expect_download() as download:
            await page.get_by_role("menuitem", name="Export all as JSONL").click()
        file = tmp_path / "set.jsonl"
        await (await download.value).save_as(file)
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        assert {"role": "assistant", "content": "Hello, world"} in lines[0]["messages"]
        assert {line["messages"][0]["content"] for line in lines} == {"Are you there?", "And now?"}
        await page.get_by_role("button", name="Delete “And now?”").click()
        await page.get_by_role("button", name="Delete conversation").click()
        await expect(page.locator(".pg-chat")).to_have_count(1)
        await page.reload()
        await expect(page.locator(".pg-chat")).to_have_count(1)


async def test_chat_works_without_browser_storage(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.add_job("completed")
    async with open_page(studio.url) as page:
        await page.add_init_script("""
            const refuse = () => { throw new DOMException('no', 'SecurityError'); };
            IDBFactory.prototype.open = refuse;
            Object.defineProperty(window, 'localStorage', { get: refuse });
            Object.defineProperty(window, 'sessionStorage', { get: refuse });
        """)
        await page.goto(studio.url + "/#/playground")
        await page.reload()
        await ask(page, "Hello?")
        await expect(answers(page)).to_contain_text("Hello, world")
        await expect(page.get_by_text("will be gone after a reload")).to_be_visible()
        await page.get_by_text("Steady", exact=True).click()
        await ask(page, "And now?")
    assert [seen["temperature"] for seen in asked(fake_backend)] == [0.7, 0]


async def test_a_failed_truncated_or_empty_answer_is_explained_and_can_be_retried(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.add_job("completed")
    fake_backend.fault(CHAT, times=1, status=404, body=b'{"error": "This adapter was deleted."}')
    async with open_page(studio.url, "/#/playground", faulty="/api/inference/chat") as page:
        alert = page.get_by_role("alert")
        await ask(page, "Hello?")
        await expect(alert).to_contain_text("This adapter was deleted.")
        await page.get_by_role("button", name="Try again").click()
        await expect(answers(page)).to_contain_text("Hello, world")
        # A question that is too long is given back, and does not make the next one too long.
        fake_backend.fault(CHAT, times=1, status=400, body=b'{"error": "shorten it"}')
        await ask(page, "Far too long")
        await alert.get_by_role("button", name="Edit the question").click()
        await expect(page.get_by_role("textbox", name="Edit the question")).to_have_value("Far too long")
        await page.keyboard.press("Escape")
        await ask(page, "Short")
        await expect(answers(page).last).to_contain_text("Hello, world")
        sent = [message["content"] for message in asked(fake_backend)[-1]["messages"]]
        assert sent == ["Hello?", "Hello, world", "Short"]

        await new_conversation(page)
        fake_backend.chat.chunks = []
        await ask(page, "Hello?")
        await expect(answers(page)).to_contain_text("returned an empty answer")

        # A truncated stream keeps its text.
        await new_conversation(page)
        fake_backend.chat.chunks = [f"word{index} " for index in range(50)]
        fake_backend.fault(CHAT, times=1, cut_after=400)
        await ask(page, "Tell me")
        await expect(answers(page)).to_contain_text("word0 word1")
        await expect(answers(page)).not_to_contain_text("word49")
        await expect(alert).to_contain_text("The answer broke off here")
        fake_backend.chat.first_delay = 3600
        await alert.get_by_role("button", name="Regenerate").click()
        await expect(page.get_by_role("button", name="Stop")).to_be_visible()
        await page.reload()  # before the first token
        await expect(alert).to_contain_text("No answer came")
        await expect(alert).not_to_contain_text("kept")
        fake_backend.chat.first_delay = 0
        await alert.get_by_role("button", name="Try again").click()
        await expect(answers(page)).to_contain_text("word49")
        await expect(alert).to_have_count(0)


async def test_a_running_job_answers_from_its_checkpoints_each_of_which_can_be_asked_the_same(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    job = fake_backend.add_job("running", name="bot")
    async with open_page(studio.url, f"/#/playground?job={job}") as page:
        adapter = page.get_by_label("Adapter of the job")
        await expect(page.get_by_text("This job has saved no checkpoint yet")).to_be_visible()
        await page.get_by_label("Message").fill("Who are you?")
        await expect(page.get_by_role("button", name="Send")).to_be_disabled()
        fake_backend.emit(job, "checkpoint.saved", step=10)
        fake_backend.emit(job, "checkpoint.saved", step=20)
        await adapter.focus()
        await expect(adapter).to_have_value("20")
        await adapter.select_option("10")
        await ask(page, "Who are you?")
        assert asked(fake_backend)[-1]["adapter"] == {"kind": "checkpoint", "jobId": job, "step": 10}
        await page.reload()
        await expect(adapter).to_have_value("10")
        await adapter.select_option("20")
        await page.get_by_role("button", name="Ask bot · step 20 the same").click()
        await expect(page.get_by_role("group", name="Version 2 of 2")).to_be_visible()
        await expect(page.get_by_role("button", name="Send")).to_be_visible()
        assert asked(fake_backend)[-1]["adapter"] == {"kind": "checkpoint", "jobId": job, "step": 20}
        assert asked(fake_backend)[-1]["messages"] == [{"role": "user", "content": "Who are you?"}]
        await expect(page.get_by_role("button", name="the same")).to_have_count(0)
        # From the job's own page too, after a reload: the question is there, and nothing was sent yet.
        fake_backend.finish(job)
        await page.goto(f"{studio.url}/#/jobs/{job}")
        await page.reload()
        await page.get_by_role("link", name="Try Step 10").click()
        await expect(page.get_by_label("Message")).to_have_value("Who are you?")
        await expect(adapter).to_have_value("10")
        await expect(answers(page)).to_have_count(0)
        assert len(asked(fake_backend)) == 2
        await expect(page).not_to_have_url(re.compile("again"))


async def test_a_model_is_searched_or_typed(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    for index in range(200):
        fake_backend.add_job("completed", name=f"task x{index}x")
    async with open_page(studio.url, "/#/playground") as page:
        await page.get_by_role("button", name="Answers:").click()
        await page.keyboard.type("task x150x")
        await expect(page.get_by_role("listbox").get_by_role("option")).to_have_count(2)
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("button", name="Answers: task x150x, final adapter")).to_be_focused()
        await page.keyboard.press("Enter")
        await page.keyboard.type("my/own-model")
        await page.keyboard.press("Enter")
        await ask(page, "Hello?")
    assert asked(fake_backend)[-1]["baseModel"] == "my/own-model"


async def test_a_hostile_answer_is_text(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.add_job("completed", name="<img src=x onerror=alert(1)>")
    fake_backend.chat.chunks = [
        "<img src=x onerror=alert(1)> <script>alert(1)</script>\n\n",
        "![pixel](https://tracker.example/p.png) [js](javascript:alert(1)) [ok](https://example.com/)\n\n",
        "<div onclick=alert(1)>\nblock\n</div>\n\n",
        "\x1b]0;title\x07 \u202egnp.exe " + "x" * 3000 + "\n\n",
        "turned &#8238;cod.exe and hidden a&#x200B;b\n\n",
        ">" * 20_000 + "\n\n" + "[" * 20_000,
    ]
    async with open_page(studio.url, "/#/playground") as page:
        page.on("dialog", lambda dialog: pytest.fail(f"it ran: {dialog.message}"))
        await ask(page, "<b>Hello?</b>")
        await expect(answers(page)).to_contain_text("<img src=x onerror=alert(1)>")
        await expect(answers(page)).to_contain_text("gnp.exe")
        await expect(answers(page)).to_contain_text("turned cod.exe and hidden ab")
        assert await page.locator(".pg :is(img, script, iframe, [onclick], [onerror])").count() == 0
        links = await page.locator(".md a").evaluate_all("all => all.map(a => [a.href, a.rel, a.target])")
        outside = ["noopener noreferrer", "_blank"]
        assert links == [["https://tracker.example/p.png", *outside], ["https://example.com/", *outside]]
        for width in (1280, 390):
            await page.set_viewport_size({"width": width, "height": 900})
            await page.evaluate(DRAWN)
            assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


async def test_copied_python_runs_without_a_token(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.add_job("completed")
    permissions = ["clipboard-read", "clipboard-write"]
    async with open_page(studio.url, "/#/playground", permissions=permissions) as page:
        await page.get_by_label("System prompt").fill("Be brief.")
        await ask(page, 'It\'s "quoted" \\ text')
        # What is copied is what was asked, whatever is set by now.
        await page.get_by_label("System prompt").fill("Be long.")
        await put(page.get_by_label("Max tokens"), "9")
        copied = []
        for language in ("curl", "Python"):
            await page.get_by_role("button", name="More").click()
            await page.get_by_role("menuitem", name=f"Copy as {language}").click()
            await expect(page.get_by_role("status")).to_have_text("Copied")
            await expect(page.locator(".ui-said")).to_have_text("Copied")
            await soon(lambda: page.evaluate("navigator.clipboard.readText()"))
            copied.append(str(await page.evaluate("navigator.clipboard.readText()")))
            await page.evaluate("navigator.clipboard.writeText('')")
        curl, python = copied
        assert curl.startswith('ARKOR_STUDIO_TOKEN="$(cat ~/.arkor/studio-token)"')
        assert studio.token not in curl + python
        environment = {**os.environ, "ARKOR_STUDIO_TOKEN": studio.token}
        run = await create_subprocess_exec(
            sys.executable, "-c", python, env=environment, stdout=subprocess.PIPE
        )
        out, _ = await run.communicate()
        assert (run.returncode, out.decode()) == (0, "Hello, world\n")
    first, second = asked(fake_backend)
    assert first == second


async def test_checkpoints_are_offered_without_a_final_adapter(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.add_job("failed", name="no checkpoint", createdAt="2026-01-03T00:00:00Z")
    job = fake_backend.add_job("running", name="half way", createdAt="2026-01-02T00:00:00Z")
    for step in (10, 20):
        fake_backend.emit(job, "checkpoint.saved", step=step)
    async with open_page(studio.url, "/#/playground") as page:
        for status in ("running", "failed", "cancelled"):
            if status != "running":
                fake_backend.finish(job, status)
                studio.app[JOBS].refresh()
                # Anew: a model that was chosen stays while the page is open.
                await page.goto(f"{studio.url}/#/jobs")
                await page.reload()
                await expect(page.get_by_role("row", name="half way")).to_contain_text(status.title())
                await page.goto(f"{studio.url}/#/playground")
            await expect(page.get_by_role("button", name="Answers: half way, step 20")).to_be_visible()
            await expect(page.get_by_label("Adapter of the job")).to_have_value("20")
        await ask(page, "Hello?")
        assert asked(fake_backend)[-1]["adapter"] == {"kind": "checkpoint", "jobId": job, "step": 20}
        # The other way round: a base model is compared with the checkpoint too.
        await page.goto(f"{studio.url}/#/playground?target=base:tiny")
        await page.get_by_role("button", name="Compare").click()
        await expect(page.get_by_role("button", name="Right column: half way, step 20")).to_be_visible()


async def test_changed_settings_are_marked_on_the_closed_panel(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.add_job("completed")
    async with open_page(studio.url, "/#/playground") as page:
        changed = page.get_by_role("button", name="Changed settings:")
        await expect(page.get_by_role("button", name="Answers: job")).to_be_visible()
        await page.keyboard.press("s")
        await expect(page.get_by_label("System prompt")).to_have_count(0)
        await expect(changed).to_have_count(0)
        await page.keyboard.press("s")
        await page.get_by_label("System prompt").fill("Be brief.")
        await put(page.get_by_label("Max tokens"), "9")
        await page.get_by_role("slider", name="Temperature").fill("0")
        await page.get_by_role("button", name="Settings and conversations").click()
        await expect(changed).to_have_text("Temperature 0 · Max tokens 9 · System prompt “Be brief.”")
        await page.reload()
        await page.get_by_role("button", name="Settings and conversations").click()
        await expect(changed).to_contain_text("Temperature 0")
        await ask(page, "Hello?")
        assert asked(fake_backend)[-1]["maxTokens"] == 9
        await changed.click()
        await expect(page.get_by_label("System prompt")).to_have_value("Be brief.")
        # A new conversation starts from the defaults, and the old one keeps its own.
        await page.get_by_role("button", name="New conversation").click()
        await expect(page.get_by_label("System prompt")).to_have_value("")
        await expect(page.get_by_label("Max tokens")).to_have_value("512")
        await page.get_by_role("button", name="Hello?").first.click()
        await expect(page.get_by_label("Max tokens")).to_have_value("9")


@pytest.mark.smoke
async def test_a_number_field_explains_invalid_input(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.add_job("completed")
    async with open_page(studio.url, "/#/playground") as page:
        field = page.get_by_role("spinbutton", name="Temperature")
        note = page.locator("#pg-temperature-note")
        await put(field, "0.2")
        await expect(note).to_have_count(0)
        await put(field, "9")
        await expect(note).to_have_text("A number from 0 to 2.")
        await expect(field).to_have_attribute("aria-invalid", "true")
        await page.keyboard.press("Tab")
        await expect(field).to_have_value("2")
        await expect(note).to_have_text("9 is too high, so it is 2 now.")
        await field.focus()
        await page.keyboard.press("ControlOrMeta+a")
        await page.keyboard.type("warm")
        await page.keyboard.press("Tab")
        await expect(field).to_have_value("2")
        await expect(note).to_have_text("Not a number; 2 is kept.")
        tokens = page.get_by_role("spinbutton", name="Max tokens")
        await put(tokens, "99.5")
        await page.keyboard.press("Tab")
        await expect(tokens).to_have_value("100")
        await expect(page.locator("#pg-maxTokens-note")).to_have_text("Whole numbers only, so it is 100 now.")
        await put(field, "1")
        await expect(note).to_have_count(0)
        await ask(page, "Hello?")
    assert (asked(fake_backend)[-1]["temperature"], asked(fake_backend)[-1]["maxTokens"]) == (1, 100)


async def test_a_short_window_a_phone_and_a_tablet_have_their_layouts(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.add_job("completed", name="support-bot, cosine")
    async with open_page(studio.url, "/#/playground", width=640, height=408) as page:
        await expect(page.get_by_role("button", name="Answers: support-bot")).to_be_visible()
        await expect(page.locator(".pg-opener")).to_have_count(2)
        await page.evaluate("() => new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))")
        assert await page.evaluate("scrollY") == 0, "a short window begins at its top"
        # A phone's settings are a sheet.
        await page.set_viewport_size({"width": 390, "height": 800})
        await page.get_by_role("button", name="Settings and conversations").click()
        sheet = page.get_by_role("dialog", name="Settings and conversations")
        await put(sheet.get_by_label("Max tokens"), "7")
        await page.keyboard.press("Escape")
        await expect(sheet).to_have_count(0)
        await ask(page, "Hello?")
        await expect(page.get_by_role("button", name="Regenerate")).to_be_in_viewport(ratio=1)
        assert asked(fake_backend)[-1]["maxTokens"] == 7
        # The names of two models fit on a tablet.
        await page.set_viewport_size({"width": 1280, "height": 900})
        await page.get_by_role("button", name="Compare").click()
        await page.set_viewport_size({"width": 768, "height": 1024})
        names = page.locator(".chat-target .ellipsis")
        await expect(names).to_have_count(2)
        assert await names.evaluate_all("all => all.every((one) => one.scrollWidth <= one.clientWidth)")


WIDTHS = (360, 480, 720, 960, 1280)
"""The narrowest of each layout that the styles have, and a usual one."""
# What lies, with its end, outside of the window or of the panel that it belongs to.
OUTSIDE = """() => [...document.querySelectorAll('.pg *, dialog *')].flatMap((node) => {
    const box = node.getBoundingClientRect();
    const panel = node.closest('.pg-panel, .ui-dialog')?.getBoundingClientRect();
    if (box.width === 0 || node.closest('.visually-hidden, svg, select')) return [];
    const out = box.right > innerWidth + 1 || (panel && box.right > panel.right + 1);
    return out ? [`${node.className || node.tagName} to ${Math.round(box.right)}`] : [];
})"""


FITS = "(({ scrollWidth, clientWidth }) => scrollWidth === clientWidth)(document.querySelector('.pg-panel'))"


@pytest.mark.browser_settings(chromium={"minimumFontSize": 24}, firefox={"font.minimum-size.x-western": 24})
async def test_large_fonts_do_not_break_words(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.add_job("completed")
    async with open_page(studio.url, "/#/playground") as page:
        await expect(page.get_by_label("System prompt")).to_be_visible()
        await page.wait_for_function(FITS)
        for label in await page.locator(".pg-param label, .pg-preset-line button").all():
            box = await label.bounding_box()
            assert box
            assert box["height"] < 48, await label.inner_text()
        assert await lasting(lambda: page.evaluate(OUTSIDE)) == []


@pytest.mark.parametrize("touch", [False, True])
async def test_the_panel_fits_every_width(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage, touch: bool
) -> None:
    if touch and FIREFOX:
        pytest.skip("the driver of Firefox emulates no touch screen")
    fake_backend.add_job("completed", name="a rather long name of a job that goes on and on")
    screen = {"has_touch": True, "is_mobile": True} if touch else {}
    async with open_page(studio.url, "/#/playground", **screen) as page:
        await ask(page, "How do I return a parcel that came without a label? " + "x" * 90)
        await page.get_by_role("button", name="Save as preset").click()
        await page.get_by_label("Name of the preset").fill("W" * 40)
        await page.get_by_role("button", name="Save", exact=True).click()
        await put(page.get_by_role("spinbutton", name="Top-p"), "7")
        outside = partial(page.evaluate, OUTSIDE)
        for width in WIDTHS:
            await page.set_viewport_size({"width": width, "height": 800})
            # The panel becomes a sheet, or back, before it is looked for.
            if await at_rest(page.get_by_label("System prompt").count) == 0:
                assert await lasting(outside) == [], width
                await page.get_by_role("button", name="Settings and conversations").click()
            await expect(page.get_by_role("button", name="Delete “How do I")).to_be_attached()
            for inside in (".pg-panel", ".ui-dialog", ".pg-panel-sheet"):
                over = "all => all.map(each => each.scrollWidth - each.clientWidth)"
                assert await page.locator(inside).evaluate_all(over) in ([], [0]), (width, inside)
            assert await lasting(outside) == [], width
            assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
            if touch:
                box = await page.get_by_role("button", name="Delete “How do I").bounding_box()
                assert box
                assert min(box["width"], box["height"]) >= 24
            if await page.get_by_role("dialog").count():
                await page.keyboard.press("Escape")
                await expect(page.get_by_role("dialog")).to_have_count(0)
