"""A job that is paused, goes on, gets a later end, is repeated, or begins from another one."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from arkor_dev.project.arkor_toml import load_trainers
from arkor_dev.server.app_keys import JOBS

from .steps import hurried
from .test_home import START, declare
from .test_job import figure, steps

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

    from .conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def able(fake: FakeBackend) -> None:
    """Name all that this module is about."""
    fake.features = ["edit", "extend", "parent", "pause", "resume"]


@pytest.mark.smoke
async def test_a_job_is_paused_and_resumed_by_key(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    able(fake_backend)
    job = fake_backend.add_job(name="stop and go")
    fake_backend.emit(job, "training.started", metadata={"totalSteps": 60})
    steps(fake_backend, job, 1, 20)
    async with open_page(studio.url, f"/#/jobs/{job}") as page:
        await expect(page.get_by_role("button", name="Pause", exact=True)).to_be_visible()
        await expect(figure(page, "Step")).to_contain_text("20 / 60")
        # What was Pause must not become Cancel under the pointer.
        buttons = page.locator(".job-actions > .ui-button")
        await expect(buttons).to_have_text(["Pause", "Cancel job"])
        await page.keyboard.press("s")
        await expect(page.locator(".job-line")).to_contain_text("Paused")
        await expect(buttons).to_have_text(["Resume", "Cancel job"])
        await expect(page.get_by_text("Paused after step 20.")).to_be_visible()
        await expect(figure(page, "Time left")).to_contain_text("paused")
        await expect(page.get_by_role("button", name="Pause", exact=True)).to_have_count(0)
        await page.keyboard.press("s")
        await expect(page.locator(".job-line")).to_contain_text("Queued")
        fake_backend.begin(job)
        steps(fake_backend, job, 21, 25)
        await expect(page.locator(".job-line")).to_contain_text("Running")
        await expect(page.get_by_text("Resumed at step 20.")).to_be_visible()
        await expect(figure(page, "Step")).to_contain_text("25 / 60")
        fake_backend.finish(job)
        await expect(page.locator(".job-line")).to_contain_text("Completed")
        await expect(page.get_by_text("Resumed at")).to_have_count(0)
        log = page.get_by_role("log", name=re.compile("Event log"))
        await expect(log).not_to_contain_text("training.paused")
        await expect(log).to_contain_text("training.resumed")


async def test_a_failed_job_is_resumed_with_each_step_once_and_one_with_changed_data_asks_first(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    able(fake_backend)
    job = fake_backend.add_job(name="crashed")
    fake_backend.emit(job, "training.started", metadata={"totalSteps": 60})
    steps(fake_backend, job, 1, 20)
    fake_backend.emit(job, "checkpoint.saved", step=10, artifacts=[])
    steps(fake_backend, job, 21, 23)
    fake_backend.finish(job, "failed")
    other = fake_backend.add_job(name="changed")
    steps(fake_backend, other, 1, 5)
    fake_backend.resuming.pause(other)
    fake_backend.resuming.changed[other] = "data.jsonl has other rows."
    busy = fake_backend.add_job(name="busy")
    steps(fake_backend, busy, 1, 5)
    async with open_page(studio.url, f"/#/jobs/{job}", faulty="/(resume|pause)") as page:
        alert, line = page.get_by_role("alert"), page.locator(".job-line")
        resume = page.get_by_role("button", name="Resume", exact=True)
        await expect(alert).to_contain_text("it broke")
        await expect(figure(page, "Step")).to_contain_text("23 / 60")
        await resume.click()
        await expect(line).to_contain_text("Queued")
        fake_backend.begin(job)
        await expect(figure(page, "Step")).to_contain_text("10 / 60")
        await expect(line).to_contain_text("Running")
        await expect(alert).to_have_count(0)
        steps(fake_backend, job, 11, 14)
        await expect(figure(page, "Step")).to_contain_text("14 / 60")
        await page.get_by_label("Kind of event").select_option(label="training.log (14)")
        await page.reload()
        await expect(figure(page, "Step")).to_contain_text("14 / 60")
        await page.get_by_label("Kind of event").select_option(label="training.log (14)")

        await page.goto(f"{studio.url}/#/jobs/{other}")
        await expect(page.get_by_role("heading", level=1)).to_have_text("changed")
        await resume.click()
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("data.jsonl has other rows.")
        await dialog.get_by_role("button", name="Back").click()
        await expect(line).to_contain_text("Paused")
        await expect(alert).to_have_count(0)
        await resume.click()
        await dialog.get_by_role("button", name="Resume anyway").click()
        await expect(line).to_contain_text("Queued")
        assert fake_backend.last("POST /v1/jobs/{id}/resume").json() == {"force": True}
        fake_backend.fault("POST /v1/jobs/{id}/pause", status=409, body=b'{"error": "It is saving."}')
        await page.goto(f"{studio.url}/#/jobs/{busy}")
        await page.get_by_role("button", name="Pause", exact=True).click()
        await expect(alert).to_contain_text("The job was not paused")
        await expect(alert).to_contain_text("It is saving.")


async def test_a_finished_job_gets_a_later_end_where_the_backend_can(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    able(fake_backend)
    job = fake_backend.add_job(name="longer")
    fake_backend.emit(job, "training.started", metadata={"totalSteps": 40})
    steps(fake_backend, job, 1, 40)
    fake_backend.finish(job)
    async with open_page(studio.url, f"/#/jobs/{job}", clock=True) as page:
        await page.get_by_role("button", name="More actions").click()
        await page.get_by_role("menuitem", name="Extend this job").click()
        dialog = page.get_by_role("dialog")
        end = dialog.get_by_label("Train to step")
        await expect(end).to_be_focused()
        await expect(end).to_have_value("60")
        extend = dialog.get_by_role("button", name="Extend", exact=True)
        for wrong, words in (("40", "More than the 40"), ("50.5", "A whole number"), ("", "A number")):
            await end.fill(wrong)
            await expect(dialog.get_by_role("alert")).to_contain_text(words)
            await expect(extend).to_be_disabled()
        await end.fill("50")
        await expect(dialog).to_contain_text("10 more")
        await dialog.get_by_text("Start again").click()
        await expect(dialog).to_contain_text("Warms the learning rate up again")
        await end.press("Enter")
        await expect(dialog).to_have_count(0)
        assert fake_backend.last("POST /v1/jobs/{id}/extend").json() == {
            "maxSteps": 50,
            "schedule": "restart",
        }
        await expect(page.locator(".job-line")).to_contain_text("Queued")
        # A worker that loads its model sends no event for a while: only the list says so, which the page and
        # Studio request every 5 s each.
        fake_backend.jobs[job]["status"] = "running"
        async with hurried(page, studio):
            await expect(page.locator(".job-line")).to_contain_text("Running")
        fake_backend.begin(job)
        steps(fake_backend, job, 41, 45)
        await expect(figure(page, "Step")).to_contain_text("45")

        # Without the features there are no such controls.
        fake_backend.features = ["edit"]
        plain = fake_backend.add_job(name="plain")
        fake_backend.emit(plain, "checkpoint.saved", step=10, artifacts=[])
        steps(fake_backend, plain, 11, 12)
        await page.goto(f"{studio.url}/#/jobs/{plain}")
        await page.reload()
        await expect(page.get_by_role("button", name="More actions")).to_be_visible()
        # There is nothing but to try it.
        checkpoint = page.get_by_role("row", name=re.compile("^Step 10"))
        await expect(checkpoint.get_by_role("link", name="Try Step 10")).to_be_visible()
        await expect(checkpoint.get_by_role("button")).to_have_count(0)
        for name in ("Pause", "Resume"):
            await expect(page.get_by_role("button", name=name, exact=True)).to_have_count(0)
        await page.get_by_role("button", name="More actions").click()
        await expect(page.get_by_role("menuitem", name="Extend this job")).to_have_count(0)


async def test_a_branch_starts_from_a_checkpoint_and_shows_its_parent(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    able(fake_backend)
    declare(studio.settings.project)
    config = {"model": "tiny", "datasetSource": {"type": "file", "path": "data/chats.jsonl"}, "maxSteps": 12}
    parent = fake_backend.add_job(name="first", config={**config, "learningRate": 1e-3})
    steps(fake_backend, parent, 1, 10)
    fake_backend.emit(parent, "checkpoint.saved", step=10, artifacts=[])
    fake_backend.finish(parent)
    async with open_page(studio.url, f"/#/jobs/{parent}") as page:
        await page.get_by_role("button", name="Actions for Step 10").click()
        await page.get_by_role("menuitem", name="Branch from here").click()
        await expect(page.get_by_text("Starts from step 10 of first, with")).to_be_visible()
        await expect(page.get_by_role("button", name="Start from the base model")).to_be_visible()
        await page.reload()
        await expect(page.get_by_text("Starts from step 10 of first, with")).to_be_visible()
        await page.get_by_role("button", name="Run with unsaved changes").click()
        link = page.locator(".home-output").get_by_role("link", name="Open job")
        await expect(link).to_be_visible(timeout=START)
        sent = fake_backend.last("POST /v1/jobs").json()
        assert sent["parent"] == {"jobId": parent, "step": 10}
        assert sent["config"]["learningRate"] == 1e-3
        await link.click()
        await expect(page.locator(".job-line")).to_contain_text("from first, step 10")
        await expect(page.locator(".job-chart-head")).to_contain_text("first, its parent")
        job = next(reversed(fake_backend.jobs))
        fake_backend.begin(job)
        steps(fake_backend, job, 1, 3)
        await expect(figure(page, "Step")).to_contain_text("3 / 12")
        # It is drawn from where it left its parent: ten steps before its own three.
        chart = page.locator(".chart")
        await chart.focus()
        await page.keyboard.press("End")
        await expect(page.locator(".chart-readout-head")).to_contain_text("step 13")
        fake_backend.finish(job)
        await page.locator(".job-line").get_by_role("link", name="first").click()
        await expect(page).to_have_url(re.compile(f"#/jobs/{parent}$"))
        await page.goto(f"{studio.url}/#/")
        # A branch is asked for once: the next press starts from the base model, with the settings that stay.
        await expect(page.locator(".home-note")).to_contain_text("learning rate not set → 0.001")
        await expect(page.get_by_text("Starts from step")).to_have_count(0)


async def test_a_job_is_run_again_with_one_press_and_home_keeps_its_changes(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    able(fake_backend)
    declare(studio.settings.project)
    source = {"type": "huggingface", "name": "owner/rows"}
    config = {"model": "other", "datasetSource": source, "maxSteps": 7, "seed": 3}
    old = fake_backend.add_job(name="first #2", config=config)
    steps(fake_backend, old, 1, 7)
    fake_backend.finish(old)
    async with open_page(studio.url, f"/#/jobs/{old}") as page:
        await page.get_by_role("button", name="More actions").click()
        await page.get_by_role("menuitem", name="Run again, the same").click()
        await page.get_by_role("dialog").get_by_role("button", name="Run training").click()
        await expect(page.get_by_role("link", name="Open job")).to_be_visible(timeout=START)
        sent = json.loads(fake_backend.last("POST /v1/jobs").body)
        assert sent["name"] == "first #3"
        assert {key: value for key, value in sent["config"].items() if key != "setByHand"} == config
        await expect(page.get_by_text("Filled in from")).to_have_count(0)
        job = next(reversed(fake_backend.jobs))
        fake_backend.begin(job)
        fake_backend.finish(job)
        await expect(page.locator(".home-output-state")).to_contain_text("Completed", timeout=START)


async def test_home_shows_each_running_job_once(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    able(fake_backend)
    declare(studio.settings.project)
    job = fake_backend.add_job(name="first")
    steps(fake_backend, job, 1, 12)
    fake_backend.resuming.go_on(job, 10, message="Studio was killed while it ran")
    steps(fake_backend, job, 11, 11)
    async with open_page(studio.url, clock=True) as page:
        told = page.locator(".home-elsewhere")
        await expect(told).to_contain_text("Resumed at step 10: Studio was killed while it ran")
        await expect(told).to_contain_text("Running")
        fake_backend.resuming.pause(job)
        async with hurried(page, studio):
            await expect(told).to_contain_text("Paused after step 11.")
            fake_backend.finish(job, "cancelled")
            await expect(told).to_have_count(0)
        await page.get_by_role("button", name="Run training").click()
        await expect(page.get_by_role("link", name="Open job")).to_be_visible(timeout=START)
        own = next(reversed(fake_backend.jobs))
        fake_backend.begin(own)
        steps(fake_backend, own, 1, 3)
        await expect(page.locator(".home-metrics")).to_contain_text("3 / 12")
        fake_backend.resuming.pause(own)
        state = page.locator(".home-output-state")
        await expect(state).to_contain_text("Paused", timeout=START)
        await expect(state).to_contain_text("command ended")
        await expect(state).not_to_contain_text("keeps running")
        await expect(told).to_have_count(0)


def running_as_written(studio: Studio, fake: FakeBackend, toml: str) -> tuple[str, Path]:
    """Let a job run with the settings of ``arkor.toml``; return its id and the file's path."""
    fake.features = ["adjust", "pause", "resume"]
    declare(studio.settings.project, toml)
    (trainer,) = load_trainers(studio.settings.project)
    job = fake.add_job(name="first", config=dict(trainer["config"]))
    fake.emit(job, "training.started", metadata={"totalSteps": 60})
    steps(fake, job, 1, 20)
    return job, studio.settings.project / "arkor.toml"


RATED = """\
[[trainer]]
name = "first"
model = "tiny"
dataset = "data/chats.jsonl"
steps = 60
learning_rate = 0.001
"""


async def test_a_running_job_continues_with_an_edit_or_is_run_again_where_it_cannot(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    job, toml = running_as_written(studio, fake_backend, RATED)
    async with open_page(studio.url, f"/#/jobs/{job}") as page:
        notice = page.locator(".job-notice", has_text="arkor.toml changed")
        await expect(figure(page, "Step")).to_contain_text("20 / 60")
        toml.write_text(RATED.replace("0.001", "0.0005"))
        await expect(notice).to_contain_text("arkor.toml changed: learning rate 0.001 → 0.0005.")
        await notice.get_by_role("button", name="Continue from step 20 with it").click()
        await expect(page.locator(".job-line")).to_contain_text("Queued")
        await expect(notice).to_have_count(0)
        adjusted = fake_backend.jobs[job]["config"]["adjusted"]
        assert adjusted == [{"step": 20, "settings": {"learningRate": [0.001, 0.0005]}}]
        fake_backend.begin(job)
        steps(fake_backend, job, 21, 25)
        await expect(figure(page, "Step")).to_contain_text("25 / 60")
        await expect(notice).to_have_count(0)

        # What was changed for the job alone is no edit of the file.
        fake_backend.jobs[job]["config"] |= {"seed": 7, "setByHand": ["seed"]}
        studio.app[JOBS].refresh()
        toml.write_text(RATED.replace("0.001", "0.0002"))
        await page.reload()
        await expect(figure(page, "Step")).to_contain_text("25 / 60")
        await expect(notice).to_contain_text("learning rate 0.0005 → 0.0002.")
        await expect(notice).not_to_contain_text("eed")

        # A backend without the feature is not offered to continue.
        fake_backend.features = ["pause", "resume"]
        await page.reload()
        await expect(figure(page, "Step")).to_contain_text("25 / 60")
        await expect(page.get_by_role("button", name="Pause", exact=True)).to_be_visible()
        await expect(page.get_by_text("arkor.toml changed")).to_have_count(0)

        fake_backend.features = ["adjust", "pause", "resume"]
        await page.goto(f"{studio.url}/#/")
        await page.reload()
        await expect(page.locator(".home-metrics")).to_contain_text("25 / 60")
        toml.write_text(RATED + "lora.r = 4\n")
        await expect(notice).to_contain_text("keeps its model, adapter, data and batches")
        await expect(notice.get_by_role("button", name="Continue")).to_have_count(0)
        await notice.get_by_role("button", name="Run again").click()
        await page.get_by_role("dialog").get_by_role("button", name="Cancel and run again").click()
        await fake_backend.until(lambda: fake_backend.count("POST /v1/jobs") == 1)
    sent = next(seen for seen in fake_backend.requests if seen.route == "POST /v1/jobs")
    assert json.loads(sent.body)["config"]["loraR"] == 4
