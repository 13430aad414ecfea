"""What a person does with jobs: says something of them, finds them by it, deletes them, takes that back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from .steps import at_rest, hurried

if TYPE_CHECKING:
    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

    from .conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FEATURES = ["delete", "edit", "queue"]


async def test_a_job_is_renamed_tagged_starred_and_filtered_where_the_backend_can(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    job = fake_backend.add_job("completed", name="before")
    other = fake_backend.add_job("completed", name="other")
    async with open_page(studio.url, "/#/jobs", faulty="/api/jobs/") as page:
        # Without the features there are no such controls.
        await page.get_by_role("checkbox", name="Select before").check()
        await expect(page.get_by_role("button", name="Compare")).to_be_visible()
        await expect(page.get_by_role("button", name="Delete")).to_have_count(0)
        await expect(page.locator(".jobs-star")).to_have_count(0)
        await page.goto(f"{studio.url}/#/jobs/{job}")
        await expect(page.get_by_role("heading", name="before", level=1)).to_be_visible()
        await page.get_by_role("button", name="More actions").click()
        await expect(page.get_by_role("menuitem", name="Run again, the same")).to_be_visible()
        for name in ("Rename", "Edit", "Delete"):
            await expect(page.get_by_role("menuitem", name=name)).to_have_count(0)
        await expect(page.get_by_role("button", name="Star before")).to_have_count(0)

        fake_backend.features = FEATURES
        await page.reload()
        await expect(page.get_by_role("button", name="Star before")).to_be_visible()
        await page.keyboard.press("Control+k")
        offered = page.get_by_role("option")
        for label in ("Run again with changes", "Rename", "Edit notes", "Star this job", "Delete job"):
            await expect(offered.filter(has_text=label)).to_be_visible()
        actions = page.get_by_role("listbox").get_by_role("option")
        await expect(actions.nth(1)).to_have_text(re.compile("^Open in Playground"))
        await page.keyboard.press("Escape")
        await page.keyboard.press("e")
        await page.get_by_role("textbox", name="Name").fill(" after ")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="after", level=1)).to_be_focused()
        await page.keyboard.press("t")
        await page.get_by_role("textbox", name="Tags").fill("good, <b>, good,")
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_role("list", name="Tags").get_by_role("listitem")).to_have_text(
            ["good", "<b>"]
        )
        await page.keyboard.press("n")
        await page.get_by_role("textbox", name="Notes").fill("it **works**\n\nnow")
        await page.keyboard.press("Control+Enter")
        await expect(page.get_by_label("Notes").locator("strong")).to_have_text("works")
        await page.get_by_role("button", name="Star after").click()
        await expect(page.get_by_role("button", name="Star after")).to_have_attribute("aria-pressed", "true")
        said = {key: fake_backend.jobs[job][key] for key in ("name", "tags", "notes", "starred")}
        assert said == {
            "name": "after",
            "tags": ["good", "<b>"],
            "notes": "it **works**\n\nnow",
            "starred": True,
        }
        await page.goto(f"{studio.url}/#/jobs")
        await expect(page.locator(".jobs-row")).to_have_count(2)
        await page.get_by_role("combobox", name="Tag").select_option("<b>")
        await expect(page.locator(".jobs-name")).to_have_text(["after"])
        await page.get_by_role("combobox", name="Tag").select_option("")
        await page.get_by_role("button", name="Starred").click()
        await expect(page.locator(".jobs-name")).to_have_text(["after"])
        await page.get_by_role("button", name="Star after").click()
        await expect(page.get_by_text("No job has this mark.")).to_be_visible()
        await page.get_by_role("button", name="Show all jobs").click()
        await page.get_by_role("searchbox").fill("works")
        await expect(page.locator(".jobs-name")).to_have_text(["after"])

        # Notes that could not be saved are restored.
        fake_backend.fault("PATCH /v1/jobs/{id}", times=1, status=503, body=b'{"error": "The disk is full."}')
        await page.goto(f"{studio.url}/#/jobs/{other}")
        await expect(page.get_by_role("button", name="Star other")).to_be_visible()
        await page.keyboard.press("n")
        notes = page.get_by_role("textbox", name="Notes")
        await notes.fill("half a thought")
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_role("alert")).to_contain_text("The disk is full.")
        await page.get_by_role("link", name="Jobs").first.click()
        await page.get_by_role("link", name="other", exact=True).click()
        await expect(notes).to_have_value("half a thought")
        await page.keyboard.press("Escape")
        await expect(notes).to_have_count(0)
        assert "notes" not in fake_backend.jobs[other]


async def test_a_deletion_can_be_undone(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.features = FEATURES
    jobs = [fake_backend.add_job("completed", name=name) for name in "abc"]
    fake_backend.add_job("running", name="busy")
    async with open_page(studio.url, "/#/jobs", clock=True) as page:
        for name in ("a", "b", "busy"):
            await page.get_by_role("checkbox", name=f"Select {name}", exact=True).check()
        delete = page.get_by_role("button", name="Delete", exact=True)
        await expect(delete).to_be_disabled()
        await page.get_by_role("checkbox", name="Select busy", exact=True).uncheck()
        await delete.click()
        await expect(page.get_by_role("dialog")).to_contain_text("They take 7.4 MB on the disk")
        await page.get_by_role("button", name="Delete 2 jobs").click()
        await expect(page.locator(".jobs-name")).to_have_text(["c", "busy"])
        await page.get_by_role("button", name="Undo").click()
        await expect(page.locator(".jobs-name")).to_have_text(["a", "b", "c", "busy"])
        async with hurried(page):
            await page.wait_for_timeout(1500)  # fifteen seconds of its own
        assert fake_backend.count("DELETE /v1/jobs/{id}") == 0
        await page.goto(f"{studio.url}/#/jobs/{jobs[2]}")
        await page.get_by_role("button", name="More actions").click()
        await page.get_by_role("menuitem", name="Delete job").click()
        await page.get_by_role("button", name="Delete job").click()
        await expect(page.locator(".jobs-name")).to_have_text(["a", "b", "busy"])
        async with hurried(page):
            await fake_backend.until(lambda: jobs[2] not in fake_backend.jobs, 60)
        await expect(page.get_by_role("button", name="Undo")).to_have_count(0)
        await expect(page.locator(".jobs-name")).to_have_text(["a", "b", "busy"])

        # Closing the tab cancels a deletion that is pending.
        done = fake_backend.count("DELETE /v1/jobs/{id}")
        await page.get_by_role("checkbox", name="Select a", exact=True).check()
        await page.get_by_role("button", name="Delete", exact=True).click()
        await page.get_by_role("button", name="Delete job").click()
        await expect(page.locator(".jobs-name")).to_have_text(["b", "busy"])
        await page.reload()
        await expect(page.locator(".jobs-name")).to_have_text(["a", "b", "busy"])
    assert fake_backend.count("DELETE /v1/jobs/{id}") == done


async def test_the_queue_is_reordered_and_paused(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.features = FEATURES
    running = fake_backend.add_job("running", name="busy")
    jobs = {name: fake_backend.add_job("queued", name=name) for name in "abcd"}

    def order() -> str:
        names = {job_id: name for name, job_id in jobs.items()}
        return "".join(names[job_id] for job_id in fake_backend.order.waiting())

    async with open_page(studio.url, "/#/jobs") as page:
        await page.get_by_role("button", name="Change order").click()
        rows = page.get_by_role("dialog").get_by_role("listitem")
        await expect(rows).to_have_count(4)
        await page.get_by_role("button", name="Move c, 3 of 4").focus()
        await page.keyboard.press("ArrowUp")
        await expect(page.get_by_role("button", name="Move c, 2 of 4")).to_be_focused()
        await fake_backend.until(lambda: order() == "acbd")
        await page.keyboard.press("Home")
        await expect(page.get_by_role("button", name="Move c, 1 of 4")).to_be_focused()
        await fake_backend.until(lambda: order() == "cabd")
        await page.get_by_role("button", name="Where d starts").click()
        await page.get_by_role("menuitem", name="Start next").click()
        await fake_backend.until(lambda: order() == "dcab")
        grip = page.get_by_role("button", name="Move d, 1 of 4")
        await expect(grip).to_be_visible()
        source, target = await at_rest(grip.bounding_box), await at_rest(rows.nth(2).bounding_box)
        assert source
        assert target
        await page.mouse.move(source["x"] + 10, source["y"] + 10)
        await page.mouse.down()
        await page.mouse.move(source["x"] + 10, target["y"] + target["height"] - 2, steps=5)
        await page.mouse.up()
        await fake_backend.until(lambda: order() == "cadb")
        await page.get_by_role("button", name="Done").click()
        await page.get_by_role("button", name="Hold queue").click()
        await expect(page.get_by_text("The queue is held")).to_be_visible()
        assert fake_backend.order.held
        await page.goto(f"{studio.url}/#/jobs/{jobs['c']}")
        await expect(page.get_by_text("The queue is held: resume it to start this job.")).to_be_visible()
        await page.goto(f"{studio.url}/#/jobs")
        await page.get_by_role("button", name="Resume queue").click()
        await expect(page.get_by_text("The queue is held")).to_have_count(0)
    assert fake_backend.jobs[running]["status"] == "running"


async def test_disk_use_links_to_jobs_and_unused_files_are_removed(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.features = FEATURES
    small, large = (fake_backend.add_job("completed", name=name) for name in ("small", "large"))
    order = fake_backend.order
    order.sizes = {small: 1_000, large: 5_000_000_000}
    order.leftovers, order.unused = 48_000_000, 2_000_000
    order.models.append({"name": "spare", "bytes": 10**9, "used": False, "shared": False})
    async with open_page(studio.url, "/#/jobs", faulty=True) as page:
        await page.get_by_role("button", name="Disk use").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_role("button", name="Remove unused files (1.1 GB)").click()
        asked = dialog.get_by_role("region", name="Unused by any job")
        await expect(asked.get_by_role("listitem")).to_have_text(
            [
                "Files of no job (48.0 MB)",
                "The model spare, which no job uses. It can be downloaded again. (1.0 GB)",
                "Records and events of jobs that were deleted (2.0 MB)",
            ]
        )
        await asked.get_by_role("button", name="Keep").click()
        assert fake_backend.count("POST /v1/disk/clean") == 0
        await dialog.get_by_role("button", name="Remove unused files").click()
        fake_backend.fault("POST /v1/disk/clean", times=1, status=500, body=b'{"error": "A file stays."}')
        await asked.get_by_role("button", name="Remove 1.1 GB").click()
        await expect(dialog).to_contain_text("A file stays.")
        await asked.get_by_role("button", name="Remove 1.1 GB").click()
        await expect(asked.get_by_role("status")).to_have_text("1.1 GB removed.")
        await expect(dialog.get_by_role("button", name="Remove unused files")).to_have_count(0)
        await expect(dialog).not_to_contain_text("spare")
        await expect(dialog.get_by_role("link")).to_have_text(["large", "small"])
        await expect(dialog).to_contain_text("2 jobs take 5.0 GB")
        await dialog.get_by_role("link", name="large").click()
        await expect(page.get_by_role("heading", name="large", level=1)).to_be_visible()
        await expect(dialog).to_have_count(0)
