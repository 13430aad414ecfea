"""Teaching by correcting: an answer edited in the playground, its row, and what a later run made of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from tests.support.waiting import until

from .states import trained
from .talk import ask, asked

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

    from .conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]

TOML = '[[trainer]]\nname = "bot"\nmodel = "tiny"\ndataset = "data/a.jsonl"  # ours\n'
CORRECTED = {"type": "file", "path": "data/corrections.jsonl"}


def project_with_data(project: Path) -> Path:
    (project / "data").mkdir()
    (project / "data" / "a.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    (project / "arkor.toml").write_text(TOML)
    return project / "data" / "corrections.jsonl"


async def test_a_correction_becomes_data_and_can_be_undone(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    file = project_with_data(studio.settings.project)
    fake_backend.add_job("completed", name="bot")
    async with open_page(studio.url, "/#/playground") as page:
        await page.get_by_label("System prompt").fill("Be brief.")
        await ask(page, "Where is it?")
        await page.get_by_role("button", name="Correct the answer").click()
        field = page.get_by_label("The corrected answer")
        await expect(field).to_be_focused()
        await expect(field).to_have_value("Hello, world")
        await expect(page.get_by_role("button", name="Add to the data")).to_be_disabled()
        await field.fill("In the ledger.\nPage 3.")
        await page.keyboard.press("Control+Enter")
        correction = page.get_by_role("region", name="Correction")
        await expect(correction).to_contain_text("Line 1 of data/corrections.jsonl")
        await expect(correction).to_contain_text("No trainer uses it yet")
        (row,) = [json.loads(line) for line in file.read_text().splitlines()]
        assert row["messages"] == [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Where is it?"},
            {"role": "assistant", "content": "In the ledger.\nPage 3."},
        ]
        assert row["corrected"]["instead"] == "Hello, world"
        assert row["corrected"]["by"] == "bot · final adapter"
        # It stays with the conversation, and goes into the trainer's data by the file's own diff.
        await page.reload()
        await expect(correction).to_contain_text("In the ledger.")
        await correction.get_by_role("button", name="Add the file to the data of bot").click()
        dialog = page.get_by_role("dialog", name="Write to arkor.toml")
        await expect(dialog).to_contain_text('+ dataset = ["data/a.jsonl", "data/corrections.jsonl"]  # ours')
        await dialog.get_by_role("button", name="Write").click()
        await expect(correction).to_contain_text("bot learns from it in the next run")
        written = (studio.settings.project / "arkor.toml").read_text()
        assert '["data/a.jsonl", "data/corrections.jsonl"]' in written
        await correction.get_by_role("button", name="Undo the correction").click()
        await expect(correction).to_have_count(0)
        await until(lambda: not file.exists())


async def test_refused_corrections_have_the_reason(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    file = project_with_data(studio.settings.project)
    fake_backend.add_job("completed", name="bot")
    async with open_page(studio.url, "/#/playground", faulty=True) as page:
        await ask(page, "Where is it?")
        await page.get_by_role("button", name="Correct the answer").click()
        field = page.get_by_label("The corrected answer")
        await field.fill("In the ledger.")
        await page.keyboard.press("Escape")
        await expect(field).to_have_count(0)
        assert not file.exists()
        for wanted in ("In the ledger.", "In the ledger. "):
            await page.get_by_role("button", name="Correct the answer").click()
            await field.fill(wanted)
            await page.get_by_role("button", name="Add to the data").click()
            if wanted == "In the ledger.":
                await expect(page.get_by_role("region", name="Correction")).to_be_visible()
        await expect(page.get_by_role("alert")).to_contain_text("same correction is in line 1")
        await page.get_by_role("button", name="Cancel").click()
        file.write_text(file.read_text() + "{}\n")
        await page.get_by_role("button", name="Undo the correction").click()
        await expect(page.get_by_role("alert")).to_contain_text("has changed since")
        assert len(file.read_text().splitlines()) == 2
        file.unlink()
        await page.reload()
        await expect(page.get_by_text("no longer in data/corrections.jsonl")).to_be_visible()


async def test_a_later_run_shows_its_effect_on_each_correction(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    file = project_with_data(studio.settings.project)
    rows = [
        {"messages": chat("Where?", "Hello, world"), "corrected": told("2020-01-01", "Nowhere.")},
        {"messages": chat("When?", "Now."), "corrected": told("2020-01-01", "Hello, world")},
        {"messages": chat("Who?", "Ann."), "corrected": told("2020-01-01", "Nobody.")},
        {"messages": chat("Later?", "Yes."), "corrected": told("2999-01-01", "No.")},
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = {"type": "list", "sources": [{"type": "file", "path": "data/a.jsonl"}, CORRECTED]}
    job = trained(fake_backend, "bot", steps=40, of=40, datasetSource=source)
    other = trained(fake_backend, "other", steps=40, of=40)
    async with open_page(studio.url, f"/#/jobs/{job}") as page:
        section = page.get_by_role("region", name="Corrections")
        await expect(section).to_contain_text("This run learned from 3 corrected answers.")
        assert asked(fake_backend) == [], "nothing is asked before somebody wants it"
        await section.get_by_role("button", name="Ask them again").click()
        await expect(section).to_contain_text("1 of 3 answered word for word as wanted.")
        told_of = section.get_by_role("listitem")
        await expect(told_of.nth(0)).to_contain_text("Answered as wanted")
        await expect(told_of.nth(1)).to_contain_text("Answered as before the correction")
        await expect(told_of.nth(2)).to_contain_text("Another answer")
        await page.goto(f"{studio.url}/#/jobs/{other}")
        await expect(page.get_by_role("region", name="Checkpoints")).to_be_attached()
        await expect(section).to_have_count(0)
    bodies = asked(fake_backend)
    assert [body["messages"][-1]["content"] for body in bodies] == ["Where?", "When?", "Who?"]
    assert {body["temperature"] for body in bodies} == {0}
    assert bodies[0]["adapter"] == {"kind": "final", "jobId": job}


def chat(question: str, answer: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def told(at: str, instead: str) -> dict[str, str]:
    return {"at": f"{at}T00:00:00+00:00", "by": "bot", "instead": instead}
