"""Answers to fixed prompts on a job's page: read step by step, live, and asked again in the playground."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from tests.support.fake_samples import BASE, PROMPTS, WANTED, answer_prompts

from .states import end, trained
from .states.home import TRAINER, declare
from .steps import at_rest

if TYPE_CHECKING:
    from playwright.async_api import FloatRect, Page

    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

    from .conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def answered(fake: FakeBackend, *steps: int, done: bool = False) -> str:
    """A job with answers of these steps."""
    fake.features = ["evaluation", "samples"]
    job = trained(fake, "support-bot", "running", steps=210)
    for step in steps:
        answer_prompts(fake, job, step)
    if done:
        end(fake, job, "completed", 0)
    return job


async def shows(page: Page, step: str) -> None:
    """The panel stands at that step."""
    slider = page.get_by_role("slider", name="Step of the answers")
    await expect(slider).to_have_attribute("aria-valuetext", step)


async def test_samples_follow_keys_and_chart_cursor_with_differences_marked(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    job = answered(fake_backend, 0, 100, 200)
    async with open_page(studio.url, f"/#/jobs/{job}") as page:
        panel = page.get_by_role("region", name="Answers")
        first = panel.get_by_role("listitem").first
        await expect(first).to_contain_text("How do I reset my password?")
        await expect(first.get_by_role("heading")).to_have_text(["Base", "Adapter, step 200", "Wanted"])
        await expect(first).to_contain_text(BASE)
        await expect(first).to_contain_text("(cut)")
        await expect(first.locator("ins, del")).to_have_count(0)
        await panel.get_by_role("slider").focus()
        await page.keyboard.press("Home")
        await shows(page, "Step 100")
        await expect(first.get_by_role("heading")).to_have_text(["Base", "Adapter, step 100", "Wanted"])
        await expect(first.locator("ins, del")).to_have_count(0)
        await page.keyboard.press("ArrowRight")
        await shows(page, "Step 200")
        await expect(first.locator("ins").first).to_have_text(" overboard, easily replaced")
        chart = page.locator(".chart")
        await chart.scroll_into_view_if_needed()
        box = await at_rest(chart.bounding_box)
        assert box
        await page.mouse.move(box["x"] + box["width"] * 0.35, box["y"] + 100)
        await shows(page, "Step 100")
        await expect(page.get_by_text("at the chart's cursor")).to_be_visible()
        await page.mouse.move(5, 5)
        await shows(page, "Step 200")


async def test_new_samples_do_not_scroll_the_reader(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    job = answered(fake_backend, 0, 50, 100)
    async with open_page(studio.url, f"/#/jobs/{job}") as page:
        slider = page.get_by_role("slider", name="Step of the answers")
        await shows(page, "Step 100")
        answer_prompts(fake_backend, job, 200)
        await shows(page, "Step 200")
        await slider.press("ArrowLeft")
        await shows(page, "Step 100")
        answer_prompts(fake_backend, job, 300)
        await expect(slider).to_have_attribute("max", "3")
        await shows(page, "Step 100")
        await slider.press("End")
        answer_prompts(fake_backend, job, 400)
        await shows(page, "Step 400")
        fake_backend.resuming.go_on(job, 100)
        await expect(page.get_by_role("heading", name="Adapter, step 100")).to_have_count(3)
        answer_prompts(fake_backend, job, 150, ["Another one."])
        await shows(page, "Step 150")
        await expect(page.get_by_role("region", name="Answers")).to_contain_text("Another one.")


async def test_a_sample_prompt_opens_in_the_playground(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    job = answered(fake_backend, 0, 100, 200, done=True)
    async with open_page(studio.url, f"/#/jobs/{job}") as page:
        panel = page.get_by_role("region", name="Answers")
        third = panel.get_by_role("listitem").nth(2)
        await third.get_by_text("Earlier messages").click()
        await expect(third).to_contain_text("You keep a lighthouse.")
        await expect(third.get_by_role("link")).to_have_count(
            0
        )  # more was said before it than a prompt holds
        await panel.get_by_role("listitem").first.get_by_role("link").click()
        await expect(page.get_by_text("Hello, world")).to_have_count(2)
    asked = [seen.json() for seen in fake_backend.requests if seen.route == "POST /v1/inference/chat"]
    assert {one["temperature"] for one in asked} == {0}
    adapters = [one["adapter"] for one in asked if "adapter" in one]
    assert adapters == [{"kind": "checkpoint", "jobId": job, "step": 200}]
    assert all(one["messages"] == [{"role": "user", "content": PROMPTS[0]["prompt"]}] for one in asked)


async def test_held_out_rows_show_base_and_adapter_answers(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    job = answered(fake_backend, 0, 100, 200, done=True)
    fake_backend.evaluations.judge(job)
    async with open_page(studio.url, f"/#/jobs/{job}") as page:
        verdict = page.get_by_role("region", name="Verdict")
        await verdict.get_by_text("Held-out rows side by side").click()
        second = verdict.get_by_role("listitem").nth(1)
        await expect(second).to_contain_text("loss 3.20 → 2.00")
        await expect(second.get_by_role("heading")).to_have_text(["Base", "Adapter", "Wanted"])
        await expect(second).to_contain_text(BASE)
        await expect(second).to_contain_text(WANTED.split("\n")[0])
        await expect(verdict.get_by_role("listitem").first.get_by_role("heading")).to_have_count(0)
        link = second.get_by_role("link", name="Ask in Playground")
        # Opened in another tab, the question waits there: a link from elsewhere must not make a model answer.
        address = str(await link.get_attribute("href"))
        await link.click()
        await expect(page.get_by_text("Hello, world")).to_have_count(2)
    asked = [seen.json() for seen in fake_backend.requests if seen.route == "POST /v1/inference/chat"]
    assert {one["temperature"] for one in asked} == {0}
    assert sorted("adapter" in one for one in asked) == [False, True]
    async with open_page(studio.url, f"/{address}") as page:
        question = page.get_by_role("textbox", name="Message")
        await expect(question).to_have_value("Where is parcel number 2?")
        assert fake_backend.count("POST /v1/inference/chat") == 2


async def test_a_job_without_samples_has_no_panel(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.features = ["samples"]
    job = trained(fake_backend, "support-bot", steps=40, of=40)
    async with open_page(studio.url, f"/#/jobs/{job}") as page:
        await expect(page.get_by_role("region", name="Checkpoints")).to_be_attached()
        await expect(page.get_by_role("region", name="Answers")).to_have_count(0)


async def test_on_a_wide_screen_the_curve_is_beside_the_answers_and_exports_follow(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    job = answered(fake_backend, 0, 200, done=True)
    fake_backend.features = ["evaluation", "exports", "samples"]
    async with open_page(studio.url, f"/#/jobs/{job}") as page:

        async def place(of: str) -> FloatRect:
            region = page.get_by_role("region", name=of, exact=True)
            await expect(region).to_be_visible()
            box = await at_rest(region.bounding_box)
            assert box
            return box

        await page.set_viewport_size({"width": 1280, "height": 800})
        answers, curve, exports = [await place(of) for of in ("Answers", "Training", "Export")]
        assert answers["x"] + answers["width"] <= curve["x"]
        assert abs(answers["y"] - curve["y"]) < 50
        assert exports["y"] >= curve["y"] + curve["height"]
        await page.set_viewport_size({"width": 1000, "height": 800})
        answers, curve, exports = [await place(of) for of in ("Answers", "Training", "Export")]
        assert answers["y"] + answers["height"] <= curve["y"] < exports["y"]


async def test_the_playground_suggests_what_home_showed_also_beside_the_base(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    job = answered(fake_backend, 0, 200, done=True)
    declare(studio.settings.project, TRAINER)
    base = fake_backend.jobs[job]["config"]["model"]
    async with open_page(studio.url, "/#/") as page:
        shown = await page.get_by_role("region", name="Answers").locator(".answers-prompt").inner_text()
        openers = page.locator(".pg-opener")
        for targets in (f"target=base:{base}&against=final:{job}", f"target=base:{base}"):
            await page.goto(f"{studio.url}/#/playground?{targets}")
            await expect(openers).to_have_text([shown, PROMPTS[1]["prompt"]])
