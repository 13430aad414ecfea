"""A TypeScript project on Home, built with the real esbuild: what is shown runs, what is wrong is told."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from tests.support.typescript_projects import trainer

from .steps import hurried

if TYPE_CHECKING:
    from arkor_dev.core.settings import Settings
    from tests.support.studio import Studio
    from tests.support.typescript_projects import TypeScriptProject

    from .conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]

START = 60_000


@pytest.fixture
def settings(settings: Settings, typescript_project: TypeScriptProject) -> Settings:
    """One launch on the TypeScript project."""
    return replace(settings, project=typescript_project.path)


async def test_a_project_without_a_trainer_says_what_to_export(
    studio: Studio, typescript_project: TypeScriptProject, open_page: OpenPage
) -> None:
    typescript_project.write("export const other = 1;")
    async with open_page(studio.url) as page:
        await expect(page.get_by_role("heading", level=1)).to_have_text(
            "No trainer is exported", timeout=START
        )
        await expect(page.locator("main")).not_to_contain_text("arkor.toml")
        # What is taught has to work as it is copied.
        typescript_project.write(await page.locator(".home-snippet pre").inner_text())
        await expect(page.get_by_role("heading", level=1)).to_have_text("support-bot", timeout=START)
        await page.get_by_role("button", name="Run training").click()
        await expect(page.get_by_role("log")).to_contain_text("Started job job-support-bot", timeout=START)


async def test_sdk_errors_show_their_stack_on_demand(
    studio: Studio, typescript_project: TypeScriptProject, open_page: OpenPage
) -> None:
    typescript_project.write(trainer("bot", "smollm2-135m-instrukt"))
    async with open_page(studio.url, faulty=True) as page:
        alert = page.get_by_role("alert")
        await expect(alert).to_contain_text('Unknown model "smollm2-135m-instrukt"', timeout=START)
        stack = alert.locator("pre")
        await expect(stack).to_be_hidden()
        await alert.get_by_text("Show the whole output").click()
        await expect(stack).to_contain_text("at createTrainer")


async def test_a_renamed_trainer_is_not_started_under_its_old_name(
    studio: Studio, typescript_project: TypeScriptProject, open_page: OpenPage
) -> None:
    typescript_project.write(trainer("one"))
    async with open_page(studio.url, faulty=True, clock=True) as page:
        await expect(page.get_by_role("heading", level=1)).to_have_text("one", timeout=START)
        typescript_project.write(trainer("two"))
        await page.get_by_role("button", name="Run training").click()
        await expect(page.get_by_role("alert")).to_contain_text('called "two" in the project now, not "one"')
        assert "start" not in typescript_project.calls()
        async with hurried(page):
            await expect(page.get_by_role("heading", level=1)).to_have_text("two", timeout=START)
