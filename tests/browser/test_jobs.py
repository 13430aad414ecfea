"""The table of jobs: any number of them, found, ordered, compared, cancelled; whatever their names hold."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from arkor_dev.server.app_keys import JOBS

from .steps import at_rest, hurried, lasting

if TYPE_CHECKING:
    from playwright.async_api import Page

    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

    from .conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "\x1b[31mred\x1b]0;title\x07",
    "\u202egpj.exe",
    "مدرب الدعم",
    "🦊 fox",
    "x" * 3000,
    "",
)


A_ROW_IN_SIGHT = """() => [...document.querySelectorAll('.jobs-row')].some((row) => {
    const box = row.getBoundingClientRect();
    return box.top > innerHeight / 3 && box.bottom < innerHeight;
})"""


async def names(page: Page) -> list[str]:
    """The names in sight, from the top."""
    return await page.locator(".jobs-name").all_inner_texts()


OVER_CELLS = """
() => [...document.querySelectorAll(".jobs-table th:has(.jobs-sort)")].flatMap((head) => {
    const name = [...head.classList].find((each) => each.startsWith("jobs-col-"));
    const text = (node) => {
        const range = document.createRange();
        range.selectNodeContents(node);
        return range.getBoundingClientRect();
    };
    const cells = [...document.querySelectorAll(`.jobs-row .${name}`)].filter((cell) => cell.textContent);
    const end = head.classList.contains("jobs-num");
    const over = text(head.querySelector(".jobs-sort").firstChild);
    const apart = (cell) => (end ? text(cell).right - over.right : text(cell).left - over.left);
    return cells.filter((cell) => Math.abs(apart(cell)) > 1.5).map((cell) => [name, apart(cell)]);
})
"""
"""Columns whose header is not over its cells' text, each with how far it is from it."""


async def test_the_table_renders_visible_rows_only(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    for index in range(3000):
        fake_backend.add_job("completed", name=f"task {index}", createdAt=f"2026-01-01T{index:06d}Z")
    async with open_page(studio.url, "/#/jobs") as page:
        table = page.get_by_role("table", name="Jobs")
        await expect(table).to_have_attribute("aria-rowcount", "3001")
        assert await page.locator(".jobs-row").count() < 60
        await page.evaluate("scrollTo(0, document.body.scrollHeight)")
        await expect(page.get_by_role("link", name="task 0", exact=True)).to_be_in_viewport()
        assert await page.locator(".jobs-row").count() < 60
        await page.keyboard.press("/")
        await page.keyboard.type("job-1234")
        await expect(page.locator(".jobs-row")).to_have_count(1)


async def test_an_empty_list_leads_to_the_first_run_and_filters_are_in_the_address(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.features = ["sweeps"]
    async with open_page(studio.url, "/#/jobs") as page:
        await expect(page.get_by_text("No job has run yet.")).to_be_visible()
        await expect(page.get_by_role("link", name="Search for better settings")).to_be_visible()
        await page.get_by_role("link", name="Go to Run training").click()
        await expect(page).to_have_url(re.compile(r"#/$"))

        for name, status, best, verdict in (
            ("bravo", "completed", 2.0, "worse"),
            ("alpha", "completed", 1.0, "better"),
            ("other", "failed", 3.0, None),
        ):
            job = fake_backend.add_job(status, name=name, metrics={"bestEvalLoss": best})
            if verdict:
                fake_backend.jobs[job]["evaluation"] = {"verdict": verdict}
        studio.app[JOBS].refresh()
        await page.goto(f"{studio.url}/#/jobs")
        await page.reload()
        await page.get_by_text("Completed 2").click()
        await page.get_by_role("button", name="Best eval loss").click()
        await page.get_by_role("searchbox").fill("a")
        await expect(page.locator(".jobs-name")).to_have_text(["alpha", "bravo"])
        await expect(page).to_have_url(re.compile(r"#/jobs\?status=completed&sort=best&q=a$"))
        await page.reload()
        await expect(page.locator(".jobs-name")).to_have_text(["alpha", "bravo"])
        await page.get_by_role("button", name="Best eval loss").click()
        await expect(page.locator(".jobs-name").first).to_have_text("bravo")
        await page.get_by_role("searchbox").fill("nobody")
        await page.get_by_role("button", name="Show all jobs").click()
        await expect(page.locator(".jobs-row")).to_have_count(3)

        # A phone shows the column by which the rows are sorted.
        verdicts, best_losses = (page.locator(f".jobs-row .jobs-col-{name}") for name in ("verdict", "best"))
        await page.set_viewport_size({"width": 390, "height": 900})
        await page.goto(f"{studio.url}/#/jobs?status=completed")
        await expect(best_losses.first).to_be_visible()
        await expect(verdicts.first).to_be_hidden()
        await page.goto(f"{studio.url}/#/jobs?status=completed&sort=-verdict")
        await expect(verdicts.first).to_be_visible()
        await expect(verdicts).to_have_text(["Learned", "Worse"])
        await expect(best_losses.first).to_be_hidden()
        assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


SCROLL_AND_CLICK = """async () => {
    scrollTo(0, 6000);
    await new Promise(requestAnimationFrame);
    const link = document.querySelectorAll(".jobs-name")[12];
    link.click();
    return link.textContent;
}"""
"""As fast as anyone can be: there is no time left to note where the page was."""


async def test_back_and_reload_restore_the_position(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    for index in range(400):
        fake_backend.add_job("completed", name=f"job {index}")
    async with open_page(studio.url, "/#/jobs") as page:
        await expect(page.locator(".jobs-row").first).to_be_attached()
        name = str(await page.evaluate(SCROLL_AND_CLICK))
        await expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()
        await page.wait_for_function("() => Math.round(scrollY) === 0")
        await page.go_back()
        await page.wait_for_function("() => Math.round(scrollY) === 6000")
        await expect(page.get_by_role("link", name=name, exact=True)).to_be_in_viewport()
        await page.reload()
        await page.wait_for_function("() => Math.round(scrollY) === 6000")
        await page.go_forward()
        await page.wait_for_function("() => Math.round(scrollY) === 0")
        await page.get_by_role("navigation", name="Pages").get_by_role("link", name="Jobs").click()
        await expect(page.get_by_role("heading", name="Jobs", level=1)).to_be_focused()
        await page.wait_for_function("() => scrollY === 0")


async def test_rows_show_changes_progress_errors_and_hostile_names(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    config = {"model": "tiny", "datasetSource": {"type": "file", "path": "d.jsonl"}, "learningRate": 2e-5}
    long = "lighthouse with a name that is much longer than the column in which it stands #12"
    fake_backend.add_job("failed", name=long, error="The run needs 31 GB of memory.", config=config)
    progress = {"step": 21, "totalSteps": 40, "loss": 1.2134}
    changed = {**config, "loraR": 8, "setByHand": ["learningRate", "loraR"]}
    fake_backend.add_job("running", name="lighthouse #2", metrics=progress, config=changed)
    best = {"bestEvalLoss": 0.6123}
    fake_backend.add_job("completed", name="lighthouse", metrics=best, createdAt="2026-01-01T00:00:00Z")
    async with open_page(studio.url, "/#/jobs") as page:
        page.on("dialog", lambda dialog: pytest.fail(f"it ran: {dialog.message}"))
        rows = page.locator(".jobs-row")
        failed = rows.filter(has_text="much longer")
        await expect(failed).to_contain_text("The run needs 31 GB of memory.")
        running = rows.filter(has_text="lighthouse #2")
        await expect(running).to_contain_text("step 21 of 40, loss 1.213")
        await expect(running.locator(".jobs-col-changes")).to_have_text("Learning rate 2e-5, LoRA rank 8")
        # The id gives way to the name, and every header stands over its cells.
        assert await failed.locator(".jobs-id").evaluate("(id) => id.clientWidth") < 30
        assert await lasting(lambda: page.evaluate(OVER_CELLS)) == []

        for name in HOSTILE:
            fake_backend.add_job("completed", name=name)
        studio.app[JOBS].refresh()
        await page.reload()
        await expect(rows).to_have_count(3 + len(HOSTILE))
        shown = set(await names(page))
        assert {
            "<img src=x onerror=alert(1)>",
            "red",
            "gpj.exe",
            "مدرب الدعم",
            "🦊 fox",
            "(no name)",
        } <= shown
        assert await page.locator("main img, main script").count() == 0
        for width in (1280, 390):
            await page.set_viewport_size({"width": width, "height": 900})
            await page.wait_for_function("() => document.documentElement.scrollWidth <= innerWidth")


async def test_columns_are_differing_settings_and_chosen_ones(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    base = {"model": "org/tiny", "datasetSource": {"type": "file", "path": "data/faq.jsonl"}}
    for rate, day in ((2e-5, 1), (3e-5, 2)):
        config = {**base, "learningRate": rate}
        fake_backend.add_job("completed", config=config, createdAt=f"2026-01-0{day}T00:00:00Z")
    async with open_page(studio.url, "/#/jobs", width=1280) as page:
        rates, data = page.locator("td.jobs-col-rate"), page.locator("td.jobs-col-data")
        await expect(rates).to_have_text(["3e-5", "2e-5"])
        await expect(page.locator("td.jobs-col-model")).to_have_text(["tiny", "tiny"])
        await expect(data).to_have_count(0)
        await page.get_by_role("button", name="Columns").click()
        items = page.get_by_role("menuitemcheckbox")
        await items.filter(has_text="Data set").press("Enter")
        await expect(data).to_have_text(["data/faq.jsonl"] * 2)
        await items.filter(has_text="Learning rate").press("Enter")
        await expect(rates).to_have_count(0)
        await page.keyboard.press("Escape")
        await expect(items).to_have_count(0)
        await page.reload()
        await expect(data).to_have_count(2)
        await expect(rates).to_have_count(0)
        # In a narrower window a chosen column stays, and others give way to the name.
        await page.set_viewport_size({"width": 740, "height": 800})
        await expect(page.locator("td.jobs-col-model")).to_have_count(0)
        await expect(data).to_have_count(2)
        name = await at_rest(page.locator("td.jobs-col-name").first.bounding_box)
        assert name
        assert name["width"] > 200
        assert await lasting(lambda: page.evaluate(OVER_CELLS)) == []


async def test_jobs_are_selected_for_comparison_by_pointer_and_by_keyboard(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    jobs = {fake_backend.add_job("completed", name=name) for name in ("one", "two")}
    for index in range(11):
        fake_backend.add_job("completed", name=f"n{index}")
    async with open_page(studio.url, "/#/jobs") as page:
        offered = page.get_by_role("option", name="Compare selected jobs")

        async def palette_offers(count: int) -> None:
            await page.keyboard.press("Control+k")
            await page.keyboard.type("compare sel")
            await expect(offered).to_have_count(count)
            await page.keyboard.press("Escape")
            await expect(page.get_by_role("dialog")).to_have_count(0)

        await palette_offers(0)
        await page.get_by_role("checkbox", name="Select one").check()
        await expect(page.get_by_role("button", name="Compare")).to_be_disabled()
        await page.get_by_role("checkbox", name="Select two").check()
        await page.get_by_role("button", name="Compare").click()
        await expect(page).to_have_url(re.compile(r"#/compare\?jobs="))
        listed = re.split(r",|%2C", page.url.partition("jobs=")[2])
        assert set(listed) == jobs
        # Whoever comes back may want to compare one more.
        await page.go_back()
        await expect(page.get_by_role("checkbox", checked=True)).to_have_count(2)

        boxes = page.get_by_role("checkbox")
        await expect(boxes).to_have_count(13)
        for box in await boxes.all():
            await box.check()
        await palette_offers(0)
        await page.keyboard.press("c")
        await expect(page).to_have_url(re.compile("#/jobs$"))
        await boxes.first.uncheck()
        await palette_offers(1)
        await page.keyboard.press("c")
        await expect(page).to_have_url(re.compile("#/compare"))

        await page.go_back()
        cell = await at_rest(page.locator(".jobs-row .jobs-col-created").last.bounding_box)
        assert cell
        await page.mouse.click(cell["x"] + 5, cell["y"] + 5)
        await expect(page).to_have_url(re.compile(rf"#/jobs/({'|'.join(fake_backend.jobs)})$"))


async def test_malformed_jobs_do_not_break_the_page(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    bare, odd = fake_backend.add_job(), fake_backend.add_job()
    fake_backend.jobs[bare] = {"id": bare, "projectId": fake_backend.jobs[bare]["projectId"]}
    strange = {"name": 7, "status": "paused", "config": "none", "createdAt": 5, "metrics": [], "error": {}}
    fake_backend.jobs[odd] |= strange
    plain = fake_backend.add_job("completed", name="plain")
    pages = {
        "/#/jobs": bare,
        "/#/jobs?sort=name": odd,
        "/#/jobs?sort=status": bare,
        "/#/jobs?sort=-duration": odd,
        "/#/jobs?sort=best&q=job": bare,
        f"/#/jobs/{bare}": bare,
        f"/#/jobs/{odd}": odd,
        f"/#/compare?jobs={bare},{odd},{plain}": "plain",
        f"/#/playground?job={odd}": "no checkpoint yet",
        "/": "plain",
    }
    async with open_page(studio.url, None) as page:
        for address, shown in pages.items():
            await page.goto(studio.url + address)
            await expect(page.locator("main")).to_contain_text(shown)
            await page.keyboard.press("Control+k")
            await page.keyboard.type("job")
            await expect(page.get_by_role("dialog").get_by_role("option").first).to_be_visible()
            await page.keyboard.press("Escape")
            await expect(page.get_by_role("dialog")).to_have_count(0)


async def test_the_tab_title_shows_the_end_of_a_job(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    job = fake_backend.add_job("running", name="long one")
    async with open_page(studio.url, "/#/jobs", clock=True, permissions=["notifications"]) as page:
        await expect(page.get_by_role("link", name="long one")).to_be_visible()
        # As if another window had the focus; and the system's notifications as a list that can be read.
        await page.evaluate(
            """(id) => {
                localStorage.setItem("arkor.watched", JSON.stringify([id]));
                dispatchEvent(new StorageEvent("storage", { key: "arkor.watched" }));
                document.hasFocus = () => false;
                window.told = [];
                window.Notification = class {
                    static permission = "granted";
                    constructor(title) { told.push(title); }
                };
            }""",
            job,
        )
        running = await page.locator('link[rel="icon"]').get_attribute("href")
        fake_backend.finish(job)
        async with hurried(page, studio):
            await expect(page).to_have_title("Completed: long one")
        await page.wait_for_function("() => told.join() === 'long one completed'")
        await expect(page.locator('link[rel="icon"]')).not_to_have_attribute("href", running or "")
        await page.evaluate("document.hasFocus = () => true; dispatchEvent(new Event('focus'))")
        await expect(page).to_have_title("Jobs · Arkor Studio")


async def test_a_job_is_cancelled_from_its_row_or_says_why_not_and_focus_is_never_lost(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    for index in range(100):
        fake_backend.add_job("running", name=f"n{index}", createdAt=f"2026-01-01T{index:06d}Z")
    fake_backend.add_job("running", name="doomed", createdAt="2026-01-02T00:00:00Z")
    fake_backend.add_job("completed", name="other", createdAt="2026-01-02T00:00:00Z")
    fake_backend.fault("POST /v1/jobs/{id}/cancel", status=409, body=b'{"error": "Too late."}')
    async with open_page(studio.url, "/#/jobs", faulty="/cancel") as page:
        search = page.get_by_role("searchbox")
        link = page.get_by_role("link", name="doomed")
        await expect(page.locator(".jobs-row").first).to_be_attached()
        await page.evaluate("scrollTo(0, document.body.scrollHeight)")
        await page.get_by_role("button", name="Cancel n5", exact=True).click()
        await page.get_by_role("dialog").get_by_role("button", name="Cancel job").click()
        alert = page.get_by_role("alert")
        await expect(alert).to_contain_text("Too late.")
        await expect(alert).to_be_in_viewport()
        await expect(alert.get_by_role("button", name="Dismiss")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(alert).to_have_count(0)
        await expect(page.get_by_role("link", name="n5", exact=True)).to_be_focused()

        fake_backend.heal()
        asked = fake_backend.count("POST /v1/jobs/{id}/cancel")
        await page.evaluate("scrollTo(0, 0)")
        await link.hover()
        await page.get_by_role("button", name="Cancel doomed").click()
        question = page.get_by_role("dialog", name="Cancel doomed")
        await question.get_by_role("button", name="Back").click()
        assert fake_backend.count("POST /v1/jobs/{id}/cancel") == asked
        await page.get_by_role("button", name="Cancel doomed").focus()
        await page.keyboard.press("Enter")
        await question.get_by_role("button", name="Cancel job").focus()
        await page.keyboard.press("Enter")
        await expect(page.locator(".jobs-row").filter(has_text="Cancelled")).to_have_count(1)
        await expect(link).to_be_focused()
        await page.keyboard.press("x")
        await page.get_by_role("button", name="Clear").focus()
        await page.keyboard.press("Enter")
        await expect(search).to_be_focused()
        await search.fill("nobody")
        await page.get_by_role("button", name="Show all jobs").focus()
        await page.keyboard.press("Enter")
        await expect(search).to_be_focused()
        await page.keyboard.type("other")
        await page.keyboard.press("Escape")
        await expect(search).to_have_value("")
        await page.keyboard.press("Escape")
        await expect(page.locator(".jobs-name").first).to_be_focused()


async def test_the_focused_row_stays_during_updates(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    for index in range(500):
        fake_backend.add_job("completed", name=f"n{index}", createdAt=f"2026-01-01T{index:06d}Z")
    async with open_page(studio.url, "/#/jobs", clock=True) as page:
        await expect(page.locator(".jobs-row").first).to_be_attached()
        for _ in range(3):
            await page.keyboard.press("j")
        focused = page.get_by_role("link", name="n497", exact=True)
        await expect(focused).to_be_focused()
        await page.mouse.move(600, 500)
        await page.mouse.wheel(0, 8000)
        await expect(focused).not_to_be_in_viewport()
        place = await at_rest(lambda: page.evaluate("scrollY"))
        await page.wait_for_function(A_ROW_IN_SIGHT)
        await expect(focused).to_be_focused()
        assert await page.locator(".jobs-row").count() < 60
        before = await page.evaluate("document.documentElement.scrollHeight")
        await page.keyboard.press("j")
        await expect(focused).not_to_be_focused()
        assert await page.evaluate("scrollY") == place
        head = await page.locator(".jobs-table th").first.bounding_box()
        row = await page.locator(".jobs-row:focus-within").bounding_box()
        assert head
        assert row
        assert 0 <= row["y"] - head["y"] - head["height"] < row["height"]
        async with hurried(page, studio):
            await expect(focused).to_have_count(0)
        assert await page.evaluate("document.documentElement.scrollHeight") == before
        # New jobs push the row down, out of what is drawn.
        await page.evaluate("scrollTo(0, 0)")
        first = page.get_by_role("link", name="n499", exact=True)
        await expect(first).to_be_in_viewport()
        await page.keyboard.press("j")
        await expect(first).to_be_focused()
        for index in range(100):
            fake_backend.add_job("completed", name=f"new {index}", createdAt=f"2026-05-01T{index:06d}Z")
        async with hurried(page, studio):
            await expect(page.get_by_role("link", name="new 99")).to_be_visible()
        await expect(first).to_be_focused()


async def test_a_job_is_paused_and_resumed_in_the_table(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.features = ["pause", "resume"]
    job = fake_backend.add_job("running", name="long")
    fake_backend.log(job, 5, loss=1.0)
    async with open_page(studio.url, "/#/jobs", faulty=True) as page:
        actions = page.get_by_role("button", name="Actions for long")
        await actions.click()
        menu = page.get_by_role("menu")
        await expect(menu.get_by_role("menuitem")).to_have_text(["Pause", "Cancel job"])
        await expect(menu.get_by_role("menuitem", name="Cancel job")).to_be_in_viewport(ratio=1)
        await menu.get_by_role("menuitem", name="Pause").click()
        await expect(page.locator(".jobs-row")).to_contain_text("Paused")
        fake_backend.resuming.changed[job] = "data.jsonl has other rows."
        await actions.click()
        await menu.get_by_role("menuitem", name="Resume").click()
        alert = page.get_by_role("alert")
        await expect(alert).to_contain_text("The job could not be resumed")
        await expect(alert).to_contain_text("data.jsonl has other rows.")
        await alert.get_by_role("button", name="Dismiss").click()
        fake_backend.resuming.changed.clear()
        await actions.click()
        await menu.get_by_role("menuitem", name="Resume").click()
        await expect(page.locator(".jobs-row")).to_contain_text("Queued")
