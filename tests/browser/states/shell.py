"""What stands around every page: the palette, the keys, and what is said when something is away."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from playwright.async_api import expect

from arkor_dev.project.start_requests import PendingStart, folder_of
from tests.browser.steps import hurried

from . import PROMPTLY, Scene, state, trained, walk

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


@state("shell-palette", "Jumping to a job, a page or an action", tour="job")
async def palette(scene: Scene) -> None:
    for number in range(12):
        scene.fake.add_job("completed", name=f"support-bot-{number}")
    await scene.go("/#/jobs")
    await expect(scene.page.locator(".jobs-row").first).to_be_visible()
    await scene.page.keyboard.press("Control+k")
    await scene.page.keyboard.type("supp")
    await expect(scene.page.get_by_role("dialog").get_by_role("option").first).to_contain_text("support-bot")


@state("shell-keys", "The keys of this page", tour="job")
async def keys(scene: Scene) -> None:
    job = trained(scene.fake, "support-bot")
    await scene.go(f"/#/jobs/{job}")
    await expect(scene.page.locator(".chart-curve").first).to_be_attached()
    await scene.page.keyboard.press("?")
    await expect(scene.page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()


@state("shell-gone", "Studio was stopped in the terminal", faulty=True)
async def gone(scene: Scene) -> None:
    trained(scene.fake, "support-bot")
    await scene.go("/#/jobs", clock=True)
    await expect(scene.page.locator(".jobs-row").first).to_be_visible()
    # To the page a daemon that was stopped: every call finds nobody.
    await scene.page.context.set_offline(True)
    async with hurried(scene.page):
        gone = scene.page.get_by_text("Studio is not answering.").first
        await expect(gone).to_be_visible(timeout=PROMPTLY)


@state("shell-outdated", "The backend does not work with this version", faulty=True)
async def outdated(scene: Scene) -> None:
    trained(scene.fake, "support-bot")
    await scene.go("/#/jobs", clock=True)
    await expect(scene.page.locator(".jobs-row").first).to_be_visible()
    body = {"error": "sdk_version_unsupported", "currentVersion": "0.1.0", "supportedRange": ">=1.4.0 <2"}
    scene.fake.fault("*", status=426, body=json.dumps(body).encode())
    async with hurried(scene.page, scene.studio):
        note = scene.page.locator(".shell-note")
        await expect(note).to_contain_text("This Studio must be upgraded.", timeout=PROMPTLY)
        await expect(note).to_contain_text("it supports >=1.4.0 <2. To upgrade this Studio, run ")


@state("shell-notice", "The backend announces its end", tour="jobs")
async def notice(scene: Scene) -> None:
    scene.fake.headers = {"Sunset": "Mon, 01 Mar 2027 12:00:00 GMT", "Warning": '299 - "Version 1 will go."'}
    trained(scene.fake, "support-bot")
    await scene.go("/#/jobs")
    await expect(scene.page.locator(".shell-note")).to_contain_text("1 Mar 2027")


@state("shell-unknown", "An address that is no page", tour="job")
async def unknown(scene: Scene) -> None:
    await scene.go("/#/no/such/page")
    await expect(scene.page.locator("main h1").first).to_be_attached()


@walk(
    {"shell-start": "A program wants to start a run, and a person allows or denies it"},
    tour="jobs",
)
async def start(scene: Scene) -> AsyncGenerator[None]:
    said = {
        "client": "Claude", "name": "support-bot #12", "model": "SmolLM2-135M-Instruct",
        "data": "data/support.jsonl", "changes": [["learning_rate", "0.001"], ["lora.r", "16"]],
        "dryRun": False,
    }  # fmt: skip
    trained(scene.fake, "support-bot")
    with PendingStart(folder_of(scene.studio.settings), said):
        await scene.go("/#/jobs")
        await expect(scene.page.get_by_role("button", name="Allow")).to_be_visible()
        yield
