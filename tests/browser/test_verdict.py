"""The verdict on a job's page: read, asked for, and its rows; and in the table of jobs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from tests.support.fake_evaluation import EVALUATION, GENERAL

from .states import trained
from .steps import at_rest
from .talk import answers, ask, asked
from .test_home import START, declare

if TYPE_CHECKING:
    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

    from .conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]


async def test_an_unevaluated_job_can_be_evaluated(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.features = ["evaluation"]
    job = trained(fake_backend, "support-bot", steps=40, of=40)
    fake_backend.evaluations.looks = 1_000_000
    async with open_page(studio.url, f"/#/jobs/{job}") as page:
        await page.get_by_role("button", name="Compare with the base model").click()
        await expect(page.get_by_text("Evaluating:")).to_be_visible()
        fake_backend.evaluations.looks = 0  # it is done now
        await expect(page.get_by_role("heading", name="Verdict")).to_be_visible()
        await expect(page.get_by_text(EVALUATION["sentence"])).to_be_visible()
        await expect(page.get_by_role("button", name="Compare with the base model")).to_have_count(0)


async def test_a_run_that_was_still_learning_offers_more_steps(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.features = ["evaluation", "resume", "extend"]
    declare(studio.settings.project)
    job = trained(fake_backend, "first", steps=40, of=40)
    fake_backend.jobs[job]["resumable"] = 40
    fake_backend.evaluations.judge(job, verdict="better", extendTo=60)
    async with open_page(studio.url) as page:
        result = page.get_by_role("region", name="Result")
        await expect(result.get_by_role("heading", level=2)).to_have_text("Still learning")
        await expect(result.get_by_role("button", name="Extend to 60 steps")).to_be_visible()
        await result.get_by_role("link", name="Open job").click()
        verdict = page.get_by_role("region", name="Verdict")
        await expect(verdict).to_contain_text("Still learning")
        await verdict.get_by_role("button", name="Extend to 60 steps").click()
        await page.get_by_role("dialog").get_by_role("button", name="Extend", exact=True).click()
        await expect(page.locator(".job-line")).to_contain_text("Queued")
    assert fake_backend.last("POST /v1/jobs/{id}/extend").json()["maxSteps"] == 60


async def test_changed_data_is_reported_before_evaluating(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.features = ["evaluation"]
    job = trained(fake_backend, "support-bot", steps=40, of=40)
    fake_backend.evaluations.changed.add(job)
    async with open_page(studio.url, f"/#/jobs/{job}", faulty=True) as page:
        await page.get_by_role("button", name="Compare with the base model").click()
        await expect(page.get_by_role("alert")).to_contain_text("has changed since this job started")
        await page.get_by_role("button", name="Compare anyway").click()
        await expect(page.get_by_role("heading", name="Verdict")).to_be_visible()
    assert fake_backend.last("POST /v1/jobs/{id}/evaluate").json() == {"force": True}


async def test_a_verdict_has_its_rows_its_general_answers_and_its_remedy(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.features = ["evaluation", "replay"]
    declare(studio.settings.project)
    job = trained(fake_backend, "first", steps=40, of=40)
    fake_backend.evaluations.judge(job)
    async with open_page(studio.url, f"/#/jobs/{job}") as page:
        verdict = page.get_by_role("region", name="Verdict")
        await expect(verdict.locator(".job-tile")).to_have_text(
            [
                re.compile("^Your task.*Better.*3.42 → 1.91.*12 held-out rows"),
                re.compile("^General ability.*Worse.*2.05 → 2.36.*64 questions"),
            ]
        )
        assert fake_backend.count("GET /v1/jobs/{id}/evaluation") == 0, "rows are for whoever opens them"
        await verdict.get_by_text("Held-out rows side by side").click()
        first = verdict.get_by_role("listitem").first
        await expect(first).to_contain_text("1.30 better: loss 3.10 → 1.80 · data/chats.jsonl, line 7")
        await verdict.get_by_text("Got worse most").click()
        await expect(first).to_contain_text("0.20 better: loss 4.20 → 4.00")
        await expect(first).to_contain_text("Where is parcel number 12?")
        await page.keyboard.press("ArrowRight")
        await expect(verdict.get_by_role("radio", name="As in the data")).to_be_checked()
        await expect(first).to_contain_text("Where is parcel number 1?")

        # General answers are shown side by side.
        await verdict.get_by_text("Held-out rows side by side").click()
        await verdict.get_by_text("Details", exact=True).click()
        await expect(verdict).to_contain_text("its answers are 4 times longer")
        await expect(verdict).to_contain_text("6 repeat themselves (base 0)")
        # The words stand at the line that they are about.
        zero = await at_rest(verdict.locator(".job-interval-zero").first.bounding_box)
        words = await verdict.get_by_text("no difference", exact=True).bounding_box()
        assert zero
        assert words
        assert abs(zero["x"] - words["x"] - words["width"] / 2) < 2
        await verdict.get_by_text("Answers to general questions").click()
        row = verdict.get_by_role("row", name="Cut after 64 tokens")
        await expect(row.get_by_role("cell")).to_have_text(["0 of 16", "11 of 16"])
        second = verdict.get_by_role("listitem").nth(1)
        await expect(second).to_contain_text("How many legs has a spider?")
        await expect(second).to_contain_text("I cannot help with that.")
        await expect(second).to_contain_text("Eight, mate.")

        # A run that forgot offers replay.
        await page.get_by_role("button", name="Run again with replay").click()
        await expect(page).to_have_url(re.compile(r"#/$"))
        await expect(page.locator(".home-note-warn")).to_contain_text("replay not set → 0.2")

        # Without the feature there is no verdict.
        fake_backend.features = None
        del fake_backend.jobs[job]["evaluation"]
        await page.goto(f"{studio.url}/#/jobs/{job}")
        await page.reload()
        await expect(page.get_by_role("region", name="Checkpoints")).to_be_attached()
        await expect(page.get_by_role("region", name="Verdict")).to_have_count(0)


async def test_the_jobs_table_sorts_by_verdict(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    for name, verdict in (("one", "mixed"), ("two", "better"), ("three", "worse"), ("four", None)):
        job = fake_backend.add_job("completed", name=name)
        if verdict:
            fake_backend.evaluations.judge(job, verdict=verdict)
    async with open_page(studio.url, "/#/jobs") as page:
        await page.get_by_role("button", name="Verdict").click()
        names = page.locator(".jobs-row .jobs-name")
        await expect(names).to_have_text(["two", "one", "three", "four"])
        await page.get_by_role("button", name="Verdict").click()
        await expect(names).to_have_text(["three", "one", "two", "four"])
        row = page.locator(".jobs-row").filter(has_text="one")
        await expect(row.locator(".jobs-col-verdict")).to_have_text("Learned, but forgot")


async def test_a_significantly_better_checkpoint_answers(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.features = ["evaluation"]
    job = trained(fake_backend, "over", steps=400, of=400)
    fake_backend.evaluations.judge(job, bestStep=200, bestVerdict="better", bestKept=True)
    async with open_page(studio.url, "/#/playground") as page:
        await expect(page.get_by_role("button", name="over, step 200, the best")).to_be_visible()
        choice = page.get_by_role("combobox", name="Adapter of the job")
        await expect(choice).to_have_value("200")
        await expect(choice.get_by_role("option", name="step 200, the best")).to_be_attached()
        await ask(page, "Hello?")
        await expect(answers(page)).to_contain_text("Hello, world")
        # The final adapter is one choice away.
        await choice.select_option("final")
        await expect(page.get_by_role("button", name="over, final adapter")).to_be_visible()
        await page.goto(f"{studio.url}/#/jobs/{job}")
        await expect(page.get_by_role("heading", name="Verdict")).to_be_visible()
        await page.keyboard.press("p")
        await expect(choice).to_have_value("200")
    assert asked(fake_backend)[0]["adapter"] == {"kind": "checkpoint", "jobId": job, "step": 200}


async def test_adapters_are_compared_on_equal_rows_only(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.features = ["evaluation"]
    one, two, three, four = (
        trained(fake_backend, name, steps=40, of=40) for name in ("one", "two", "three", "four")
    )
    for job in (one, three):
        fake_backend.evaluations.judge(job)
    forgot = {"mean": -0.93, "low": -1.1, "high": -0.7}
    fake_backend.evaluations.judge(two, general={**GENERAL, "adapter": 2.98, "difference": forgot})
    fake_backend.evaluations.unlike.add(three)
    async with open_page(studio.url, f"/#/compare?jobs={one},{two},{three},{four}", faulty=True) as page:
        paired = page.get_by_role("region", name="Adapter against adapter")
        await expect(paired.get_by_role("definition")).to_have_text(
            [
                (
                    "Better than one: loss 1.66 vs. 1.91 on 12 held-out rows. "
                    "General questions: its loss rose by 0.93; that of one rose by 0.31."
                ),
                (
                    "three and one were evaluated on different rows. "
                    "General questions: its loss rose by 0.31; that of one rose by 0.31."
                ),
            ]
        )
        row = page.get_by_role("row", name="General loss change")
        await expect(row.get_by_role("cell")).to_have_text(["+0.31", "+0.93", "+0.31", "\u2013"])
        await page.goto(f"{studio.url}/#/compare?jobs={one},{four}")
        await expect(page.locator(".chart-curve")).to_have_count(2)
        await expect(paired).to_have_count(0)


async def test_settings_are_compared_over_seeds(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.features = ["evaluation"]
    declare(studio.settings.project)
    source = {"type": "huggingface", "name": "owner/rows"}
    one, two = (
        fake_backend.add_job(
            "completed",
            name="first",
            config={"model": "other", "datasetSource": source, "maxSteps": 7, "seed": 3, "loraR": rank},
        )
        for rank in (8, 16)
    )
    for job in (one, two):
        fake_backend.evaluations.judge(job)
    async with open_page(studio.url, f"/#/compare?jobs={one},{two}", faulty=True) as page:
        settings = page.get_by_role("region", name="Settings against settings")
        await expect(settings).to_contain_text("takes 3 seeds of both, and there is 1 seed.")
        await settings.get_by_role("button", name="Repeat both with 3 seeds").click()
        await expect(settings).to_contain_text("compare again when the runs are over", timeout=START)
        await fake_backend.until(lambda: fake_backend.count("POST /v1/jobs") == 4, 60)
        sent = [seen.json()["config"] for seen in fake_backend.requests if seen.route == "POST /v1/jobs"]
        assert sorted((config["seed"], config["loraR"]) for config in sent) == [
            (4, 8),
            (4, 16),
            (5, 8),
            (5, 16),
        ]
        fake_backend.evaluations.repeated = True
        await page.reload()
        await expect(settings).to_contain_text("These settings are better than those of first")
        await expect(settings.get_by_role("button")).to_have_count(0)
