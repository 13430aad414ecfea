"""A search for better settings, started on the page, and its winner written into arkor.toml."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from .states import Scene
from .states.sweeps import compared, new, sweep

if TYPE_CHECKING:
    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

    from .conftest import OpenPage

pytestmark = [pytest.mark.browser]


async def test_a_sweep_is_started_and_stopped_on_the_page(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    async with open_page(studio.url, None) as page:
        await new(Scene(page, studio, fake_backend))
        await page.get_by_label("Values of LoRA rank").fill("4")
        await page.get_by_role("button", name="Start sweep").click()
        await expect(page.get_by_role("alert")).to_contain_text("LoRA rank: write values such as")
        await page.get_by_label("Values of LoRA rank").fill("4, 32")
        await page.get_by_role("button", name="Start sweep").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("support-bot sweep")
        (started,) = fake_backend.sweeps.sweeps
        rate = {"low": 1e-4, "high": 5e-3, "log": True}
        assert started["space"] == {"learningRate": rate, "loraR": [4, 32]}
        assert started["config"]["maxSteps"] == 400
        assert started["deadline"].endswith("Z")
        await page.get_by_role("button", name="Stop sweep").click()
        await page.get_by_role("dialog").get_by_role("button", name="Stop sweep").click()
        await expect(page.get_by_role("button", name="Stop sweep")).to_have_count(0)
        assert started["state"] == "stopped"


async def test_a_sweep_that_could_not_be_judged_starts_with_more_held_out_rows_by_one_press(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    refusal = {"error": "A search needs at least 16 held-out rows: hold out 27 % or more.", "evalSplit": 0.27}
    async with open_page(studio.url, None, faulty=True) as page:
        await new(Scene(page, studio, fake_backend))
        fake_backend.fault("POST /v1/sweeps", times=1, status=400, body=json.dumps(refusal).encode())
        await page.get_by_role("button", name="Start sweep").click()
        await expect(page.get_by_role("alert")).to_contain_text("needs at least 16 held-out rows")
        await page.get_by_role("button", name="Hold out 27 % in this search").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("support-bot sweep")
        (started,) = fake_backend.sweeps.sweeps
        assert started["config"]["datasetSplit"] == 0.27


async def test_the_winning_settings_are_written_with_one_press(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    async with open_page(studio.url, None) as page:
        scene = Scene(page, studio, fake_backend)
        made = sweep(scene)
        # Its four jobs are one row on Home, as on Jobs, and leave room for others.
        await scene.go("/#/")
        recent = page.get_by_role("region", name="Recent jobs")
        await expect(recent.get_by_role("listitem")).to_have_count(1)
        await expect(recent.get_by_role("link", name="All 1", exact=True)).to_be_visible()
        await scene.go("/#/jobs")
        await page.get_by_role("link", name="Sweep, 4 jobs").click()
        write = page.get_by_role("button", name="Write to arkor.toml")
        await expect(write).to_be_visible()
        declared = scene.project / "arkor.toml"
        declared.write_text(f"# edited while the sweep ran\n{declared.read_text()}")
        await write.click()
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("+ warmup_steps = 4")
        await dialog.get_by_role("button", name="Write", exact=True).click()
        await expect(dialog).to_have_count(0)
        text = declared.read_text()
        assert text.startswith("# edited while the sweep ran\n")
        assert f"learning_rate = {made['verdict']['settings']['learningRate']}" in text
        assert 'scheduler = "wsd"' in text
        await page.get_by_role("button", name="Delete sweep").click()
        await page.get_by_label("Also delete 4 jobs").check()
        await page.get_by_role("dialog").get_by_role("button", name="Delete sweep").click()
        await expect(page.get_by_role("button", name="Start sweep")).to_be_visible()
        assert fake_backend.sweeps.sweeps == []
        assert [job for job in fake_backend.jobs.values() if job.get("sweep")] == []


async def test_sources_are_compared_and_their_weights_written(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    async with open_page(studio.url, None) as page:
        scene = Scene(page, studio, fake_backend)
        compared(scene)
        await scene.go("/#/sweeps")
        row = page.get_by_role("row", name="data/web.jsonl")
        await expect(row).to_contain_text("harms")
        await expect(row).to_contain_text("\u22120.340 (\u22120.440 to \u22120.240)")
        await expect(row).to_contain_text("1 → 0")
        await page.get_by_role("button", name="Write weights to arkor.toml").click()
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("weight = 2")
        await dialog.get_by_role("button", name="Write", exact=True).click()
        await expect(dialog).to_have_count(0)
        text = (scene.project / "arkor.toml").read_text()
        assert '[{ path = "data/faq.jsonl", weight = 2 }, "data/tickets.jsonl", ' in text
        assert '{ path = "data/web.jsonl", weight = 0 }, "data/made-by-a-teacher.jsonl"]' in text
        await page.get_by_role("link", name="New search").click()
        await page.get_by_role("button", name="Compare sources").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("support-bot sources")
        started = fake_backend.sweeps.sweeps[0]
        assert (started["runs"], started["space"]) == (16, {})
        assert len(started["config"]["datasetSource"]["sources"]) == 4
