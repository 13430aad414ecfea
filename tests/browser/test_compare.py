"""Jobs over one another: one legend, the best values, and what was set differently."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import expect

from tests.support.fake_job_rows import NOTHING

from .steps import at_rest, soon

if TYPE_CHECKING:
    from playwright.async_api import Page

    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

    from .conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def job_of(fake: FakeBackend, name: str, best: float, **config: Any) -> str:
    """A completed job whose best eval loss is ``best``."""
    source = {"type": "huggingface", "name": "d"}
    job = fake.add_job(name=name, config={"model": "tiny", "datasetSource": source, **config})
    for step in range(1, 21):
        fake.log(job, step, loss=best + 1 / step)
    fake.log(job, 20, evalLoss=best)
    fake.finish(job)
    return job


WITHIN = """() => {
    const [words, chart] = ['.chart-readout', '.chart'].map((each) =>
        document.querySelector(each)?.getBoundingClientRect());
    return words && words.bottom <= chart.bottom;
}"""


def row(page: Page, label: str) -> Any:
    """A row of the table, by its name."""
    return page.locator(".compare-table tr").filter(has=page.get_by_role("rowheader", name=label, exact=True))


async def test_jobs_are_compared_side_by_side(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    first = job_of(fake_backend, "slow", 0.9, learningRate=1e-4, loraR=8)
    second = job_of(fake_backend, "fast", 0.5, learningRate=1e-3, loraR=8)
    fake_backend.features = ["rows"]
    new = {"kind": "added", "where": "data/a.jsonl, line 8", "excerpt": "<b>Where?</b>"}
    fake_backend.job_rows.told[second, first] = {"train": {**NOTHING, "same": 7, "added": 1, "rows": [new]}}
    async with open_page(studio.url, f"/#/compare?jobs={first},{second}") as page:
        await expect(row(page, "Best eval loss").locator("td")).to_have_text(
            ["0.9000", re.compile(r"0\.5000\s*best")]
        )
        await expect(row(page, "Learning rate").locator("td")).to_have_text(["0.0001", "0.001"])
        await expect(row(page, "LoRA rank")).to_have_count(0)
        await page.get_by_label("all settings").check()
        await expect(row(page, "LoRA rank").locator("td")).to_have_text(["8", "8"])
        rows = page.get_by_role("region", name="Rows")
        await expect(rows).to_contain_text("Training rows of fast against slow: 1 added · 7 the same")
        await rows.get_by_text("Show the row").click()
        await expect(rows.get_by_role("listitem")).to_contain_text("<b>Where?</b>")
        curves = page.locator(".chart-curve")
        await expect(curves).to_have_count(2)
        await page.get_by_role("group", name="Curves").get_by_role("button", name="slow").click()
        await expect(curves).to_have_count(1)
        await page.set_viewport_size({"width": 360, "height": 800})
        second_run = await at_rest(page.get_by_role("columnheader", name="fast").bounding_box)
        assert second_run
        assert second_run["x"] + second_run["width"] <= 360


async def test_compared_jobs_are_in_the_address(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    first = job_of(fake_backend, "one", 0.9)
    second = job_of(fake_backend, "two", 0.5)
    async with open_page(studio.url, "/#/compare") as page:
        await expect(page.get_by_text("Choose jobs to compare")).to_be_visible()
        for job in (first, second):
            await page.get_by_label("Add a job").select_option(job)
        await expect(page.locator(".chart-curve")).to_have_count(2)
        await expect(page).to_have_url(re.compile(f"jobs={first}%2C{second}$"))
        await page.get_by_role("button", name="Remove one").click()
        await expect(page.locator(".chart-curve")).to_have_count(1)
        await expect(page).to_have_url(re.compile(f"jobs={second}$"))


@pytest.mark.chromium_only("a stock Firefox tells its driver of no download")
async def test_many_long_names_fit_the_readout_and_the_file(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    jobs = [
        job_of(fake_backend, f"a rather long name, variant {index}", 0.5 + index / 50) for index in range(10)
    ]
    for width in (1280, 390):
        async with open_page(studio.url, f"/#/compare?jobs={','.join(jobs)}", width=width) as page:
            await expect(page.locator(".chart-curve")).to_have_count(10)
            for sign in await page.locator(".chart-key").all():
                size = await sign.bounding_box()
                assert size
                assert size["width"] == 18
            chart = page.locator(".chart")
            await chart.scroll_into_view_if_needed()
            await chart.hover(position={"x": width // 2, "y": 60})
            await expect(page.locator(".chart-readout")).to_be_visible()
            await soon(lambda: page.evaluate(WITHIN))
            if width == 390:
                await expect(page.locator(".chart-readout")).to_contain_text("+4 more")
    async with open_page(studio.url, f"/#/compare?jobs={','.join(jobs[:2])}") as page:
        await expect(page.locator(".chart-curve")).to_have_count(2)
        await page.get_by_role("button", name="Export").click()
        async with page.expect_download() as coming:
            await page.get_by_role("menuitem", name="CSV").click()
        rows = list(csv.DictReader(io.StringIO(Path(await (await coming.value).path()).read_text())))
        assert {row["id"] for row in rows} == set(jobs[:2])


async def test_a_failed_run_is_not_the_fastest(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    slow = job_of(fake_backend, "slow", 0.5, learningRate=1e-3)
    failed = job_of(fake_backend, "failed", 0.9, learningRate=0.0010004)
    for job, seconds, status in ((slow, 50, "completed"), (failed, 3, "failed")):
        fake_backend.frames[job].clear()
        ended = f"2026-01-01T00:00:{seconds:02}Z"
        fake_backend.jobs[job].update(status=status, startedAt="2026-01-01T00:00:00Z", completedAt=ended)
        fake_backend.emit(job, f"training.{status}", timestamp=ended)
    async with open_page(studio.url, f"/#/compare?jobs={slow},{failed}") as page:
        await expect(row(page, "Time").locator("td")).to_have_text(["50 s", "3 s"])
        await expect(row(page, "Learning rate").locator("td")).to_have_text(["0.001", "0.0010004"])


async def test_the_learning_rate_has_its_own_axis(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    job = fake_backend.add_job()
    for step in range(1, 30):
        fake_backend.log(job, step, loss=1.0, learningRate=1e-3 / step)
    async with open_page(studio.url, f"/#/compare?jobs={job}&metric=lr") as page:
        await expect(page.locator(".chart-grid")).to_have_attribute("d", re.compile("(M.+){3}"))
        await page.get_by_text("Statistics").click()
        await expect(page.locator(".chart-statistics-table tbody")).to_contain_text("29")


async def test_runs_of_one_name_are_distinguished(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    jobs = [job_of(fake_backend, "same", 0.5 + index / 10) for index in range(2)]
    async with open_page(studio.url, f"/#/compare?jobs={','.join(jobs)},gone", faulty=True) as page:
        for job in jobs:
            await expect(
                page.get_by_role("link", name=f"same {job.removeprefix('job-')}", exact=True).first
            ).to_be_visible()
        await expect(page.get_by_text("Not in this project: gone")).to_be_visible()
