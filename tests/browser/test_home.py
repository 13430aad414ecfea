"""Home: what there is to train, the run and its output, and the first visit, which teaches."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from arkor_dev.notices.consent import pending
from tests.support.fake_evaluation import HELD_OUT
from tests.support.fake_samples import answer_prompts
from tests.support.waiting import until

from .states import end, trained
from .steps import DROP, HOLDABLE, hold_polls, hurried, typescript_project
from .test_job import figure, steps

if TYPE_CHECKING:
    from playwright.async_api import Route

    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

    from .conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]

TOML = """\
[[trainer]]
name = "first"
model = "tiny"
dataset = "data/chats.jsonl"
steps = 12

[[trainer]]
name = "second"
model = "tiny"
dataset = "data/chats.jsonl"
epochs = 3

[trainer.lora]
r = 16
"""
ROW = {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]}
START = 60_000


def declare(project: Path, toml: str = TOML) -> None:
    """Trainers and their rows, as a person would write them."""
    (project / "data").mkdir(exist_ok=True)
    (project / "data" / "chats.jsonl").write_text(json.dumps(ROW) + "\n")
    (project / "arkor.toml").write_text(toml)


async def test_trainers_are_listed_with_their_settings(studio: Studio, open_page: OpenPage) -> None:
    declare(studio.settings.project)
    async with open_page(studio.url) as page:
        await expect(page.get_by_role("heading", level=1)).to_have_text("first")
        await expect(page.locator(".home-fact dd")).to_have_text(
            ["tiny", "LoRA", "1 example", "data/chats.jsonl", "12 steps", "Automatic learning rate"]
        )
        await expect(page.get_by_role("button", name="Run training")).to_be_enabled()
        # At rest there is one action, and no field.
        await expect(page.locator(".home-card").locator("input, select")).to_have_count(1)
        await expect(page.get_by_role("switch", name="Quick test")).not_to_be_checked()
        docs = page.get_by_role("link", name="Documentation")
        await expect(docs).to_have_attribute("href", "#/docs")
        await page.locator(".home-head").get_by_text("second").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("second")
        await expect(page.locator(".home-facts")).to_contain_text("LoRA rank 16")
        await expect(page.locator(".home-facts")).to_contain_text("3 epochs")
        await page.reload()
        await expect(page.get_by_role("heading", level=1)).to_have_text("second")


async def test_a_run_survives_a_reload_until_its_end(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    declare(studio.settings.project)
    async with open_page(studio.url) as page:
        await page.get_by_role("switch", name="Quick test").check()
        await page.get_by_role("button", name="Start quick test").click()
        link = page.get_by_role("link", name="Open job")
        await expect(link).to_be_visible(timeout=START)
        (job,) = fake_backend.jobs
        await expect(link).to_have_attribute("href", f"#/jobs/{job}")
        assert fake_backend.jobs[job]["config"]["dryRun"] is True
        # What runs comes first: its figures and its chart, the log folded, and no settings.
        await expect(page.locator(".home-card")).to_have_count(0)
        output, log = page.get_by_role("log"), page.get_by_role("button", name="Log")
        await expect(output).to_have_count(0)
        await log.click()
        await expect(output).to_contain_text(f"Started job {job}")
        await page.reload()
        await log.click()
        await expect(output).to_contain_text(f"Started job {job}")
        fake_backend.log(job, step=1, loss=2.5)
        await expect(output).to_contain_text("2.5")
        await expect(page.locator(".home-metrics")).to_have_text(
            re.compile("Loss2.5.*Step1.*PhaseTraining.*Time left")
        )
        fake_backend.finish(job)
        await expect(page.locator(".home-output-state")).to_contain_text("Completed", timeout=START)
        # A quick test is asked for once: the next press runs all of it.
        await expect(page.get_by_role("button", name="Run training")).to_be_visible(timeout=START)
        await expect(page.get_by_role("switch", name="Quick test")).not_to_be_checked()
        await expect(output).not_to_contain_text("exit=")


async def test_declined_notifications_and_hidden_commands_are_remembered_until_the_job_is_cancelled(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    declare(studio.settings.project)
    async with open_page(studio.url, permissions=["notifications"], clock=True) as page:
        output = page.locator(".home-output")
        opened, state = output.get_by_role("link", name="Open job"), page.locator(".home-output-state")
        # With the keyboard: a pressed button disappears, and the control that replaces it gets the focus.
        await page.get_by_role("button", name="Run training").focus()
        await page.keyboard.press("Enter")
        told = page.get_by_role("button", name="Notify me when done")
        await expect(told).to_have_attribute("aria-pressed", "true", timeout=START)
        await expect(opened).to_be_focused()
        (job,) = fake_backend.jobs
        await told.click()
        await expect(told).to_have_attribute("aria-pressed", "false")
        await page.get_by_role("navigation", name="Pages").get_by_role("link", name="Jobs").click()
        await page.get_by_role("navigation", name="Pages").get_by_role("link", name="Home").click()
        await expect(told).to_have_attribute("aria-pressed", "false")
        await page.reload()
        await expect(told).to_have_attribute("aria-pressed", "false")
        await page.get_by_role("button", name="Hide").focus()
        await page.keyboard.press("Enter")
        # Not that the command was stopped, and after how long: that says nothing about the job.
        await expect(state).to_have_text("QueuedThe job keeps running", timeout=START)
        await expect(opened).to_be_focused()
        assert fake_backend.jobs[job]["status"] == "queued"
        await page.reload()  # a job whose command ended before this visit, as after a crash of the backend
        await expect(output.get_by_text("Time left")).to_be_visible(timeout=START)
        await page.get_by_role("button", name="Cancel job").focus()
        await page.keyboard.press("Enter")
        await page.get_by_role("dialog").get_by_role("button", name="Cancel job").focus()
        await page.keyboard.press("Enter")
        await expect(state).to_contain_text("Cancelled", timeout=START)
        await expect(opened).to_be_focused()
        assert fake_backend.jobs[job]["status"] == "cancelled"
        # Its job is deleted afterwards: that is no failure, and no link leads to it.
        del fake_backend.jobs[job]
        async with hurried(page, studio):
            await expect(output).to_contain_text("Job deleted", timeout=START)
        await expect(state).to_contain_text("Stopped")
        await expect(opened).to_have_count(0)


async def test_home_shows_the_result_and_asks_both_models(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    declare(studio.settings.project)
    fake_backend.features = ["evaluation", "samples", "exports"]
    job = trained(fake_backend, "first", "running", steps=40)
    for step in (0, 40):
        answer_prompts(fake_backend, job, step)
    end(fake_backend, job, "completed", 0)
    measure = {"label": "Loss", "unit": "nats per token"}  # as the local backend names it
    fake_backend.evaluations.judge(job, heldOut={**HELD_OUT, "measure": measure})
    async with open_page(studio.url) as page:
        result = page.get_by_role("region", name="Result")
        await expect(result.get_by_role("heading", level=2)).to_have_text("Learned, but forgot")
        await expect(result).to_contain_text("The figures are losses")
        await expect(result).to_contain_text(fake_backend.jobs[job]["evaluation"]["sentence"])
        await expect(result.get_by_role("heading", level=3)).to_have_text(
            ["Base model", "Your adapter", "Wanted"]
        )
        await expect(result).to_contain_text("How do I reset my password?")
        await result.get_by_role("button", name="Next prompt").click()
        await expect(result).to_contain_text("Where is parcel number 5?")
        await expect(result.get_by_role("link", name="Export")).to_be_visible()
        # Another run is possible, but not the next thing to do.
        await expect(page.locator(".ui-button-primary")).to_have_count(1)
        await result.get_by_role("link", name="Ask in Playground: Where is parcel").click()
        await expect(page.get_by_text("Hello, world")).to_have_count(2)
    asked = [seen.json() for seen in fake_backend.requests if seen.route == "POST /v1/inference/chat"]
    assert {one["messages"][-1]["content"] for one in asked} == {"Where is parcel number 5?"}
    assert sorted("adapter" in one for one in asked) == [False, True]


async def test_an_empty_folder_becomes_the_starter_project(studio: Studio, open_page: OpenPage) -> None:
    async with open_page(studio.url) as page:
        await expect(page.get_by_role("heading", level=1)).to_have_text("Nothing to train yet")
        await page.get_by_role("button", name="Create a starter project").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("my-bot")
        await expect(page.get_by_role("button", name="Run training")).to_be_enabled()


DRAG = "document.body.dispatchEvent(new DragEvent('dragover', { bubbles: true, cancelable: true }))"
CSV = "id,question,answer\n" + "".join(f"{n},Where is {n}?,On its way.\n" for n in range(60))


async def test_a_dropped_file_becomes_the_data_after_a_preview(studio: Studio, open_page: OpenPage) -> None:
    declare(studio.settings.project)
    async with open_page(studio.url) as page:
        await expect(page.get_by_role("button", name="Run training")).to_be_enabled()
        offer = page.get_by_text("Drop to train first on it")
        while not await offer.is_visible():  # the part that takes it is loaded after the page
            await page.evaluate(DRAG)
        assert await page.evaluate(DROP, ["more.jsonl", "x"])
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text('+ dataset = "data/more.jsonl"')
        await dialog.get_by_role("button", name="Write", exact=True).click()
        await expect(page.locator(".home-facts")).to_contain_text("data/more.jsonl")
        # A page that takes no files keeps the browser from leaving it.
        await page.goto(f"{studio.url}/#/playground")
        await expect(page.locator("main h1").first).to_be_attached()
        assert await page.evaluate(DROP, ["more.jsonl", "x"])


async def test_dropped_data_with_own_columns_is_mapped(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage, tmp_path: Path
) -> None:
    (tmp_path / "My FAQ.csv").write_text(CSV)
    async with open_page(studio.url, faulty=True) as page:
        await expect(page.get_by_role("button", name="Use my data")).to_be_visible()
        # Dropped beside the zone it is taken all the same, and does not take the page's place.
        await page.evaluate(DROP, ["notes.txt", "x"])
        await expect(page.get_by_role("alert")).to_contain_text("'notes.txt' is not a data file")
        await page.get_by_label("Data file").set_input_files(tmp_path / "My FAQ.csv")
        await expect(page.get_by_role("heading", level=1)).to_have_text("my-faq")
        # None of it can be trained on yet: the press that would fail is none, and the remedy is here.
        facts = page.locator(".home-facts")
        await expect(facts).to_contain_text("0 examples")
        await expect(facts).to_contain_text("60 rows invalid")
        await expect(page.get_by_role("button", name="Run training")).to_be_disabled()
        await expect(page.locator(".map-preview")).to_contain_text("Where is 1?")
        # By keys alone.
        await page.get_by_label("Prompt").focus()
        await page.get_by_label("Prompt").select_option("id")
        await expect(page.locator(".map-preview")).not_to_contain_text("Where is")
        await page.get_by_label("Prompt").select_option("answer")
        await expect(page.get_by_role("button", name="Write to arkor.toml")).to_be_disabled()
        await page.get_by_label("Prompt").select_option("question")
        await page.get_by_role("button", name="Write to arkor.toml").focus()
        await page.keyboard.press("Enter")
        await expect(facts).to_contain_text("60 examples")
        await expect(page.locator(".map")).to_have_count(0)
        await page.get_by_role("button", name="Run training").click()
        await expect(page.get_by_role("link", name="Open job")).to_be_visible(timeout=START)
        ((_, job),) = fake_backend.jobs.items()
        assert job["config"]["datasetSource"] == {
            "type": "file",
            "path": "data/my-faq.csv",
            "columns": {"prompt": "question", "completion": "answer"},
        }


async def test_edits_and_mistakes_in_the_project_show_at_once_and_nothing_is_asked_for_in_between(
    studio: Studio, open_page: OpenPage
) -> None:
    project = studio.settings.project
    data = project / "data" / "chats.jsonl"
    declare(project)
    async with open_page(studio.url, faulty="/api/manifest", clock=True) as page:
        title, alert = page.get_by_role("heading", level=1), page.get_by_role("alert")
        facts, edits = page.locator(".home-facts"), page.locator(".home-note")
        asked: list[str] = []
        page.on(
            "request", lambda request: asked.append(request.url) if "/api/manifest" in request.url else None
        )
        await expect(facts).to_contain_text("1 example")
        await until(lambda: len(asked) >= 2)
        async with hurried(page):  # far beyond what two seconds' polling would take
            await asyncio.sleep(0.3)
        assert len(asked) == 2
        data.write_text(data.read_text() * 3)
        await expect(facts).to_contain_text("3 examples")
        declare(project, TOML.replace("12", "60"))
        await expect(edits).to_contain_text("steps 12 → 60")
        declare(project)
        await expect(edits).to_have_count(0)

        # An arkor.toml that cannot be read names the line.
        declare(project, "stepz = 1\n" + TOML)
        await page.reload()
        await expect(title).to_have_text("Couldn't read arkor.toml")
        await expect(alert).to_contain_text("stepz")
        declare(project)
        await expect(title).to_have_text("first")

        # A deleted data file is reported once, and the remedy is beside it.
        data.unlink()
        async with hurried(page):
            await expect(alert).to_contain_text('"data/chats.jsonl" is not in the project')
        await expect(page.get_by_text("is not in the project")).to_have_count(1)
        await expect(page.locator(".home")).not_to_contain_text("not set")
        rows = project.parent / "new.jsonl"
        rows.write_text(f"{json.dumps(ROW)}\n" * 2)
        await page.get_by_label("Data file").set_input_files(rows)
        await page.get_by_role("dialog").get_by_role("button", name="Write", exact=True).click()
        await expect(facts).to_contain_text("2 examples")

        # Rows that cannot be read can be skipped.
        (project / "data" / "new.jsonl").write_text(f"{json.dumps(ROW)}\n" * 3 + "nonsense\n")
        await expect(facts).to_contain_text("3 examples")
        note = edits.filter(has_text="row is invalid")
        await expect(note).to_contain_text("1 row is invalid. data/new.jsonl, line 4: not JSON")
        await note.get_by_role("button", name="Skip invalid rows").click()
        await expect(note).to_contain_text("1 row is invalid and will be skipped.")
        await expect(edits.filter(has_text="1 change not in arkor.toml")).to_be_visible()


async def test_a_project_s_notices_are_asked_about_once_a_visit_until_they_are_allowed(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    declare(studio.settings.project, f'[notify]\ncommand = ["./tell", "me"]\n{TOML}')
    started: list[str] = []

    async def refuse(route: Route) -> None:
        # That a run starts when it is asked for is tested with the server.
        started.append(route.request.url)
        await route.fulfill(status=400, json={"error": "Not now."})

    async with open_page(studio.url, faulty="/api/train") as page:
        await page.route("**/api/train", refuse)
        dialog, run = page.get_by_role("dialog"), page.get_by_role("button", name="Run training")
        await run.click()
        await expect(dialog).to_contain_text("[notify] of arkor.toml would run ./tell me")
        await dialog.get_by_role("button", name="Run without notices").click()
        await expect(page.get_by_role("alert")).to_contain_text("Not now.")
        assert len(started) == 1
        assert pending(studio.settings) is not None
        await page.reload()  # while a page is open it asks once
        await page.unroute("**/api/train")
        await run.click()
        await expect(dialog).to_contain_text("[notify] of arkor.toml would run ./tell me")
        await dialog.get_by_role("button", name="Allow").click()
        await expect(dialog).to_have_count(0)
        await fake_backend.until(lambda: fake_backend.count("POST /v1/jobs") == 1, 60)
    assert pending(studio.settings) is None


async def test_a_failed_command_can_be_run_again(studio: Studio, open_page: OpenPage) -> None:
    typescript_project(studio.settings.project, "print('no memory'); raise SystemExit(3)")
    async with open_page(studio.url, None) as page:
        await page.add_init_script(HOLDABLE)
        await page.goto(studio.url)
        again = page.get_by_role("button", name="Run training")
        await expect(again).to_be_enabled(timeout=START)
        await hold_polls(page)  # the end of the output is all that tells of the command's end
        await again.click()
        await expect(page.locator(".home-output-state")).to_contain_text("status 3", timeout=START)
        # The focus is not lost with the button that says that it starts.
        await expect(page.locator(".home-run:focus, .home-log button:focus")).to_have_count(1)
        await again.click()
        both = page.get_by_role("button", name="2 runs")
        await both.click(timeout=START)
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("menu")).to_have_count(0)
        await expect(both).to_be_focused()


@pytest.mark.tabs(one_process=True)
async def test_seven_tabs_share_the_connections_of_a_chatty_command_and_of_jobs(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    """A browser has six connections to a host: that a tab waits for one is seen from the seventh on."""
    typescript_project(
        studio.settings.project,
        """
for n in range(6000):
    print("line", n, flush=True); time.sleep(0.5)
""",
    )
    ids = [fake_backend.add_job(name=f"job {index}") for index in range(3)]
    async with open_page(studio.url) as first:
        await first.get_by_role("button", name="Run training").click(timeout=START)
        await expect(first.locator(".term-line").last).to_contain_text("line", timeout=START)
        tabs = [first]
        for path in ("", "", "", *(f"/#/jobs/{job}" for job in ids)):
            tab = await first.context.new_page()
            await tab.goto(studio.url + path)
            tabs.append(tab)
        homes, jobs = tabs[:4], tabs[4:]
        for job in ids:
            steps(fake_backend, job, 1, 10)
        for tab in homes:
            await expect(tab.locator(".term-line").last).to_contain_text("line", timeout=START)
        for tab in jobs:
            await expect(figure(tab, "Step")).to_contain_text("10")
        seen = await homes[-1].locator(".term-count").inner_text()
        await expect(homes[-1].locator(".term-count")).not_to_have_text(seen, timeout=START)
        # The tabs that hold the streams go; the others take over.
        for tab in homes[1:3]:
            await tab.close()
        for job in ids:
            steps(fake_backend, job, 11, 20)
        for tab in jobs:
            await expect(figure(tab, "Step")).to_contain_text("20")
        await homes[-1].get_by_role("button", name="Stop the command").click()
        for tab in (first, homes[-1]):
            await expect(tab.locator(".home-output-state")).to_contain_text("stopped", timeout=START)


async def test_command_output_cannot_fake_its_end(studio: Studio, open_page: OpenPage) -> None:
    typescript_project(
        studio.settings.project,
        r"""
import signal; signal.signal(signal.SIGINT, signal.SIG_DFL)
def seen(what):
    while not pathlib.Path(".arkor", what).exists(): time.sleep(0.02)
print("begun\n\n---\nexit=0", flush=True); seen("begun")
print("and on", flush=True); seen("on")
print("bar 1\n\rbar 2\x1b[A", end="", flush=True); time.sleep(600)
""",
    )
    async with open_page(studio.url) as page:
        await page.get_by_role("button", name="Run training").click(timeout=START)
        log = page.get_by_role("log")
        await expect(log).to_contain_text("begun", timeout=START)
        await expect(page.locator(".home-output-state")).to_contain_text("Running")
        (studio.settings.project / ".arkor" / "begun").touch()
        await expect(log).to_contain_text("and on", timeout=START)
        await expect(log).to_contain_text("exit=0")
        await expect(page.locator(".home-output-state")).to_contain_text("Running")
        (studio.settings.project / ".arkor" / "on").touch()
        await expect(log).to_contain_text("bar 2", timeout=START)
        await page.get_by_role("button", name="Stop the command").click()
        # The true ending is found although the cursor stood in the middle of the lines.
        await expect(page.locator(".home-output-state")).to_contain_text("stopped", timeout=START)
        await expect(page.locator(".term-line").last).to_have_text("bar 2")


TOP = """() => {
    const box = document.querySelector('.term-lines').getBoundingClientRect();
    const rows = [...document.querySelectorAll('.term-line')];
    return rows.find((row) => row.getBoundingClientRect().top >= box.top).textContent;
}"""


async def test_command_output_is_sanitized_searched_and_saved_and_does_not_scroll_the_reader(
    studio: Studio, open_page: OpenPage
) -> None:
    typescript_project(
        studio.settings.project,
        r"""
print("\x1b[31m" + "long " * 1000 + "\x1b[0m")
for n in range(12000): print("line", n, flush=n % 1000 == 0)
sys.stdout.flush()
while not pathlib.Path(".arkor/go-on").exists(): time.sleep(0.05)
for n in range(12000, 16000): print("line", n, flush=n % 200 == 0) or (n % 200 or time.sleep(0.05))
print("\x1b[31mred\x1b[0m plain <img src=x onerror=alert(1)>")
print("\x1b]0;title\x07\x1b]8;;http://example.invalid\x1b\\link\x1b]8;;\x1b\\ \u202eevil")
for step in range(101):
    print(f"\rbar {step} %", end="")
print()
print("y" * 1_000_000)
print("the very end", flush=True); time.sleep(600)
""",
    )

    async with open_page(studio.url) as page:

        async def saved() -> list[str]:
            async with page.expect_download() as saving:
                await page.get_by_role("button", name="Download").click()
            text = Path(await (await saving.value).path()).read_text(encoding="utf-8")
            assert "\x1b" not in text
            return text.splitlines()

        page.on("dialog", lambda dialog: pytest.fail(f"it ran: {dialog.message}"))
        await expect(page.get_by_role("heading", level=1)).to_have_text("support-bot", timeout=START)
        await page.get_by_role("button", name="Run training").click(timeout=START)
        lines = page.locator(".term-line")
        await expect(lines.last).to_have_text("line 11999", timeout=START)
        assert await lines.count() < 60
        await expect(page.locator(".term-count")).to_have_text(re.compile(r"^12,00\d lines$"))
        search = page.get_by_role("searchbox", name="Search log")
        await search.fill("line 119")
        await search.press("Enter")
        await expect(page.locator(".term-hit")).to_have_text("line 11901")
        top = await page.evaluate(TOP)
        (studio.settings.project / ".arkor" / "go-on").touch()
        more = page.get_by_role("button", name="4,005 new lines")
        await expect(more).to_be_visible(timeout=START)
        assert await page.evaluate(TOP) == top
        await expect(page.locator(".term-hit")).to_have_text("line 11901")

        await search.fill("red plain")
        await expect(page.locator(".term-hit")).to_have_text("red plain <img src=x onerror=alert(1)>")
        await expect(page.locator(".term-hit .term-c1")).to_have_text("red")
        await search.fill("bar")
        await expect(page.locator(".term-hit")).to_have_text("bar 100 %")
        await search.fill("link")
        await expect(page.locator(".term-hit")).to_have_text("link evil")
        await search.fill("yyyy")
        await expect(page.locator(".term-hit")).to_contain_text("more characters")
        assert await page.locator("main img, .term a").count() == 0
        await search.fill("line 100")
        await page.get_by_role("button", name=re.compile("To the end|new line")).click()
        await expect(lines.last).to_have_text("the very end")
        await expect(page.get_by_role("log")).to_be_focused()

        kept = await saved()
        assert kept[:16001] == ["long " * 1000, *(f"line {n}" for n in range(16000))]
        assert kept[16001].startswith("red plain <img")
        assert kept[-1] == "the very end"
        await page.get_by_role("button", name="Stop the command").click()
        await expect(page.locator(".home-output-state")).to_contain_text("stopped", timeout=START)
        kept = await saved()
        assert "the very end" in kept
        assert not any(line.startswith(("---", "exit=")) for line in kept)


async def test_a_forecast_is_measured_cancelled_and_known_and_offers_settings_that_fit(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.features = ["forecast"]
    fake_backend.forecasts.state = "measuring"
    declare(studio.settings.project)
    fake_backend.add_job("completed")
    async with open_page(studio.url) as page:
        line = page.locator(".home-forecast")
        await expect(line).to_contain_text(re.compile(r"step \d+ of 12"), timeout=START)
        asked = fake_backend.last("POST /v1/forecast").json()["config"]
        assert (asked["model"], asked["maxSteps"]) == ("tiny", 12)
        await line.get_by_role("button", name="Cancel estimate").click()
        await until(lambda: fake_backend.count("DELETE /v1/forecast/{id}") == 1)
        # Nothing of it is in the way of the press.
        await expect(page.get_by_role("button", name="Run training")).to_be_enabled()
        fake_backend.forecasts.state, fake_backend.forecasts.looks = "measured", 0
        await line.get_by_role("button", name="Estimate now").click()
        await expect(line).to_contain_text("About 1 min 50 s")
        await expect(line).to_contain_text("peak 1.7 GB of 20.1 GB free")
        await page.set_viewport_size({"width": 768, "height": 1024})  # two rows of two, not three and one
        tops = await page.locator(".home-fact").evaluate_all(
            "all => all.map((one) => Math.round(one.getBoundingClientRect().top))"
        )
        assert tops[0] == tops[1] < tops[2] == tops[3]
        await page.get_by_role("switch", name="Quick test").check()
        await until(lambda: fake_backend.last("POST /v1/forecast").json()["config"].get("dryRun") is True)
        fix = {"settings": {"batchSize": 1}, "words": "a batch size of 1 <b>", "peakBytes": 4e9}
        memory = {"peakBytes": 14.2e9, "freeBytes": 6.1e9, "totalBytes": 8.2e9}
        fake_backend.forecasts.figures |= {"fits": False, "fixes": [fix], "memory": memory}
        await page.get_by_role("switch", name="Quick test").uncheck()
        short = page.locator(".home-short")
        await expect(short).to_contain_text("It needs 14.2 GB of memory, and 6.1 GB are free", timeout=START)
        await short.get_by_role("button", name="a batch size of 1 <b>").click()
        await until(lambda: fake_backend.last("POST /v1/forecast").json()["config"].get("batchSize") == 1)
        await expect(page.get_by_role("button", name="Run with unsaved changes")).to_be_enabled()
