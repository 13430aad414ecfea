"""From a blind test of 12 votes, over training, to the blind test after it: on the example project, for real.

A true daemon and true trainings, of a tiny model in place of the example's. The person who votes prefers the
shorter answer, whoever gave it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import expect

from tests.local.conftest import made_once
from tests.local.forking_backend import of_a_studio, worker_template
from tests.support.daemon import free_port, running_daemon

from .steps import MINUTE, completed, copy_example, press_run, soon
from .test_blind import begin, place

if TYPE_CHECKING:
    from playwright.async_api import Page

    from tests.support.daemon import Daemon

    from .conftest import OpenPage

VOTES = 12
AGAIN = 10
"""A result needs as many."""
CONTEXT = 72
"""Tokens: a model of random weights answers to the end of its context, each time."""
BRIEFER = {
    'model = "smollm2-135m-instruct"': 'model = "./models/tiny"',
    "steps = 40\n": "steps = 24\n",
    "learning_rate = 1e-3 ": "learning_rate = 1e-2 ",
    "eval_split = 0.2 ": "eval_split = 0.3 ",
    "replay = 0.2 ": 'samples = "off"\n# replay = 0.2 ',
}


async def vote_for_the_shorter(page: Page) -> None:
    """Judge as somebody who likes brevity, without knowing who answered."""
    sides = [page.get_by_role("article", name=f"{side} answer") for side in ("Left", "Right")]
    better = page.get_by_role("button", name="Left is better")
    await expect(better).to_be_enabled(timeout=MINUTE)
    left, right = [len(await side.inner_text()) for side in sides]
    await page.keyboard.press("ArrowLeft" if left <= right else "ArrowRight")


async def kept_of(daemon: Daemon, job: str, count: int) -> bool:
    """Return whether the backend has so many votes on the job."""
    return len((await daemon.api("GET", f"/api/jobs/{job}/votes"))["votes"]) == count


async def run_of(daemon: Daemon, known: set[str]) -> str:
    """Wait for the job that is not ``known``; return its id."""
    found: set[str] = set()

    async def is_there() -> bool:
        jobs = (await daemon.api("GET", "/api/jobs"))["jobs"]
        found.update({job["id"] for job in jobs} - known)
        return bool(found)

    await soon(is_there)
    (job,) = found
    return job


@pytest.mark.slow
@pytest.mark.beside
@pytest.mark.ci
@pytest.mark.browser
@pytest.mark.engine
@pytest.mark.timeout(900)
async def test_votes_train_a_real_adapter(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    open_page: OpenPage,
) -> None:
    project = copy_example(tmp_path)
    tiny = Path(shutil.copytree(made_once(tmp_path_factory), project / "models" / "tiny"))
    facts = json.loads((tiny / "config.json").read_text())
    (tiny / "config.json").write_text(json.dumps({**facts, "max_position_embeddings": CONTEXT}))
    text = (project / "arkor.toml").read_text()
    for said, briefer in BRIEFER.items():
        assert said in text
        text = text.replace(said, briefer)
    (project / "arkor.toml").write_text(text)
    pairs = project / "data" / "preferences.jsonl"
    local = ("--local", "--project", str(project))
    async with (
        running_daemon(tmp_path / "home", free_port(), *local, **of_a_studio(worker_template())) as daemon,
        open_page(daemon.origin, reduced_motion="reduce") as page,
    ):
        first = await press_run(page)
        await page.goto(f"{daemon.origin}/#/jobs/{first}")
        await completed(page)

        await page.goto(f"{daemon.origin}/#/blind?target=base:./models/tiny&against=final:{first}")
        await expect(page.get_by_text("Held-out questions")).to_be_visible(timeout=MINUTE)
        await begin(page)
        asked = await page.get_by_role("region", name="Question 1 of").get_attribute("aria-label")
        of = int(str(asked).rpartition(" ")[2])
        assert of >= VOTES
        for number in range(1, VOTES + 1):
            await place(page, number, of)
            await vote_for_the_shorter(page)
        await place(page, VOTES + 1, of)

        def rows() -> list[dict[str, Any]]:
            return [json.loads(line) for line in pairs.read_text().splitlines()] if pairs.exists() else []

        await soon(lambda: kept_of(daemon, first, VOTES))
        learnable = len(rows())
        assert learnable > AGAIN
        lengths = [[len(row[side]) for row in rows()] for side in ("chosen", "rejected")]
        assert sum(lengths[0]) < sum(lengths[1])

        await page.goto(f"{daemon.origin}/#/jobs/{first}")
        await page.get_by_role("button", name=f"Train on {learnable} preferences").click()
        await expect(page.get_by_role("region", name="Next run")).to_contain_text("dpo")
        await page.get_by_role("button", name="Run with unsaved changes").click()
        second = await run_of(daemon, {first})
        await page.goto(f"{daemon.origin}/#/jobs/{second}")
        await completed(page)
        region = page.get_by_role("region", name="Preferences")
        learned = f"This run learned from {learnable} preferences."
        await expect(region).to_contain_text(learned, timeout=MINUTE)

        await region.get_by_role("link", name="Blind test on the same prompts").click()
        await begin(page)
        for number in range(1, AGAIN + 1):
            await place(page, number, learnable)
            await vote_for_the_shorter(page)
        await place(page, AGAIN + 1, learnable)
        await soon(lambda: kept_of(daemon, second, AGAIN))
        await page.goto(f"{daemon.origin}/#/jobs/{second}")
        await expect(region).to_contain_text(f"of {AGAIN} votes", timeout=MINUTE)
        print(await region.inner_text())  # noqa: T201 - shown when the test fails
