"""Exports on a job's page: asked for by a press, proved, saved and removed."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest
from playwright.async_api import expect

from tests.support.fake_exports import FILES, INSTALL, PROOF

from .states import trained
from .steps import COPIED, soon

if TYPE_CHECKING:
    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

    from .conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]


async def test_an_export_is_created_saved_and_deleted(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.features = ["exports"]
    files = fake_backend.exports.files = FILES | {"1_Pooling/config.json": b"{}"}
    job = trained(fake_backend, "support-bot", steps=40, of=40)
    fake_backend.exports.looks = 1_000_000
    async with open_page(studio.url, f"/#/jobs/{job}") as page:
        await page.get_by_role("button", name="Export adapter").click()
        one = page.get_by_role("article", name="Adapter")
        await expect(one).to_contain_text("Writing")
        await expect(page.get_by_role("button", name="Export adapter")).to_be_disabled()
        await expect(page.get_by_role("button", name="Export merged model")).to_be_enabled()
        fake_backend.exports.looks = 0  # it is done now
        await expect(one).to_contain_text("Verified")
        await expect(one).to_contain_text(str(PROOF["sentence"]))
        await one.get_by_text("3 files and commands").click()
        await expect(one).to_contain_text(f"arkor-dev export {job} --out FOLDER")
        await expect(one).to_contain_text("vllm serve BASE --enable-lora --lora-modules NAME=FOLDER")
        async with page.expect_download() as saved:
            await one.get_by_role("button", name="Save adapter_model.safetensors").click()
        download = await saved.value
        assert download.suggested_filename == "adapter_model.safetensors"
        assert Path(await download.path()).read_bytes() == FILES["adapter_model.safetensors"]
        async with page.expect_download() as saved:
            await one.get_by_role("button", name="Save .zip").click()
        download = await saved.value
        assert download.suggested_filename == "support-bot-adapter.zip"
        with ZipFile(await download.path()) as archive:
            assert archive.testzip() is None
            assert {name: archive.read(name) for name in archive.namelist()} == files
        await one.get_by_role("button", name="Remove").click()
        await page.get_by_role("dialog").get_by_role("button", name="Remove").click()
        await expect(one).to_have_count(0)
    assert fake_backend.exports.of(job) == {}


async def test_gguf_options_are_chosen_by_keyboard(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.features = ["exports", "gguf"]
    job = trained(fake_backend, "support-bot", steps=40, of=40)
    async with open_page(studio.url, f"/#/jobs/{job}") as page:
        await page.get_by_label("What", exact=True).select_option("ollama")
        await page.get_by_text("Options", exact=True).click()
        await page.get_by_label("Quantization").select_option("q4_k_m")
        await page.get_by_label("Adapter strength").select_option("50")
        await page.get_by_role("button", name="Export GGUF").press("Enter")
        one = page.get_by_role("article", name="Model for Ollama")
        await expect(one).to_contain_text("Q4_K_M at 50 %")
        await one.get_by_text("2 files and commands").click()
        await expect(one).to_contain_text("ollama create NAME -f FOLDER/Modelfile")
        await expect(one).to_contain_text("--format ollama --quantization q4_k_m --strength 0.5")
        assert fake_backend.last("POST /v1/jobs/{id}/exports").json() == {
            "format": "ollama",
            "quantization": "q4_k_m",
            "strength": 0.5,
        }
        await page.get_by_label("What", exact=True).select_option("gguf-lora")
        await expect(page.get_by_label("Quantization")).to_have_count(0)


async def test_without_llama_cpp_its_formats_show_the_install_command(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.features = ["exports", "gguf"]
    fake_backend.exports.lacking = f"GGUF needs llama.cpp. {INSTALL}"
    job = trained(fake_backend, "support-bot", steps=40, of=40)
    context = {"permissions": ["clipboard-read", "clipboard-write"]}
    async with open_page(studio.url, f"/#/jobs/{job}", **context) as page:
        await expect(page.get_by_text("GGUF needs llama.cpp.", exact=True)).to_be_visible()
        await expect(page.get_by_text(INSTALL)).to_have_count(1)  # to copy, and not in the sentence as well
        await expect(page.get_by_role("button", name="Export GGUF")).to_be_disabled()
        await expect(page.get_by_label("Quantization")).to_be_disabled()
        await page.get_by_role("button", name="Copy the command that installs it").click()
        await soon(partial(page.evaluate, COPIED, INSTALL))
        await expect(page.get_by_role("button", name="Export adapter")).to_be_enabled()
    assert fake_backend.count("POST /v1/jobs/{id}/exports") == 0


async def test_the_best_checkpoint_is_exported(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.features = ["exports"]
    job = trained(fake_backend, "support-bot", steps=40, of=40)
    fake_backend.checkpoints[job].add(20)
    fake_backend.evaluations.judge(job, bestStep=20, bestVerdict="better", bestKept=True)
    async with open_page(studio.url, f"/#/jobs/{job}") as page:
        await expect(page.get_by_text("Step 20 is exported")).to_be_visible()
        await page.get_by_role("button", name="Export merged model").click()
        await expect(page.get_by_role("article", name="Merged model")).to_contain_text("of step 20")
    assert fake_backend.last("POST /v1/jobs/{id}/exports").json() == {"format": "merged", "step": 20}


async def test_without_the_feature_there_are_no_exports(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.features = ["evaluation"]
    job = trained(fake_backend, "support-bot", steps=40, of=40)
    async with open_page(studio.url, f"/#/jobs/{job}") as page:
        await expect(page.get_by_role("button", name="Compare with the base model")).to_be_visible()
        await expect(page.get_by_role("region", name="Export")).to_have_count(0)
    assert fake_backend.count("GET /v1/jobs/{id}/exports") == 0
