"""Jobs over one another: one legend, the best values, and what was set differently."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import expect

if TYPE_CHECKING:
    from playwright.async_api import Page

    from tests.fake_backend import FakeBackend
    from tests.studio import Studio

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


def row(page: Page, label: str) -> Any:
    """A row of the table, by its name."""
    return page.locator(".compare-table tr").filter(has=page.get_by_role("rowheader", name=label, exact=True))


async def test_jobs_side_by_side(studio: Studio, fake_backend: FakeBackend, open_page: OpenPage) -> None:
    first = job_of(fake_backend, "slow", 0.9, learningRate=1e-4, loraR=8)
    second = job_of(fake_backend, "fast", 0.5, learningRate=1e-3, loraR=8)
    async with open_page(studio.url, f"/#/compare?jobs={first},{second}") as page:
        await expect(row(page, "Best eval loss").locator("td")).to_have_text(
            ["0.9000", re.compile(r"0\.5000\s*best")]
        )
        await expect(row(page, "Learning rate").locator("td")).to_have_text(["0.0001", "0.001"])
        await expect(row(page, "LoRA rank")).to_have_count(0)
        await page.get_by_label("all settings").check()
        await expect(row(page, "LoRA rank").locator("td")).to_have_text(["8", "8"])
        curves = page.locator(".chart-curve")
        await expect(curves).to_have_count(2)
        await page.get_by_role("group", name="Curves").get_by_role("button", name="slow").click()
        await expect(curves).to_have_count(1)


async def test_jobs_are_added_and_left_out_in_the_address(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    first = job_of(fake_backend, "one", 0.9)
    second = job_of(fake_backend, "two", 0.5)
    async with open_page(studio.url, "/#/compare") as page:
        await expect(page.get_by_text("Choose jobs to lay over one another")).to_be_visible()
        for job in (first, second):
            await page.get_by_label("Add a job").select_option(job)
        await expect(page.locator(".chart-curve")).to_have_count(2)
        assert page.url.endswith(f"jobs={first}%2C{second}")
        await page.get_by_role("button", name="Leave one out").click()
        await expect(page.locator(".chart-curve")).to_have_count(1)
        assert page.url.endswith(f"jobs={second}")


async def test_runs_of_one_name_are_told_apart(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    jobs = [job_of(fake_backend, "same", 0.5 + index / 10) for index in range(2)]
    async with open_page(studio.url, f"/#/compare?jobs={','.join(jobs)},gone", faulty=True) as page:
        for job in jobs:
            await expect(page.get_by_role("link", name=f"same {job.removeprefix('job-')}", exact=True).first).to_be_visible()
        await expect(page.get_by_text("Not in this project: gone")).to_be_visible()
