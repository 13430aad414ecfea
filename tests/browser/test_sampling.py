"""All settings of an answer in the playground, and what an answer brings besides text."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import expect

from .steps import soon
from .talk import answers, ask, asked, put

if TYPE_CHECKING:
    from playwright.async_api import Locator

    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

    from .conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PLAIN = {"messages", "adapter", "temperature", "topP", "maxTokens", "stream"}
TOOLS = [{"type": "function", "function": {"name": "find_order"}}]


async def test_only_changed_settings_are_sent_and_stored(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.features = ["sampling"]
    fake_backend.add_job("completed", name="bot")
    async with open_page(studio.url, "/#/playground") as page:
        await ask(page, "Hello?")
        assert set(asked(fake_backend)[-1]) == PLAIN
        await page.get_by_role("button", name="More settings").click()
        await put(page.get_by_label("Top-k"), "40")
        await put(page.get_by_label("Repetition penalty"), "1.15")
        await put(page.get_by_label("Seed"), "1.5")
        await expect(page.get_by_text("A whole number from 0 on")).to_be_visible()
        await put(page.get_by_label("Seed"), "7")
        await page.get_by_label("Stop texts, one a line").fill("User:\n###")
        for another_feature in (
            page.get_by_label("Tools, a JSON list"),
            page.get_by_role("group", name="Answer form"),
        ):
            await expect(another_feature).to_have_count(0)
        await ask(page, "And now?")
        body = asked(fake_backend)[-1]
        more = {"topK": 40, "repetitionPenalty": 1.15, "seed": 7, "stop": ["User:", "###"]}
        assert {name: value for name, value in body.items() if name not in PLAIN} == more
        # With the panel closed it is still said; after a reload it is still there.
        await page.get_by_role("button", name="Settings and conversations").click()
        changed = page.get_by_role("button", name="Changed settings")
        await expect(changed).to_contain_text(
            "Top-k 40 · Repetition penalty 1.15 · Seed 7 · Stops at “User:”, “###”"
        )
        await page.reload()
        await page.get_by_role("button", name="More settings").click()
        await expect(page.get_by_label("Seed")).to_have_value("7")
        await page.get_by_role("button", name="Reset these").click()
        await expect(page.get_by_label("Seed")).to_have_value("")
        await expect(page.get_by_label("Top-k")).to_have_value("0")
        await ask(page, "Once more?")
        assert set(asked(fake_backend)[-1]) == PLAIN
        # What the backend no longer knows is not sent.
        await put(page.get_by_label("Seed"), "7")
        await ask(page, "With a seed?")
        assert asked(fake_backend)[-1]["seed"] == 7
        fake_backend.features = []
        await page.reload()
        await expect(page.get_by_role("button", name="More settings")).to_have_count(0)
        await ask(page, "And without?")
        assert set(asked(fake_backend)[-1]) == PLAIN


async def test_the_engine_and_calls_of_tools_are_shown_and_the_exact_engine_can_be_asked(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.features = ["sampling", "tools", "engines"]
    fake_backend.add_job("completed", name="bot")
    async with open_page(studio.url, "/#/playground") as page:
        exactly = page.get_by_role("button", name="Ask exactly")
        await ask(page, "Hello?")
        assert set(asked(fake_backend)[-1]) == PLAIN
        await expect(page.get_by_text("llama.cpp, q8_0")).to_be_visible()
        await exactly.click()
        await expect(page.get_by_text("transformers, float32")).to_be_visible()
        body = asked(fake_backend)[-1]
        assert body["engine"] == "exact"
        assert body["messages"] == [{"role": "user", "content": "Hello?"}]
        # It is another version of the same question, and there is nothing more exact to ask.
        await expect(exactly).to_have_count(0)
        await page.get_by_role("button", name="Previous version").click()
        await expect(page.get_by_text("llama.cpp, q8_0")).to_be_visible()
        why = {"engine": "transformers", "precision": "float32", "why": "it is being made"}
        fake_backend.chat.by = {"answeredBy": why}
        await ask(page, "And now?")
        assert set(asked(fake_backend)[-1]) == PLAIN
        await expect(page.get_by_text("transformers, float32, it is being made")).to_be_visible()

        call: dict[str, Any] = {"name": "find_order", "arguments": '{"order": "<b>A-1047</b>"}'}
        fake_backend.chat.calls = [{"id": "c1", "type": "function", "function": call}]
        fake_backend.chat.by = {"answeredBy": {"engine": "llama.cpp", "precision": "Q4_1"}}
        fake_backend.chat.chunks = []
        await page.get_by_role("button", name="New conversation").click()
        await page.get_by_role("button", name="More settings").click()
        tools = page.get_by_label("Tools, a JSON list")
        await tools.fill("[5]")
        await expect(page.get_by_text("This is no such list yet")).to_be_visible()
        await tools.fill(str(TOOLS).replace("'", '"'))
        await ask(page, "Where is my parcel?")
        assert asked(fake_backend)[-1]["tools"] == TOOLS
        calls = page.get_by_role("region", name="Calls of tools")
        await expect(calls).to_contain_text("Calls find_order")
        await expect(calls).to_contain_text(call["arguments"])
        await expect(page.get_by_text("the model returned an empty answer")).to_have_count(0)


async def says(answer: Locator, text: str) -> bool:
    """Whether an answer is laid out as this, to the last space."""
    return await answer.locator("pre").text_content() == text


PLACE = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "stars": {"type": "integer"}, "tags": {"type": "array"}},
    "required": ["city", "stars", "tags"],
}


async def test_an_answer_with_a_schema_is_formatted(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.features = ["sampling", "tools", "formats"]
    fake_backend.add_job("completed", name="bot")
    async with open_page(studio.url, "/#/playground") as page:
        await page.get_by_role("button", name="More settings").click()
        await page.get_by_label("Tools, a JSON list").fill(json.dumps(TOOLS))
        form = page.get_by_role("group", name="Answer form")
        await form.get_by_text("JSON schema").click()
        await expect(page.get_by_text("No tools are offered meanwhile.")).to_be_visible()
        schema = page.get_by_label("JSON schema of the answer")
        await expect(schema).to_have_value(re.compile('"answer"'))
        # Checked as it is typed, with its place; what was whole before is what is asked.
        await schema.fill('{\n  "type": "object"\n  "properties": {}\n}')
        await expect(page.get_by_text("Line 3, column 3: expected a comma or }.")).to_be_visible()
        await expect(schema).to_have_attribute("aria-invalid", "true")
        await schema.fill("[5]")
        await expect(page.get_by_text("A schema is an object")).to_be_visible()
        await schema.fill(json.dumps(PLACE))
        await expect(schema).to_have_attribute("aria-invalid", "false")
        await ask(page, "Which city is this?")
        wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": PLACE}}
        body = asked(fake_backend)[-1]
        assert {name: value for name, value in body.items() if name not in PLAIN} == {
            "responseFormat": wanted
        }
        answer = answers(page).last
        laid_out = json.dumps({"city": "", "stars": 0, "tags": []}, indent=2)
        await soon(lambda: says(answer, laid_out))
        await expect(answer).to_contain_text("JSON")
        # It is kept with the conversation, and told of where the panel is closed.
        await page.get_by_role("button", name="Settings and conversations").click()
        await expect(page.get_by_role("button", name="Changed settings")).to_contain_text("JSON schema")
        await page.reload()
        await expect(answers(page).last.locator("pre")).to_have_text(laid_out)
        await page.get_by_role("button", name="More settings").click()
        await expect(schema).to_have_value(json.dumps(PLACE, indent=2))
        await form.get_by_text("JSON", exact=True).click()
        await ask(page, "And any JSON?")
        assert asked(fake_backend)[-1]["responseFormat"] == {"type": "json_object"}
        await soon(lambda: says(answers(page).last, "{}"))
        await form.get_by_text("Free text").click()
        await ask(page, "And in words?")
        body = asked(fake_backend)[-1]
        assert "responseFormat" not in body
        assert body["tools"] == TOOLS
        await expect(answers(page).last.locator("pre")).to_have_count(0)


async def test_schema_errors_are_shown_beside_the_schema_and_hostile_answers_are_text(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.features = ["formats"]
    fake_backend.add_job("completed", name="bot")
    async with open_page(studio.url, "/#/playground", faulty=True) as page:
        await page.get_by_role("button", name="More settings").click()
        # What belongs to another feature is not there.
        await expect(page.get_by_label("Seed")).to_have_count(0)
        await page.get_by_role("group", name="Answer form").get_by_text("JSON schema").click()
        schema = page.get_by_label("JSON schema of the answer")
        await schema.fill('{"type": "object", "not": {}}')
        await ask(page, "Hello?")
        refusal = page.locator("#pg-form-refusal")
        await expect(refusal).to_have_text("responseFormat cannot have not.")
        await expect(schema).to_have_attribute("aria-invalid", "true")
        await expect(schema).to_have_attribute("aria-describedby", "pg-form-refusal")
        # Another one is not refused yet.
        await schema.fill('{"type": "object"}')
        await expect(refusal).to_have_count(0)
        await expect(schema).to_have_attribute("aria-invalid", "false")

        # A hostile answer is text.
        hostile = "<img src=x onerror=alert(1)>\u202e</pre><script>alert(1)</script> [js](javascript:1) ```"
        risky = {"type": "object", "properties": {hostile: {"enum": [hostile]}}, "required": [hostile]}
        await schema.fill(json.dumps(risky))
        await ask(page, "Hello?")
        shown = answers(page).last.locator("pre")
        await expect(shown).to_contain_text("<img src=x onerror=alert(1)>")
        assert await shown.locator("img, script, a").count() == 0
        assert await page.locator(".chat-answer :is(img, script, a)").count() == 0
