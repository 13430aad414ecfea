"""The first ten minutes: an empty folder, a person's own CSV, a judged adapter, files, an endpoint's curl.

A true daemon and a true training, of a tiny model.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest
from playwright.async_api import expect

from tests.local.conftest import made_once
from tests.local.forking_backend import of_a_studio, worker_template
from tests.support.daemon import free_port, running_daemon

from .steps import MINUTE, completed, go_to, open_job, press_run

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from pathlib import Path

    from .conftest import OpenPage

CSV = "id;Frage;Antwort\n" + "".join(
    f"{n};Where is parcel {n}?;Parcel {n} is on its way.\n" for n in range(60)
)


@pytest.mark.slow
@pytest.mark.beside
@pytest.mark.browser
@pytest.mark.engine
@pytest.mark.timeout(300)
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_from_an_empty_folder_to_an_export_and_in_14_presses_to_a_curl(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    open_page: OpenPage,
) -> None:
    project = tmp_path / "shop"
    # As a person has it who has fetched a model before.
    shutil.copytree(made_once(tmp_path_factory), project / "models" / "tiny")
    (tmp_path / "faq.csv").write_text(CSV)
    local = ("--local", "--project", str(project))
    async with (
        running_daemon(tmp_path / "home", free_port(), *local, **of_a_studio(worker_template())) as daemon,
        open_page(daemon.origin, reduced_motion="reduce") as page,
    ):
        presses = 0

        async def press(pressed: Awaitable[object]) -> None:
            nonlocal presses
            await pressed
            presses += 1

        await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        await press(page.get_by_label("Data file").set_input_files(tmp_path / "faq.csv"))
        await press(page.get_by_label("Prompt").select_option("Frage"))
        await press(page.get_by_label("Answer").select_option("Antwort"))
        await press(page.get_by_role("button", name="Write to arkor.toml").click())
        await expect(page.locator(".home-facts")).to_contain_text("60 examples")
        # Not counted: a person keeps the model and the steps, which would take minutes.
        await page.get_by_role("button", name="Edit settings").click()
        await page.get_by_label("Base model").fill("./models/tiny")
        await page.get_by_label("Steps", exact=True).fill("8")
        await page.get_by_label("Learning rate").fill("0.01")
        await page.get_by_role("button", name="Write to arkor.toml").click()
        await page.get_by_role("dialog").get_by_role("button", name="Write", exact=True).click()
        await expect(page.locator(".home-facts")).to_contain_text("8 steps")
        presses += 1
        job = await press_run(page)
        await open_job(page, job)
        await completed(page)
        await expect(page.get_by_role("region", name="Verdict")).to_contain_text("Your task", timeout=MINUTE)
        await page.get_by_role("button", name="Export adapter").click()
        one = page.get_by_role("article", name="Adapter")
        async with page.expect_download() as saved:
            await one.get_by_role("button", name="Save .zip").click(timeout=MINUTE)
        with ZipFile(await (await saved.value).path()) as archive:
            assert "adapter_model.safetensors" in archive.namelist()
        await expect(one).to_contain_text("Verified", timeout=MINUTE)
        await press(go_to(page, "Endpoints"))
        await press(page.get_by_role("button", name="New endpoint").click())
        await press(page.get_by_role("button", name="Create endpoint").click())
        await press(page.get_by_label("Label of a new key").fill("my shell"))
        await press(page.get_by_role("button", name="Issue key").click())
        copied = []
        for button in ("Copy as a shell command", "I have stored it", "Copy code"):
            await press(page.get_by_role("button", name=button).click())
            copied.append(await page.evaluate("navigator.clipboard.readText()"))
        shell = await asyncio.create_subprocess_exec(
            "sh", "-c", f"{copied[0]}\n{copied[2]}", stdout=asyncio.subprocess.PIPE
        )
        answer, _ = await shell.communicate()
        assert b'"delta"' in answer
        assert answer.rstrip().endswith(b"data: [DONE]")
        assert presses <= 14


TICKETS = "text,label\n" + "".join(
    f"{asked} {number}?,{label}\n"
    for number in range(30)
    for asked, label in (("Where is my parcel", "shipping"), ("Why was I charged for invoice", "billing"))
)
CLASSIFIER = """[[trainer]]
name = "tickets"
model = "./models/tiny"
dataset = "data/tickets.csv"
method = "classify"
steps = 24
learning_rate = 0.01
"""


@pytest.mark.slow
@pytest.mark.beside
@pytest.mark.browser
@pytest.mark.engine
@pytest.mark.timeout(240)  # as docs/classifiers.md says
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_from_a_csv_of_tickets_to_a_label_by_curl(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    open_page: OpenPage,
) -> None:
    project = tmp_path / "tickets"
    shutil.copytree(made_once(tmp_path_factory), project / "models" / "tiny")
    (project / "data").mkdir()
    (project / "data" / "tickets.csv").write_text(TICKETS)
    (project / "arkor.toml").write_text(CLASSIFIER)
    local = ("--local", "--project", str(project))
    async with (
        running_daemon(tmp_path / "home", free_port(), *local, **of_a_studio(worker_template())) as daemon,
        open_page(daemon.origin, reduced_motion="reduce") as page,
    ):
        await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        await expect(page.locator(".home-facts")).to_contain_text("60 examples")
        await open_job(page, await press_run(page))
        await completed(page)
        verdict = page.get_by_role("region", name="Verdict")
        await expect(verdict).to_contain_text("Accuracy on", timeout=MINUTE)
        await page.get_by_role("link", name="Open in Playground", exact=True).click()
        text = page.get_by_label("Text to classify")
        await text.fill("Where is my parcel 99?")
        await text.press("Enter")
        await expect(page.get_by_role("main")).to_contain_text("shipping", timeout=MINUTE)
        await go_to(page, "Endpoints")
        await page.get_by_role("button", name="New endpoint").click()
        await page.get_by_role("button", name="Create endpoint").click()
        await page.get_by_label("Label of a new key").fill("my shell")
        await page.get_by_role("button", name="Issue key").click()
        await page.get_by_role("button", name="Copy as a shell command").click()
        key = await page.evaluate("navigator.clipboard.readText()")
        await page.get_by_role("button", name="I have stored it").click()
        await page.get_by_role("button", name="Copy code").click()
        curl = await page.evaluate("navigator.clipboard.readText()")
        shell = await asyncio.create_subprocess_exec(
            "sh", "-c", f"{key}\n{curl}", stdout=asyncio.subprocess.PIPE
        )
        answer, _ = await shell.communicate()
        labeled = json.loads(answer)
        assert "labels" in labeled, labeled
        assert set(labeled["labels"]) == {"billing", "shipping"}
        (found,) = labeled["data"]
        assert found["label"] in labeled["labels"]
        assert sum(found["probs"]) == pytest.approx(1, abs=1e-3)
