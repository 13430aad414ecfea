"""What a person prefers trains the next adapter: votes and ratings, the run, and the blind test after it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import expect

from arkor_dev.data.methods import listed

from .states import trained
from .talk import ask
from .test_blind import begin, place, speaking, vote_for_adapter

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

    from .conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]

TOML = '[[trainer]]\nname = "zephyr"\nmodel = "tiny"\ndataset = "data/a.jsonl"\n'
LATER = "2999-01-01T00:00:00Z"


def project_of(studio: Studio, fake_backend: FakeBackend) -> Path:
    """Prepare a project and a backend with preference training; return the file of preferences."""
    project = studio.settings.project
    (project / "data").mkdir()
    (project / "data" / "a.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    (project / "arkor.toml").write_text(TOML)
    fake_backend.features = ["evaluation", "votes", "parent"]
    fake_backend.methods = listed()
    return project / "data" / "preferences.jsonl"


def rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


async def test_votes_train_the_next_adapter(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    file = project_of(studio, fake_backend)
    job = trained(fake_backend, "zephyr", steps=40, of=40, model="tiny")
    fake_backend.jobs[job]["completedAt"] = "2026-01-01T00:00:00Z"
    fake_backend.evaluations.judge(job)
    speaking(fake_backend)
    async with open_page(studio.url, f"/#/blind?target=base:tiny&against=final:{job}") as page:
        await expect(page.get_by_text("Held-out questions")).to_be_visible()
        await begin(page)
        await place(page, 1)
        await vote_for_adapter(page)
        await place(page, 2)
        await expect(page.get_by_role("article", name="Left answer")).to_contain_text("The words of")
        await page.keyboard.press("ArrowDown")  # no difference: a vote, but nothing to learn from
        await place(page, 3)
        await page.get_by_role("button", name="Undo the last vote").click()
        await place(page, 2)
        for number in range(2, 5):
            await place(page, number)
            await vote_for_adapter(page)
        await place(page, 5)
        # A vote is stored after its preference.
        await fake_backend.until(lambda: len(fake_backend.votes.votes[job]) == 4)
        assert len(rows(file)) == 4
        assert all(row["chosen"] == "The words of the other." for row in rows(file))
        assert rows(file)[0]["given"]["models"] == [f"final:{job}", "base:tiny"]
        assert rows(file)[0]["given"]["by"] == "Ann"

        await page.goto(f"{studio.url}/#/jobs/{job}")
        await page.get_by_role("button", name="Train on 4 preferences").click()
        card = page.get_by_role("region", name="Next run")
        await expect(card).to_contain_text("training method not set → dpo")
        await expect(card).to_contain_text("Starts from the final adapter of zephyr")
        await expect(page.get_by_role("group", name="Data set")).to_contain_text("data/preferences.jsonl")
        await page.get_by_role("button", name="Run with unsaved changes").click()
        await fake_backend.until(lambda: fake_backend.count("POST /v1/jobs") == 1)
        sent = fake_backend.last("POST /v1/jobs").json()
        assert sent["parent"] == {"jobId": job}
        assert sent["config"]["method"] == "dpo"
        assert sent["config"]["datasetSource"] == {"type": "file", "path": "data/preferences.jsonl"}

        # A run that fails is run again from the same adapter.
        (failed,) = [each for each in fake_backend.jobs if each != job]
        fake_backend.finish(failed, "failed")
        await expect(card).to_contain_text("Starts from the final adapter of zephyr")
        await page.get_by_role("button", name="Run with unsaved changes").click()
        await fake_backend.until(lambda: fake_backend.count("POST /v1/jobs") == 2)
        assert fake_backend.last("POST /v1/jobs").json()["parent"] == {"jobId": job}

        (new,) = [each for each in fake_backend.jobs if each not in (job, failed)]
        fake_backend.jobs[new].update(createdAt=LATER, completedAt=LATER, name="zephyr #2")
        fake_backend.finish(new)
        fake_backend.jobs[new].update(createdAt=LATER, completedAt=LATER)
        await page.goto(f"{studio.url}/#/jobs/{new}")
        region = page.get_by_role("region", name="Preferences")
        await expect(region).to_contain_text("This run learned from 4 preferences.")
        await region.get_by_role("link", name="Blind test on the same prompts").click()
        await expect(page.get_by_role("radio", name="Prompts it learned from")).to_be_checked()
        await begin(page)
        await place(page, 1, 4)
        await vote_for_either(page)
        await place(page, 2, 4)
        await fake_backend.until(lambda: len(fake_backend.votes.votes.get(new, ())) == 1)
        first = fake_backend.votes.votes[new][0]
        assert {first["one"], first["other"]} == {f"final:{job}", f"final:{new}"}
        assert first["question"] in {row["prompt"][-1]["content"] for row in rows(file)}
        # The result is on the job's page, too.
        won = {**first, "at": "2999-06-01T00:00:00Z", "one": f"final:{job}", "other": f"final:{new}"}
        fake_backend.votes.votes[new] = [{**won, "id": str(n), "choice": "other"} for n in range(12)]
        await page.goto(f"{studio.url}/#/jobs/{new}")
        await expect(region).to_contain_text("The new adapter was preferred in 12 of 12 votes (100 %")


async def vote_for_either(page: Any) -> None:
    await expect(page.get_by_role("article", name="Left answer")).to_contain_text("The words of")
    await page.keyboard.press("ArrowLeft")


async def test_an_answers_rating_can_be_changed_and_removed(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    file = project_of(studio, fake_backend).with_name("ratings.jsonl")
    job = fake_backend.add_job("completed", name="zephyr", config={"model": "tiny"})
    async with open_page(studio.url, "/#/playground", faulty=True) as page:
        await ask(page, "Where is it?")
        good, bad = (page.get_by_role("button", name=f"{word} answer") for word in ("Good", "Bad"))
        await good.click()
        await expect(good).to_have_attribute("aria-pressed", "true")
        (row,) = rows(file)
        assert (row["completion"], row["label"]) == ("Hello, world", True)
        assert row["given"]["models"] == [f"final:{job}"]
        await bad.click()
        await expect(bad).to_have_attribute("aria-pressed", "true")
        await expect(good).to_have_attribute("aria-pressed", "false")
        assert [row["label"] for row in rows(file)] == [False]
        # It outlives a reload, and a rating alone is learned from by KTO.
        await page.reload()
        await expect(bad).to_have_attribute("aria-pressed", "true")
        rating = page.get_by_role("region", name="Rating")
        await rating.get_by_role("button", name="Train on 1 preference").click()
        await expect(page.get_by_role("region", name="Next run")).to_contain_text(
            "training method not set → kto"
        )
        await page.goto(f"{studio.url}/#/playground")
        await bad.click()
        await expect(rating).to_have_count(0)
        assert rows(file) == []
        await good.click()
        await expect(good).to_have_attribute("aria-pressed", "true")
        # Once a job has learned from it, it stays.
        fake_backend.jobs[job]["createdAt"] = LATER
        fake_backend.jobs[job]["config"]["datasetSource"] = {"type": "file", "path": "data/ratings.jsonl"}
        await good.click()
        said = page.get_by_role("status").filter(has_text="zephyr has learned from this already")
        await expect(said).to_have_count(1)
        assert len(rows(file)) == 1
