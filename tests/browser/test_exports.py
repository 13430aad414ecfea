"""Exports on a job's page: asked for by a press, proved, saved and removed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from tests.support.fake_exports import FILES, PROOF

from .states import trained

if TYPE_CHECKING:
    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

    from .conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]


async def test_an_export_is_made_saved_and_removed(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.features = ["exports"]
    job = trained(fake_backend, "support-bot", steps=40, of=40)
    fake_backend.exports.looks = 1_000_000
    async with open_page(studio.url, f"/#/jobs/{job}") as page:
        await page.get_by_role("button", name="Export adapter").click()
        one = page.get_by_role("article", name="Adapter")
        await expect(one).to_contain_text("Writing")
        await expect(page.get_by_role("button", name="Export adapter")).to_be_disabled()
        fake_backend.exports.looks = 0  # it is done now
        await expect(one).to_contain_text(str(PROOF["sentence"]))
        await expect(one).to_contain_text(f"arkor-dev export {job} --out FOLDER")
        await one.get_by_text("2 files").click()
        async with page.expect_download() as saved:
            await one.get_by_role("button", name="Save adapter_model.safetensors").click()
        download = await saved.value
        assert download.suggested_filename == "adapter_model.safetensors"
        assert Path(await download.path()).read_bytes() == FILES["adapter_model.safetensors"]
        await one.get_by_role("button", name="Remove").click()
        await page.get_by_role("dialog").get_by_role("button", name="Remove").click()
        await expect(one).to_have_count(0)
    assert fake_backend.exports.of(job) == {}


async def test_a_gguf_file_is_chosen_by_keys(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.features = ["exports", "gguf"]
    job = trained(fake_backend, "support-bot", steps=40, of=40)
    async with open_page(studio.url, f"/#/jobs/{job}") as page:
        await page.get_by_text("For llama.cpp, LM Studio and Ollama").press("Enter")
        await page.get_by_label("What", exact=True).select_option("ollama")
        await page.get_by_label("Quantization").select_option("q4_k_m")
        await page.get_by_label("Adapter strength").select_option("50")
        await page.get_by_role("button", name="Export for llama.cpp").press("Enter")
        one = page.get_by_role("article", name="Model for Ollama")
        await expect(one).to_contain_text("Q4_K_M at 50 %")
        await expect(one).to_contain_text("ollama create NAME -f FOLDER/Modelfile")
        await expect(one).to_contain_text("--format ollama --quantization q4_k_m --strength 0.5")
        assert fake_backend.last("POST /v1/jobs/{id}/exports").json() == {
            "format": "ollama",
            "quantization": "q4_k_m",
            "strength": 0.5,
        }
        await page.get_by_label("What", exact=True).select_option("gguf-lora")
        await expect(page.get_by_label("Quantization")).to_have_count(0)


async def test_where_llama_cpp_is_missing_the_way_to_it_is_said(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.features = ["exports", "gguf"]
    fake_backend.exports.lacking = "GGUF needs llama.cpp: pip install 'arkor-dev[gguf]'"
    job = trained(fake_backend, "support-bot", steps=40, of=40)
    async with open_page(studio.url, f"/#/jobs/{job}", faulty=True) as page:
        await page.get_by_text("For llama.cpp, LM Studio and Ollama").click()
        await page.get_by_role("button", name="Export for llama.cpp").click()
        await expect(page.get_by_role("alert")).to_contain_text("pip install 'arkor-dev[gguf]'")
    assert fake_backend.exports.of(job) == {}


async def test_the_best_checkpoint_is_what_leaves(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.features = ["exports"]
    job = trained(fake_backend, "support-bot", steps=40, of=40)
    fake_backend.checkpoints[job].add(20)
    fake_backend.evaluations.judge(job, bestStep=20, bestVerdict="better", bestKept=True)
    async with open_page(studio.url, f"/#/jobs/{job}") as page:
        await expect(page.get_by_text("Step 20 is exported")).to_be_visible()
        await page.get_by_role("button", name="Merge into base model").click()
        await expect(page.get_by_role("article", name="Merged model")).to_contain_text("of step 20")
    assert fake_backend.last("POST /v1/jobs/{id}/exports").json() == {"format": "merged", "step": 20}


async def test_where_there_is_no_such_feature_there_is_no_such_place(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.features = ["evaluation"]
    job = trained(fake_backend, "support-bot", steps=40, of=40)
    async with open_page(studio.url, f"/#/jobs/{job}") as page:
        await expect(page.get_by_role("button", name="Compare with the base model")).to_be_visible()
        await expect(page.get_by_role("heading", name="Export", exact=True)).to_have_count(0)
    assert fake_backend.count("GET /v1/jobs/{id}/exports") == 0
