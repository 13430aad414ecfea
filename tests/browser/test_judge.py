"""An adapter of another program, chosen or dropped on the Jobs page, is judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Page

    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

    from .conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]


async def drop(page: Page, folder: Path) -> None:
    """Drop a folder of this machine, as a file manager does."""
    client = await page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(folder)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        await client.send("Input.dispatchDragEvent", {"type": kind, "x": 300, "y": 300, "data": data})


async def test_a_dropped_adapter_folder_is_evaluated(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage, tmp_path: Path
) -> None:
    fake_backend.features = ["adapters", "evaluation", "delete"]
    fake_backend.evaluations.looks = 0
    fake_backend.add_job("completed", name="bot")
    folder = tmp_path / "my-lora"
    folder.mkdir()
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "hub/tiny"}')
    async with open_page(studio.url, "/#/jobs") as page:
        await page.get_by_role("button", name="Judge an adapter").click()
        dialog = page.get_by_role("dialog", name="Judge an adapter")
        await dialog.get_by_label("Folder of the adapter").set_input_files(folder)
        await expect(dialog.get_by_role("alert")).to_contain_text("no adapter_model.safetensors")
        await dialog.get_by_role("button", name="Back").click()
        await expect(dialog).to_have_count(0)

        (folder / "adapter_model.safetensors").write_bytes(b"weights")
        await drop(page, folder)
        await expect(dialog.get_by_text("my-lora")).to_be_visible()
        await expect(dialog.get_by_label("Base model")).to_have_attribute("placeholder", "hub/tiny")
        await dialog.get_by_role("combobox", name="Rows").fill("data/eval.jsonl")
        await dialog.get_by_role("button", name="Judge", exact=True).click()
        await expect(page.get_by_role("heading", name="my-lora", level=1)).to_be_visible()
        assert fake_backend.evaluations.taken_in["adapter_model.safetensors"] == b"weights"
