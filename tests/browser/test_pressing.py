"""Run training: a press runs what the page shows, from the button and from the palette."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import expect

from tests.support.waiting import until

from .steps import HOLDABLE, hold_polls, hurried
from .test_home import START, TOML, declare

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from playwright.async_api import Page, Route

    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

    from .conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def edit_steps(project: Path, steps: int) -> None:
    """An edit, as an editor saves it."""
    (project / "arkor.toml").write_text(TOML.replace("steps = 12", f"steps = {steps}"))


async def press(page: Page) -> None:
    """The button, at the first moment that it can be pressed."""
    await page.get_by_role("button", name="Run training").click()


@asynccontextmanager
async def without_polls(open_page: OpenPage, url: str, **options: bool | str) -> AsyncIterator[Page]:
    """Home, which from now on knows only what it asks for at a press or when the window comes back."""
    async with open_page(url, None, **options) as page:
        await page.add_init_script(HOLDABLE)
        await page.goto(url)
        await expect(page.locator(".home-facts")).to_contain_text("12 steps")
        await hold_polls(page)
        yield page


async def test_run_starts_what_is_shown_and_refuses_an_outdated_file(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    declare(studio.settings.project)
    async with studio.session.get("/api/manifest") as answer:
        old = await answer.json()
    async with without_polls(open_page, studio.url, faulty="/api/train") as page:
        edits = page.locator(".home-note")
        answers: list[int] = []

        async def as_it_was(route: Route) -> None:
            await (route.continue_() if answers else route.fulfill(json=old))

        async def start(route: Route) -> None:
            answer = await route.fetch()
            answers.append(answer.status)
            await route.fulfill(response=answer)

        edit_steps(studio.settings.project, 60)
        await page.route("**/api/manifest", as_it_was)
        await page.route(lambda url: url.endswith("/api/train"), start)
        await press(page)
        await expect(edits).to_contain_text("steps 12 → 60. Nothing was started")
        assert answers == [409]
        assert fake_backend.jobs == {}
        await page.unroute_all()

        # What the page learns of at the press itself is shown first, too.
        edit_steps(studio.settings.project, 90)
        await press(page)
        await expect(edits).to_contain_text("arkor.toml changed: steps 12 → 90")
        await expect(edits).to_contain_text("Run again")
        await expect(page.locator(".home-facts")).to_contain_text("90 steps")
        assert fake_backend.jobs == {}
        await page.evaluate("window.held = false")
        await press(page)
        await expect(page.get_by_role("link", name="Open job").first).to_be_visible(timeout=START)
        (job,) = fake_backend.jobs.values()
        assert job["config"]["maxSteps"] == 90
        await expect(edits).to_have_count(0)


BAD = b'{"prompt": "a", "completion": "b"}\nnonsense\n{"prompt": "a"}\nnonsense\n'


async def test_running_with_errors_or_secrets_in_the_data_asks_first(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    declare(studio.settings.project)
    data = studio.settings.project / "data" / "chats.jsonl"
    data.write_bytes(BAD)
    fake_backend.features = ["datasets"]
    sent: list[dict[str, Any]] = []

    async def refuse(route: Route) -> None:
        # That a run has the settings of its request: `test_a_run_may_change_settings` of the server.
        sent.append(route.request.post_data_json or {})
        await route.fulfill(status=400, json={"error": "Not now."})

    async def fail(route: Route) -> None:
        await route.fulfill(status=400, json={"error": "The data cannot be checked: it takes too long"})

    async with open_page(studio.url, faulty="/api/(train|manifest/data)") as page:
        await page.route("**/api/train", refuse)
        await expect(page.locator(".home-facts")).to_contain_text("1 example")
        await expect(page.locator(".home-note p").first).to_have_text(
            "3 rows are invalid. data/chats.jsonl, line 2: not JSON (Expecting value at column 1)"
        )
        asked = page.get_by_role("dialog", name="first has errors in its data")
        await press(page)
        await expect(asked).to_contain_text("2 rows are not JSON.", timeout=START)
        await expect(asked).to_contain_text(
            "data/chats.jsonl, line 2: not JSON (Expecting value at column 1)"
        )
        await expect(asked).to_contain_text("1 row is without the keys that a row needs.")
        look = asked.get_by_role("link", name="View data")
        assert await look.get_attribute("href") == "#/data?trainer=first"
        await asked.get_by_role("button", name="Back").click()
        await expect(asked).to_have_count(0)
        assert sent == []
        await press(page)
        await asked.get_by_role("button", name="Skip invalid rows and run").click(timeout=START)
        await expect(page.get_by_role("alert")).to_contain_text("Not now.")
        assert [one["settings"] for one in sent] == [{"skipBadRows": True}]

        # Rows that can be read, one of them with a secret.
        data.write_text(json.dumps({"prompt": "the key?", "completion": "sk-proj-Ab3dEf6hIj9kLmN0pQrStUvWx"}))
        await expect(page.locator(".home-note", has_text="rows are invalid")).to_have_count(0)
        await press(page)
        await expect(asked).to_contain_text("1 row has what looks like a secret key", timeout=START)
        await expect(asked).to_contain_text("sk-p…")
        await expect(asked).not_to_contain_text("Ab3dEf6h")
        await expect(asked.get_by_role("button", name="Run anyway")).to_have_count(0)
        await asked.get_by_role("button", name="Train on 1 row with secrets").click()
        await page.wait_for_function("() => !document.querySelector('dialog[open]')")
        await until(lambda: len(sent) == 2)
        assert "skipBadRows" not in sent[1].get("settings", {})
        assert fake_backend.jobs == {}

        # A check that fails does not block the run.
        data.write_bytes(BAD)
        await page.unroute("**/api/train")
        await page.route("**/api/manifest/data*", fail)
        await press(page)
        await expect(page.get_by_role("link", name="Open job").first).to_be_visible(timeout=START)
    assert len(fake_backend.jobs) == 1


async def test_an_invalid_trainer_cannot_be_run(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    declare(studio.settings.project)
    problem = "arkor.toml:9: data/chats.jsonl, row 1, has no answer to learn from."

    async def with_problem(route: Route) -> None:
        manifest = await (await route.fetch()).json()
        manifest["trainers"][0]["problem"] = problem
        await route.fulfill(json=manifest)

    async with open_page(studio.url, None) as page:
        await page.route("**/api/manifest", with_problem)
        await page.goto(studio.url)
        await expect(page.get_by_role("alert")).to_contain_text(problem)
        run = page.get_by_role("button", name="Run training")
        await expect(run).to_be_disabled()
        await expect(run).to_have_accessible_description(f"This trainer can't run yet {problem}")
        await page.keyboard.press("Control+k")
        await page.keyboard.type("run tr")
        await page.keyboard.press("Enter")
        # The other one is as good as ever.
        await page.locator(".home-head").get_by_text("second").click()
        await expect(run).to_be_enabled()
        await expect(page.get_by_role("alert")).to_have_count(0)
        assert fake_backend.jobs == {}


async def palette(page: Page) -> None:
    """Choose Run training in the palette, where it stands first."""
    await page.keyboard.press("Control+k")
    results = page.get_by_role("listbox", name="Results")
    await expect(results.get_by_role("option").first).to_contain_text("Run training")
    await page.keyboard.press("Enter")


async def test_the_palette_starts_runs_from_any_page(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    declare(studio.settings.project)
    async with open_page(studio.url, "/#/jobs") as page:
        await expect(page.get_by_text("No job has run yet.")).to_be_visible()
        await palette(page)
        dialog = page.get_by_role("dialog")
        # No trainer is to be seen here, so what would run is said.
        await expect(dialog).to_contain_text("Run first?")
        await expect(dialog).to_contain_text("tiny · 1 example · 12 steps")
        await dialog.get_by_role("button", name="Run training").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("first")
        await expect(page.get_by_role("link", name="Open job").first).to_be_visible(timeout=START)
        (job,) = fake_backend.jobs
        await palette(page)
        await expect(dialog).to_contain_text("first is already running")
        await dialog.get_by_role("button", name="Back").click()
        await page.locator(".home-head").get_by_text("second").click()
        await palette(page)
        await expect(dialog).to_contain_text("Run second as well?")
        await dialog.get_by_role("button", name="Back").click()
        assert list(fake_backend.jobs) == [job]
        await palette(page)
        await dialog.get_by_role("button", name="Run training").click()
        await fake_backend.until(lambda: len(fake_backend.jobs) == 2, START / 1000)


async def test_a_queued_job_shows_its_position_and_then_its_figures(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(studio.settings.project)
    busy = fake_backend.add_job("running", name="support-bot")
    # A job that waits has no event yet.
    monkeypatch.setattr(fake_backend, "emit", lambda *_, **__: "")
    async with open_page(studio.url, clock=True) as page:
        await press(page)
        await fake_backend.until(lambda: len(fake_backend.jobs) == 2, START / 1000)
        (job,) = set(fake_backend.jobs) - {busy}
        fake_backend.jobs[job]["queue"] = {"position": 2, "behind": {"id": busy, "name": "support-bot"}}
        async with hurried(page, studio):
            for place in (".home-now", ".home-recent"):
                words = "Queued, 2nd, behind support-bot"
                await expect(page.locator(place)).to_contain_text(words, timeout=START)
        await expect(page.locator(".home-output-state")).to_contain_text("Queued, 2nd")
        await expect(page.locator(".home-output-state")).not_to_contain_text("Running")
        await page.get_by_role("link", name="Open job").first.click()
        await expect(page.locator(".job-notice")).to_have_text("Queued, 2nd. It starts after support-bot.")
        await page.locator(".job-notice").get_by_role("link", name="support-bot").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("support-bot")
        await page.goto(f"{studio.url}/#/jobs")
        await expect(page.locator(f"[data-id='{job}']")).to_contain_text("Queued, 2nd")

        # It starts: Home has its figures and its curve.
        monkeypatch.undo()
        fake_backend.jobs[job].pop("queue")
        fake_backend.jobs[job]["status"] = "running"
        await page.get_by_role("navigation", name="Pages").get_by_role("link", name="Home").click()
        for step in range(1, 7):
            fake_backend.log(job, step=step, loss=4 / step)
        figures = page.locator(".home-metrics")
        await expect(figures).to_contain_text("0.6667")
        await expect(figures).to_contain_text("6 / 12")
        await expect(figures).to_contain_text("Time left")
        curve = page.locator(".home-curve")
        line = curve.locator(".chart-curve")
        before = await line.get_attribute("d")
        fake_backend.log(job, step=7, loss=0.5)
        await expect(figures).to_contain_text("0.5000")
        await expect(line).not_to_have_attribute("d", before or "")
        await expect(page.get_by_role("link", name="Open job")).to_have_attribute("href", f"#/jobs/{job}")


async def test_dry_runs_are_marked_wherever_jobs_are_listed(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    config = {"model": "tiny", "datasetSource": {"type": "huggingface", "name": "d"}}
    dry = fake_backend.add_job("completed", name="rehearsal", config={**config, "dryRun": True})
    real = fake_backend.add_job("completed", name="concert", config=config)
    for job in (dry, real):
        fake_backend.log(job, step=1, loss=2.0)
        fake_backend.finish(job)
    async with open_page(studio.url) as page:
        rows = page.locator(".home-job")
        await expect(rows.filter(has_text="rehearsal")).to_contain_text("dry run")
        await expect(rows.filter(has_text="concert")).not_to_contain_text("dry run")
        await page.keyboard.press("Control+k")
        await page.keyboard.type("rehearsal")
        await expect(page.get_by_role("option").first).to_contain_text("dry run")
        await page.keyboard.press("Escape")
        await page.goto(f"{studio.url}/#/jobs")
        await expect(page.locator(f"[data-id='{dry}']")).to_contain_text("dry run")
        await page.goto(f"{studio.url}/#/jobs/{dry}")
        await expect(page.locator(".job-head")).to_contain_text("dry run")
        await page.goto(f"{studio.url}/#/compare?jobs={real},{dry}")
        heads = page.locator(".compare-table thead th")
        await expect(heads.filter(has_text="rehearsal")).to_contain_text("dry run")
        await expect(heads.filter(has_text="concert")).not_to_contain_text("dry run")
        await page.goto(f"{studio.url}/#/compare?jobs={real}")
        await expect(page.get_by_label("Add a job").locator("option", has_text="rehearsal")).to_contain_text(
            "dry run"
        )
        await page.goto(f"{studio.url}/#/playground")
        await page.get_by_role("button", name="concert").first.click()
        await expect(page.get_by_role("option", name="rehearsal")).to_contain_text("dry run")
        await expect(page.get_by_role("option", name="concert")).not_to_contain_text("dry run")


async def test_repeated_progress_is_one_log_row(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    job = fake_backend.add_job("running", name="a")
    for done in range(90):
        fake_backend.emit(job, "model.progress", label="Converting", done=done, total=100)
    async with open_page(studio.url, f"/#/jobs/{job}") as page:
        rows = page.locator(".job-log-row")
        await expect(rows).to_have_count(2)
        await expect(rows.last).to_contain_text("Converting · 89 %")
        fake_backend.emit(job, "model.progress", label="Converting", done=90, total=100)
        await expect(rows.last).to_contain_text("Converting · 90 %")
        await expect(rows).to_have_count(2)
        async with page.expect_download() as saving:
            await page.get_by_role("button", name="Download all events").click()
        saved = await (await saving.value).path()
        assert len(saved.read_text(encoding="utf-8").splitlines()) == 92
        await rows.last.click()
        await expect(page.get_by_role("dialog")).to_contain_text(json.dumps("Converting"))
