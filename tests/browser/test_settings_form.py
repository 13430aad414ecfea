"""Home's form of settings: changed, marked, undone, written into the file, or run without writing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from tests.support.waiting import until

from .steps import hurried
from .test_home import START, declare

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page

    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

    from .conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]

TOML = """\
# Mine.
[[trainer]]
name = "first"   # a name
model = "tiny"
dataset = "data/chats.jsonl"
steps = 12       # few

[trainer.lora]
r = 4

[[trainer]]
name = "second"
model = "tiny"
dataset = "data/chats.jsonl"
"""


async def opened(page: Page) -> Locator:
    """The settings, which are closed at rest."""
    await page.get_by_role("button", name="Edit settings").click()
    return page.locator(".home-card")


def row(page: Page, label: str) -> Locator:
    """The row of one setting."""
    return page.locator(".set-row").filter(has=page.get_by_label(label, exact=True))


async def put(page: Page, label: str, text: str) -> None:
    """Type a setting anew."""
    await page.get_by_label(label, exact=True).fill(text)


async def test_changes_are_marked_undone_and_written_unless_the_file_has_changed_meanwhile(
    studio: Studio, open_page: OpenPage
) -> None:
    declare(studio.settings.project, TOML)
    toml = studio.settings.project / "arkor.toml"
    async with open_page(studio.url, faulty="/api/manifest", clock=True) as page:
        form = await opened(page)
        # The few that people change, each with its help while it is used.
        await expect(form.locator("input[type=text]")).to_have_count(5)
        await expect(form.locator(".set-help:visible")).to_have_count(0)
        await page.get_by_label("LoRA rank", exact=True).focus()
        await expect(form.locator(".set-help:visible")).to_contain_text("Rank of the LoRA matrices.")
        await put(page, "Steps", "60")
        await put(page, "LoRA rank", "16")
        await put(page, "Learning rate", "5e-4")
        await expect(form).to_contain_text("3 changes not in arkor.toml")
        await expect(row(page, "Steps")).to_contain_text("In arkor.toml: 12")
        await expect(row(page, "Learning rate")).to_contain_text("In arkor.toml: not set")
        await expect(page.locator(".home-facts")).to_contain_text("LoRA rank 16")
        await expect(page.locator(".home-facts")).to_contain_text("60 steps")
        await page.get_by_role("button", name="Undo Learning rate").click()
        await expect(page.get_by_label("Learning rate", exact=True)).to_have_value("")
        # The focus stays in the row from which the button has gone.
        await expect(page.get_by_label("Learning rate", exact=True)).to_be_focused()
        await form.get_by_role("button", name="Write to arkor.toml").click()
        dialog = page.get_by_role("dialog", name="Write to arkor.toml")
        await expect(dialog.locator("del")).to_have_text(
            [re.compile("steps = 12 +# few"), re.compile("r = 4")]
        )
        await expect(dialog.locator("ins")).to_have_text(
            [re.compile("steps = 60 +# few"), re.compile("r = 16")]
        )
        assert toml.read_text() == TOML
        await dialog.get_by_role("button", name="Write", exact=True).click()
        await expect(dialog).to_have_count(0)
        assert toml.read_text() == TOML.replace("= 12 ", "= 60 ").replace("r = 4", "r = 16")
        # What the page wrote is no news of somebody's edit.
        await expect(page.locator(".home-note")).to_have_count(0)
        await expect(page.get_by_label("Steps", exact=True)).to_have_value("60")
        await page.get_by_role("button", name="Run training").wait_for()
        await page.get_by_role("button", name="Undo", exact=True).click()
        await expect(page.locator(".ui-said")).to_have_text("arkor.toml is as it was before")
        assert toml.read_text() == TOML
        await expect(page.get_by_label("Steps", exact=True)).to_have_value("12")

        # A file that has changed meanwhile is not overwritten.
        await put(page, "Steps", "60")
        await page.get_by_role("button", name="Write to arkor.toml").click()
        dialog = page.get_by_role("dialog")
        await expect(dialog.locator("ins")).to_have_count(1)
        toml.write_text(TOML.replace("r = 4", "r = 5"))
        await dialog.get_by_role("button", name="Write", exact=True).click()
        await expect(dialog.get_by_role("alert")).to_contain_text("has changed on disk")
        assert toml.read_text() == TOML.replace("r = 4", "r = 5")
        await dialog.get_by_role("button", name="Back").click()
        # The form follows the file; what was changed here is still there, and can be written now.
        async with hurried(page):
            await expect(page.get_by_label("LoRA rank", exact=True)).to_have_value("5", timeout=START)
        await page.get_by_role("button", name="Write to arkor.toml").click()
        await dialog.get_by_role("button", name="Write", exact=True).click()
        await expect(dialog).to_have_count(0)
        assert toml.read_text() == TOML.replace("r = 4", "r = 5").replace("= 12 ", "= 60 ")


async def test_changed_settings_run_without_writing(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    declare(studio.settings.project, TOML)
    async with open_page(studio.url) as page:
        await opened(page)
        await put(page, "Epochs", "2")
        # Steps and epochs exclude each other, so the file's steps do not count.
        await expect(page.get_by_label("Steps", exact=True)).to_have_value("")
        await page.get_by_role("button", name="All settings").click()
        await page.locator("summary", has_text="Learning rate and optimizer").click()
        await page.get_by_label("Optimizer", exact=True).select_option("sgd")
        await page.reload()
        await opened(page)
        await page.get_by_role("button", name="All settings 1 change").click()
        await expect(page.get_by_label("Epochs", exact=True)).to_have_value("2")
        await expect(page.get_by_label("Optimizer", exact=True)).to_have_value("sgd")
        await page.get_by_role("button", name="Run with unsaved changes").click()
        await until(lambda: bool(fake_backend.jobs), START / 1000)
        ((job, view),) = fake_backend.jobs.items()
        assert view["config"] == {
            "model": "tiny",
            "datasetSource": {"type": "file", "path": "data/chats.jsonl"},
            "numTrainEpochs": 2,
            "loraR": 4,
            "optim": "sgd",
            "setByHand": ["maxSteps", "numTrainEpochs", "optim"],
        }
        fake_backend.finish(job)
        assert (studio.settings.project / "arkor.toml").read_text() == TOML
        await page.goto(f"{studio.url}/#/jobs/{job}")
        await page.get_by_role("tab", name="Configuration").click()
        await expect(page.locator(".job-fact", has_text="Epochs")).to_contain_text("set by hand")
        await expect(page.locator(".job-fact", has_text="LoRA rank")).not_to_contain_text("set by hand")


async def test_invalid_values_are_reported_while_typing_and_one_of_several_methods_is_chosen(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    declare(studio.settings.project, TOML)
    fake_backend.features = []
    fake_backend.methods = [
        {"name": "sft", "label": "Supervised fine-tuning"},
        {"name": "dpo", "label": "Direct preference optimization"},
    ]
    async with open_page(studio.url) as page:
        card = await opened(page)
        rank = page.get_by_label("LoRA rank", exact=True)
        await rank.fill("2000")
        await expect(row(page, "LoRA rank").get_by_role("alert")).to_have_text(
            "Must be a whole number from 1 to 1,024."
        )
        await expect(rank).to_have_attribute("aria-invalid", "true")
        await expect(page.get_by_role("button", name="Run with unsaved changes")).to_be_disabled()
        await expect(page.get_by_role("button", name="Write to arkor.toml")).to_be_disabled()
        await rank.press_sequentially("x")
        await expect(rank).to_have_value("2000x")
        # By keys alone: to the button that undoes it, and back in the field.
        await rank.press("Tab")
        await page.keyboard.press("Enter")
        await expect(rank).to_have_value("4")
        await expect(rank).to_be_focused()
        await expect(page.get_by_role("button", name="Run training")).to_be_enabled()
        # Two that do not go together, of which the second is in a part that is folded.
        await page.get_by_role("button", name="All settings").click()
        await page.locator("summary", has_text="Learning rate and optimizer").click()
        await put(page, "Polynomial power", "2")
        power = row(page, "Polynomial power")
        await expect(power.get_by_role("alert")).to_contain_text("only when LR scheduler is")
        await page.get_by_label("LR scheduler", exact=True).select_option("polynomial")
        await expect(power.get_by_role("alert")).to_have_count(0)
        await expect(page.get_by_role("button", name="Run with unsaved changes")).to_be_enabled()
        await put(page, "Base model", "")
        await expect(row(page, "Base model").get_by_role("alert")).to_contain_text("Must be a model's name")

        await page.get_by_role("button", name="Reset").click()
        choice = page.get_by_label("Training method", exact=True)
        await choice.select_option(label="Direct preference optimization")
        await expect(card).to_contain_text("training method not set → dpo")
        await expect(page.get_by_role("button", name="Run with unsaved changes")).to_be_enabled()


async def test_a_job_is_run_again_with_changes(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    declare(studio.settings.project, TOML)
    config = {
        "model": "tiny",
        "datasetSource": {"type": "file", "path": "data/old.jsonl"},
        "learningRate": 0.002,
        "batchSize": 2,
        "setByHand": ["batchSize"],
    }
    job = fake_backend.add_job("completed", name="second", config=config)
    gone = fake_backend.add_job("cancelled", name="deleted", config=config)
    async with open_page(studio.url, f"/#/jobs/{job}") as page:
        await page.get_by_role("button", name="Run again").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("second")
        await expect(page.get_by_label("Learning rate", exact=True)).to_have_value("0.002")
        await page.get_by_role("button", name="All settings").click()
        await expect(page.get_by_label("Batch size", exact=True)).to_have_value("2")
        form = page.locator(".home-card")
        await expect(form).to_contain_text("2 changes not in arkor.toml")
        await expect(form).to_contain_text(
            "It was trained on data/old.jsonl; this trainer uses data/chats.jsonl."
        )
        await put(page, "Learning rate", "0.001")
        # What was typed is not lost without a question.
        await form.get_by_role("link", name="second").click()
        await page.get_by_role("button", name="Run again").click()
        question = page.get_by_role("dialog", name="Replace the changes on Home?")
        await question.get_by_role("button", name="Back").click()
        await page.goto(f"{studio.url}/#/?trainer=second")
        await expect(form).to_contain_text("learning rate not set → 0.001")
        await page.get_by_role("button", name="Reset").click()
        await expect(page.locator(".home-note")).to_have_count(0)
        await page.goto(f"{studio.url}/#/jobs/{gone}")
        await page.get_by_role("button", name="Run again").click()
        await expect(page.get_by_role("alert")).to_contain_text("no trainer deleted in arkor.toml")


async def test_a_running_job_replaces_the_settings(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    """What runs is on the screen; whoever fills the settings from a job sees them all the same."""
    declare(studio.settings.project, TOML)
    async with open_page(studio.url, height=720, clock=True) as page:
        card, rank = await opened(page), page.get_by_label("LoRA rank", exact=True)
        await put(page, "LoRA rank", "16")
        await put(page, "Steps", "")
        await page.get_by_role("button", name="Run with unsaved changes").click()
        await expect(card).to_have_count(0, timeout=START)
        await expect(page.locator(".home-curve")).to_be_in_viewport(ratio=1)
        await page.reload()
        await expect(page.locator(".home-curve")).to_be_visible()
        await expect(card).to_have_count(0)
        ended = fake_backend.add_job("completed", name="first", config={"model": "tiny", "loraR": 8})
        await page.goto(f"{studio.url}/#/jobs/{ended}")
        again = page.get_by_role("button", name="Run again")
        async with hurried(page, studio):
            await again.wait_for()
        await again.click()
        await page.get_by_role("dialog").get_by_role("button", name="Replace").click()
        await expect(rank).to_have_value("8")
        # The end of the run moves nothing that is being read.
        fake_backend.finish(next(job for job in fake_backend.jobs if job != ended))
        await expect(page.get_by_role("button", name="Run with unsaved changes")).to_be_visible(timeout=START)
        await expect(rank).to_have_value("8")
