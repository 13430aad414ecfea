"""How strongly an adapter answers: the dial in the playground, in one column and in two."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from .talk import answers, ask, asked, put

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

    from .conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]


async def test_answers_are_labelled_with_their_strength(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.features = ["strength"]
    job = fake_backend.add_job("completed", name="bot")
    async with open_page(studio.url, "/#/playground") as page:
        dial = page.get_by_role("spinbutton", name="Strength, %")
        labelled = page.get_by_role("article", name="Answer of bot · final adapter at 37 %")
        slider = page.get_by_role("slider", name="Strength")
        await expect(dial).to_have_value("100")
        await expect(page.get_by_role("button", name="Reset strength")).to_have_count(0)
        await ask(page, "Hello?")
        assert "adapterStrength" not in asked(fake_backend)[-1]
        await slider.focus()
        await page.keyboard.press("ArrowLeft")
        await expect(dial).to_have_value("95")
        await page.keyboard.press("Home")
        await expect(dial).to_have_value("0")
        await expect(page.get_by_text("The base model itself")).to_be_visible()
        await page.keyboard.press("End")
        await expect(dial).to_have_value("150")
        await put(dial, "37")
        await dial.blur()
        await expect(slider).to_have_js_property("value", "35")
        await page.get_by_role("button", name="Ask bot · final adapter at 37 % the same").click()
        await expect(page.get_by_role("group", name="Version 2 of 2")).to_be_visible()
        await expect(page.get_by_role("button", name="Send")).to_be_visible()
        assert asked(fake_backend)[-1]["adapterStrength"] == 0.37
        assert asked(fake_backend)[-1]["adapter"] == {"kind": "final", "jobId": job}
        await expect(labelled).to_be_visible()
        await expect(page).to_have_url(re.compile(rf"target=final\*0\.37%3A{job}"))
        # What an answer was given with stays, also when the dial is turned again, and after a reload.
        await page.get_by_role("button", name="Reset strength to 100 %").click()
        await expect(dial).to_have_value("100")
        await expect(labelled).to_be_visible()
        await page.reload()
        await expect(labelled).to_be_visible()


@pytest.mark.chromium_only("a stock Firefox tells its driver of no download")
async def test_one_adapter_is_compared_at_two_strengths(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage, tmp_path: Path
) -> None:
    fake_backend.features = ["strength"]
    job = fake_backend.add_job("completed", name="bot")
    link = f"/#/playground?target=final*0.5:{job}&against=final:{job}"
    async with open_page(studio.url, link) as page:
        left = page.get_by_role("spinbutton", name="Left strength, %")
        right = page.get_by_role("spinbutton", name="Right strength, %")
        await expect(left).to_have_value("50")
        await expect(right).to_have_value("100")
        await put(right, "120")
        await right.blur()
        await ask(page, "Hello?")
        await expect(answers(page)).to_have_count(2)
        strengths = sorted(body["adapterStrength"] for body in asked(fake_backend))
        assert strengths == [0.5, 1.2]
        for place, strength in ((0, "50 %"), (1, "120 %")):
            await expect(answers(page).nth(place)).to_contain_text(f"bot · final adapter at {strength}")
            await expect(page.locator(".pg-head").nth(place)).to_contain_text(strength)
        # With the panel closed it is still said.
        await page.get_by_role("button", name="Settings and conversations").click()
        await expect(left).to_have_count(0)
        await expect(page.locator(".pg-head").first).to_contain_text("50 %")
        await page.get_by_role("button", name="Settings and conversations").click()
        await page.get_by_role("button", name="Export").click()
        async with page.expect_download() as download:
            await page.get_by_role("menuitem", name="Export this one as JSONL").click()
        file = tmp_path / "set.jsonl"
        await (await download.value).save_as(file)
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        assert [line["adapterStrengths"] for line in lines] == [[0.5], [1.2]]


async def test_unscalable_models_have_no_strength_control(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.features = ["strength"]
    config = {"model": "tiny", "datasetSource": {"type": "huggingface", "name": "d"}, "useDora": True}
    job = fake_backend.add_job("completed", name="dora", config=config)
    async with open_page(studio.url, "/#/playground?target=base:tiny") as page:
        await expect(page.get_by_role("button", name="Answers: tiny")).to_be_visible()
        await expect(page.get_by_text("Adapter strength")).to_have_count(0)
        await page.goto(f"{studio.url}/#/playground?target=final*0.5:{job}")
        await expect(page.get_by_text("strength of a DoRA adapter can't be set")).to_be_visible()
        await expect(page.get_by_role("slider", name="Strength")).to_have_count(0)
        await ask(page, "Hello?")
        assert "adapterStrength" not in asked(fake_backend)[-1]


async def test_without_the_feature_no_strength_is_sent(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    job = fake_backend.add_job("completed", name="bot")
    async with open_page(studio.url, f"/#/playground?target=final*0.5:{job}") as page:
        await expect(page.get_by_role("button", name="Answers: bot")).to_be_visible()
        await ask(page, "Hello?")
        await expect(page.get_by_text("Adapter strength")).to_have_count(0)
        whole = page.get_by_role("article", name="Answer of bot · final adapter", exact=True)
        await expect(whole).to_be_visible()
    assert "adapterStrength" not in asked(fake_backend)[-1]
