"""A job's page: figures that follow the run, the curve and its tools, the log, every way a run can end."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import expect

from tests.support.waiting import until

from .conftest import FIREFOX
from .steps import COPIED, at_rest, soon

if TYPE_CHECKING:
    from playwright.async_api import Page

    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

    from .conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def stamp(seconds: float) -> str:
    """A time that many seconds after the hour before now."""
    return (datetime.now(UTC) - timedelta(hours=1) + timedelta(seconds=seconds)).isoformat()


def steps(fake: FakeBackend, job: str, first: int, last: int, **more: Any) -> None:
    """Logged steps whose loss falls from 3 towards 0, one a second."""
    for step in range(first, last + 1):
        fields = {"loss": 3 / step, "learningRate": 1e-3 / step, "epoch": step / 10, "timestamp": stamp(step)}
        fake.log(job, step, **{**fields, **more})


def finished(fake: FakeBackend, count: int, **more: Any) -> str:
    """A completed job of that many steps."""
    job = fake.add_job(name="done", **more)
    fake.frames[job].clear()
    fake.emit(job, "training.started", metadata={"totalSteps": count, "device": "cpu"}, timestamp=stamp(0))
    steps(fake, job, 1, count)
    fake.finish(job)
    return job


def figure(page: Page, name: str) -> Any:
    """One of the four figures, by its name."""
    return page.locator(".job-metric").filter(has=page.locator("dt", has_text=re.compile(f"^{name}$")))


async def address_at_rest(page: Page) -> str:
    """The address once it has caught up with the controls: it follows them by a quarter of a second."""

    async def read() -> str:
        await page.wait_for_timeout(400)
        return page.url

    return await at_rest(read)


async def shows_all(page: Page) -> None:
    """Wait until the address has no range."""
    await until(lambda: "zoom=" not in page.url, 30)


@pytest.mark.quick
@pytest.mark.smoke
async def test_a_run_is_followed_to_its_end(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    job = fake_backend.add_job("queued", name="follow me")
    async with open_page(studio.url, f"/#/jobs/{job}") as page:
        await expect(page.get_by_role("heading", name="follow me", level=1)).to_be_visible()
        fake_backend.emit(job, "model.progress", label="Fetching the model", done=5, total=10)
        await expect(page.get_by_role("progressbar", name="Fetching the model")).to_have_attribute(
            "aria-valuenow", "50"
        )
        fake_backend.jobs[job]["status"] = "running"
        fake_backend.emit(job, "training.started", metadata={"totalSteps": 60})
        steps(fake_backend, job, 1, 20)
        await expect(figure(page, "Step")).to_contain_text("20 / 60")
        await expect(figure(page, "Loss")).to_contain_text("0.1500")
        await expect(page.get_by_role("progressbar", name="Steps done")).to_have_attribute(
            "aria-valuenow", "20"
        )
        sentence = "Better, settled at step 20: loss 0.50."
        so_far = {"state": "better", "settled": 20, "sentence": sentence}
        fake_backend.log(job, 20, evalLoss=0.5, verdictSoFar=so_far)
        await expect(page.get_by_text(sentence, exact=True)).to_be_visible()
        fake_backend.emit(job, "checkpoint.saved", step=20, artifacts=[{"kind": "checkpoint", "bytes": 1000}])
        await expect(figure(page, "Loss")).to_contain_text("best eval 0.5000 at step 20")
        await expect(page.get_by_role("link", name="Checkpoint at step 20")).to_have_attribute(
            "href", f"#/playground?target=checkpoint%3A{job}%3A20&again=1"
        )
        steps(fake_backend, job, 21, 60)
        fake_backend.finish(job)
        await expect(page.locator(".job-line")).to_contain_text("Completed")
        await expect(page.get_by_text("Better, settled at step 20")).to_have_count(0)
        await expect(page.get_by_role("link", name="Open in Playground", exact=True)).to_have_attribute(
            "href", f"#/playground?target=final%3A{job}"
        )
        await expect(page.get_by_role("button", name="Cancel job")).to_have_count(0)


async def test_time_left_and_speed_are_told_only_where_they_are_known(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    job, late, quick = (fake_backend.add_job() for _ in range(3))
    for each in (job, late):
        fake_backend.emit(each, "training.started", metadata={"totalSteps": 1000})
    behind = datetime.now(UTC) - timedelta(minutes=5)
    for step in range(1, 6):
        fake_backend.log(late, step, loss=2.0, timestamp=(behind + timedelta(seconds=step)).isoformat())
    steps(fake_backend, quick, 1, 10, samplesPerSecond=12.5)
    async with open_page(studio.url, f"/#/jobs/{job}") as page:
        await expect(figure(page, "Time left")).to_contain_text("no step yet")
        now = datetime.now(UTC)
        fake_backend.log(job, 1, loss=2.0, timestamp=(now - timedelta(seconds=4)).isoformat())
        await expect(figure(page, "Time left")).to_contain_text("known after the second step")
        fake_backend.log(job, 5, loss=2.0, timestamp=now.isoformat())
        await expect(figure(page, "Time left")).to_contain_text(re.compile(r"1[67] min"))
        # Where the backend says so, it is that of all that follows the last step, too.
        fake_backend.emit(
            job, "training.phase", phase="evaluating", secondsLeft=200, timestamp=now.isoformat()
        )
        await expect(figure(page, "Time left")).to_contain_text(re.compile(r"^Time left3 min .*Evaluating"))
        # A backend whose clock is behind is not silent.
        await page.goto(f"{studio.url}/#/jobs/{late}")
        await expect(figure(page, "Time left")).to_contain_text("no step for")
        fake_backend.log(late, 6, loss=2.0, timestamp=(behind + timedelta(seconds=6)).isoformat())
        await expect(figure(page, "Time left")).to_contain_text(re.compile(r"1[67] min"))
        # Speed is told in what the backend counts.
        await page.goto(f"{studio.url}/#/jobs/{quick}")
        await expect(figure(page, "Samples/s")).to_contain_text("12.5")
        await expect(page.get_by_role("log", name="Event log")).to_contain_text("12.5 samples/s")
        steps(fake_backend, quick, 11, 12, tokensPerSecond=900)
        await expect(figure(page, "Tokens/s")).to_contain_text("900")


async def test_zoom_by_hand_wheel_and_keys_lives_in_the_address(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    job = finished(fake_backend, 400)
    async with open_page(studio.url, f"/#/jobs/{job}") as page:
        chart = page.get_by_role("application", name=re.compile("^Loss of done"))
        await expect(chart).to_contain_text("400")
        box = await at_rest(chart.bounding_box)
        assert box
        await page.mouse.move(box["x"] + 300, box["y"] + 100)
        await page.mouse.down()
        await page.mouse.move(box["x"] + 600, box["y"] + 120, steps=4)
        await page.mouse.up()
        await until(lambda: "zoom=" in page.url, 30)
        brushed = zoom(await address_at_rest(page))
        assert 80 < brushed[0] < 120
        assert 180 < brushed[1] < 220
        await page.mouse.wheel(0, -200)
        await until(lambda: zoom(page.url) != brushed, 30)
        nearer = zoom(await address_at_rest(page))
        assert brushed[0] <= nearer[0] < nearer[1] <= brushed[1]
        assert nearer != brushed
        await page.reload()
        await expect(page.get_by_role("button", name="Show all")).to_be_visible()
        assert zoom(page.url) == nearer
        if FIREFOX:  # its driver sends two single clicks
            await chart.dispatch_event("dblclick")
        else:
            await chart.dblclick(position={"x": 400, "y": 150})
        await shows_all(page)
        await chart.focus()
        await page.keyboard.press("+")
        await until(lambda: "zoom=" in page.url, 30)
        await page.keyboard.press("0")
        await shows_all(page)


@pytest.mark.chromium_only("touch is sent by Chromium's own protocol")
async def test_a_tap_reads_and_two_fingers_zoom_and_stay_on_their_points(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    job = finished(fake_backend, 400)
    async with open_page(studio.url, f"/#/jobs/{job}", width=390, height=844, has_touch=True) as page:
        chart, readout = page.locator(".chart"), page.locator(".chart-readout")
        await expect(figure(page, "Step")).to_contain_text("400 / 400")
        await chart.tap(position={"x": 150, "y": 120})
        await expect(readout).to_be_visible()
        await page.wait_for_timeout(400)  # a second tap at once would be another gesture
        first = await readout.text_content()
        await chart.tap(position={"x": 250, "y": 120})
        await expect(readout).not_to_have_text(first or "")
        await expect(readout).to_be_visible()
        await page.locator(".job-metric").first.tap()
        await expect(readout).to_have_count(0)
        await chart.scroll_into_view_if_needed()
        box = await at_rest(chart.bounding_box)
        assert box
        device = await page.context.new_cdp_session(page)

        async def touch(kind: str, *xs: float) -> None:
            points = [{"x": box["x"] + x, "y": box["y"] + 150, "id": n} for n, x in enumerate(xs)]
            await device.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        await touch("touchStart", 100)
        await touch("touchMove", 140)
        await expect(readout).to_be_visible()
        await touch("touchStart", 140, 220)
        for spread in range(0, 81, 10):
            await touch("touchMove", 140 - spread, 220 + spread)
        await expect(readout).to_have_count(0)
        await touch("touchEnd")
        await until(lambda: "zoom=" in page.url, 30)
        nearer = zoom(await address_at_rest(page))
        # From 80 to 240 pixels apart: a third of the steps, about the place between the fingers.
        assert 110 < nearer[1] - nearer[0] < 150
        assert nearer[0] < 180 < nearer[1]
        assert await page.evaluate("visualViewport.scale") == 1
        await touch("touchStart", 60, 300)
        await touch("touchMove", 120, 240)
        await touch("touchMove", 160, 200)
        await touch("touchEnd")
        await shows_all(page)


def zoom(address: str) -> tuple[float, float]:
    """The range that an address asks for."""
    found = re.search(r"zoom=([\d.]+?)\.\.([\d.]+)", address)
    assert found, address
    return float(found[1]), float(found[2])


# The crosshair has come to where the pointer is, its words cover no point, and they lie within the chart.
BESIDE_THE_POINT = """(part) => {
    const [words, dot, chart] = ['.chart-readout', '.chart-dot', '.chart'].map((each) =>
        document.querySelector(each)?.getBoundingClientRect());
    const away = (at) => Math.abs(at - chart.left - part * chart.width);
    return words && dot && away((dot.left + dot.right) / 2) < chart.width / 10
        && (dot.right < words.left || dot.left > words.right)
        && chart.left <= words.left && words.right <= chart.right;
}"""


@pytest.mark.smoke
async def test_the_crosshair_covers_no_point_and_escape_takes_a_drag_back(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    job = finished(fake_backend, 100)
    async with open_page(studio.url, f"/#/jobs/{job}") as page:
        chart = page.locator(".chart")
        await expect(chart).to_contain_text("100")
        box = await at_rest(chart.bounding_box)
        assert box
        for part in (0.05, 0.3, 0.5, 0.7, 0.98):
            await page.mouse.move(box["x"] + part * box["width"], box["y"] + 150)
            readout = page.locator(".chart-readout")
            await expect(readout).to_contain_text(re.compile(r"step \d+ · epoch \d+\.\d\d · \d+:\d\d"))
            await soon(partial(page.evaluate, BESIDE_THE_POINT, part))
        await chart.focus()
        await page.keyboard.press("Home")
        await expect(page.locator(".chart-readout")).to_contain_text("step 1 ")
        await page.keyboard.press("ArrowRight")
        await expect(page.locator(".chart-readout")).to_contain_text("step 2 ")
        await page.keyboard.press("Shift+ArrowRight")
        await expect(page.locator(".chart-readout")).to_contain_text("step 12 ")
        await page.keyboard.press("End")
        await expect(page.locator(".chart-readout")).to_contain_text("step 100 ")
        await page.mouse.move(box["x"] + 300, box["y"] + 100)
        await page.mouse.down()
        await page.mouse.move(box["x"] + 500, box["y"] + 100, steps=4)
        await expect(page.locator(".chart-brush")).to_have_count(1)
        await page.keyboard.press("Escape")
        await page.mouse.move(box["x"] + 600, box["y"] + 100, steps=4)
        await expect(page.locator(".chart-brush")).to_have_count(0)
        await page.mouse.up()
        await page.wait_for_timeout(400)
        assert "zoom" not in page.url


async def test_keys_walk_along_and_between_curves(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    job = fake_backend.add_job(name="keys")
    for step in range(10, 60, 10):
        fake_backend.log(job, step, evalLoss=2 / step, timestamp=stamp(step))
    async with open_page(studio.url, f"/#/jobs/{job}") as page:
        chart = page.get_by_role("application", name=re.compile("^Loss of keys: 5 points"))
        readout = page.locator(".chart-readout")
        await chart.focus()
        await page.keyboard.press("Home")
        await expect(readout).to_contain_text("step 10 ")
        steps(fake_backend, job, 60, 69)
        fake_backend.log(job, 69, evalLoss=0.02, timestamp=stamp(69))
        # The step's figure may be a paint ahead of the last evaluation.
        await expect(page.get_by_role("application", name=re.compile(": 16 points"))).to_be_visible()
        await page.keyboard.press("End")
        await expect(readout).to_contain_text("step 69 ")
        said = page.get_by_role("status").filter(has_text="step 69")
        await expect(said).to_have_text("step 69, eval loss 0.0200, training loss 0.0435")
        await page.keyboard.press("ArrowUp")
        await page.keyboard.press("ArrowLeft")
        await expect(readout).to_contain_text("step 68 ")
        await page.keyboard.press("ArrowDown")
        await expect(readout).to_contain_text("step 69 ")
        await page.keyboard.press("ArrowLeft")
        await expect(readout).to_contain_text("step 50 ")


async def test_settings_outlive_live_updates_and_a_reload(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    job = fake_backend.add_job()
    steps(fake_backend, job, 1, 30)
    async with open_page(studio.url, f"/#/jobs/{job}") as page:
        await page.get_by_text("log", exact=True).click()
        await page.get_by_text("elapsed", exact=True).click()
        await page.get_by_label("Learning rate").check()
        await page.get_by_label("Smoothing").fill("0.9")
        await page.get_by_role("button", name="training loss").click()
        kept = ("y=log", "x=elapsed", "lr=1", "smooth=0.9", "hide=")
        await until(lambda: all(each in page.url for each in kept), 30)
        steps(fake_backend, job, 31, 40)
        await expect(figure(page, "Step")).to_contain_text("40")
        for _ in range(2):
            await expect(page.get_by_label("Smoothing")).to_have_value("0.9")
            await expect(page.get_by_label("Learning rate")).to_be_checked()
            await expect(page.get_by_role("radio", name="elapsed")).to_be_checked()
            await expect(page.get_by_role("radio", name="log", exact=True)).to_be_checked()
            await expect(page.get_by_role("button", name="training loss")).to_have_attribute(
                "aria-pressed", "false"
            )
            await page.reload()


async def test_gaps_and_missing_curves_are_explained_and_a_resumed_run_is_one_curve(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    job = finished(fake_backend, 30)
    rates = fake_backend.add_job()
    fake_backend.log(rates, 1, learningRate=1e-3)
    nothing = fake_backend.add_job("failed", error="out of memory")
    once = fake_backend.add_job()
    steps(fake_backend, once, 1, 1)
    gaps = fake_backend.add_job()
    steps(fake_backend, gaps, 1, 10)
    fake_backend.log(gaps, 11, loss=None)
    frame = b'event: training.log\ndata: {"type":"training.log","step":12,"loss":1e309}\n\n'
    fake_backend.emit_raw(gaps, frame)
    steps(fake_backend, gaps, 13, 20)
    fake_backend.finish(gaps)
    resumed = finished(fake_backend, 100)
    fake_backend.emit(resumed, "training.started", timestamp=stamp(110))
    steps(fake_backend, resumed, 51, 150, loss=9)
    async with open_page(studio.url, f"/#/jobs/{gaps}") as page:
        await expect(page.get_by_text("2 values not a number")).to_be_visible()
        await expect(page.locator(".chart-curve").last).to_have_attribute("d", re.compile("^M[^M]+M[^M]+$"))
        await page.goto(f"{studio.url}/#/jobs/{resumed}?smooth=0")
        await expect(page.get_by_text("50 points of an earlier pass")).to_be_visible()
        await expect(page.locator(".chart-curve").last).to_have_attribute("d", re.compile("^M[^M]+$"))
        await expect(page.locator(".chart-raw").first).to_have_attribute("d", re.compile("^M"))
        await page.get_by_text("elapsed", exact=True).click()
        await expect(page.get_by_text("earlier pass")).to_have_count(0)
        assert "\u2212" not in "".join(await page.locator(".chart-tick").all_text_contents())

        # A chart without a curve says why, and what has no data is not drawn.
        await page.goto(f"{studio.url}/#/jobs/{job}")
        await page.get_by_role("button", name="training loss").click()
        await expect(page.get_by_text("All curves are switched off in the legend.")).to_be_visible()
        await until(lambda: "hide=" in page.url, 30)
        await page.goto(f"{studio.url}/#/jobs/{job}?zoom=50..60")
        await expect(page.get_by_text("No step was logged in this range")).to_be_visible()
        await page.goto(f"{studio.url}/#/jobs/{rates}")
        await expect(page.get_by_text("No loss was logged so far.")).to_be_visible()
        await page.goto(f"{studio.url}/#/jobs/{nothing}")
        await expect(page.get_by_text("No step was logged.")).to_be_visible()
        for absent in (".chart", ".chart-controls", ".chart-statistics-table"):
            await expect(page.locator(absent)).to_have_count(0)
        legend = page.get_by_role("group", name="Curves")
        await page.goto(f"{studio.url}/#/jobs/{once}")
        await page.get_by_text("Statistics").click()
        await expect(page.locator(".chart-statistics-table tbody tr")).to_have_text(
            re.compile(r"training loss\s*1.*one value")
        )
        await expect(legend.get_by_role("button")).to_have_text(["training loss"])
        fake_backend.log(once, 2, evalLoss=2.0)
        await expect(legend.get_by_role("button")).to_have_text(["training loss", "eval loss"])


TEXTS_OF_SVG = """(svg) => {
    const { documentElement: root } = new DOMParser().parseFromString(svg, "image/svg+xml");
    return root.tagName === "svg" && [...root.querySelectorAll("text")].map((text) => text.textContent);
}"""


@pytest.mark.chromium_only("a stock Firefox tells its driver of no download")
async def test_what_is_exported(studio: Studio, fake_backend: FakeBackend, open_page: OpenPage) -> None:
    job = finished(fake_backend, 50)
    fake_backend.jobs[job]["name"] = 'done <&"\ufffe'
    async with open_page(studio.url, f"/#/jobs/{job}") as page:
        await expect(figure(page, "Step")).to_contain_text("50 / 50")
        got = {}
        endings = {"SVG": "svg", "PNG": "png", "CSV": "csv", "JSON Lines": "jsonl", "JSON": "json"}
        for kind, ending in endings.items():
            await page.get_by_role("button", name="Export").click()
            async with page.expect_download() as coming:
                await page.get_by_role(
                    "menuitem", name=re.compile(rf"^{kind}\s*(picture|all points)$")
                ).click()
            download = await coming.value
            assert download.suggested_filename == f"done.{ending}"
            got[kind] = Path(await download.path()).read_bytes()
        assert got["PNG"].startswith(b"\x89PNG")
        assert len(got["PNG"]) > 5000
        svg = got["SVG"].decode()
        assert not re.search(r"var\(|oklch|class=|href=|NaN|undefined|none none", svg)
        assert svg.count("rgb(") > 5
        await page.goto("about:blank")  # Studio's policy forbids parsing text
        texts = await page.evaluate(TEXTS_OF_SVG, svg)
        assert texts[:2] == ['done <&"', "training loss"]
        rows = list(csv.DictReader(io.StringIO(got["CSV"].decode())))
        assert [(row["step"], row["loss"]) for row in rows[:3]] == [("1", "3"), ("2", "1.5"), ("3", "1")]
        assert len(rows) == 50
        points = json.loads(got["JSON"])["jobs"][0]["points"]
        assert len(points) == 50
        assert [json.loads(line) for line in got["JSON Lines"].splitlines()] == points


async def test_the_log_at_rest_in_full_and_by_kind(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    job = fake_backend.add_job()
    steps(fake_backend, job, 1, 3000)
    fake_backend.emit(job, "checkpoint.saved", step=3000)
    fake_backend.finish(job)
    async with open_page(studio.url, f"/#/jobs/{job}") as page:
        log = page.get_by_role("log", name="Event log")
        await expect(log).to_contain_text("training.completed")
        await page.get_by_role("button", name="All 3,003").click()

        async def begins() -> bool:
            # It goes to its end in the next frame, and stays where it is scrolled to from then on.
            await log.evaluate("(node) => { node.scrollTop = 0; }")
            return "step 1 · loss 3.000" in await log.inner_text()

        await soon(begins)
        assert await page.locator(".job-log-row").count() < 100
        await page.get_by_label("Kind of event").select_option("checkpoint.saved")
        await expect(page.locator(".job-log-row")).to_have_count(1)
        await log.focus()
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("dialog", name="checkpoint.saved")).to_contain_text('"step": 3000')


async def test_hostile_events_are_text_and_bounded(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    bad = "<img src=x onerror=alert(1)>\x1b[31mred\x1b]0;title\x07\u202egpj"
    job = fake_backend.add_job(name=bad)
    fake_backend.emit(job, "training.message", message=bad + "y" * 10_000_000)
    fake_backend.emit(job, bad.replace("\n", ""), value=bad)
    fake_backend.emit_raw(job, b"event: training.log\ndata: not { json <script>\n\n")
    fake_backend.emit(job, "training.failed", error=bad * 50)
    fake_backend.jobs[job].update(status="failed", error=bad)
    async with open_page(studio.url, f"/#/jobs/{job}") as page:
        log = page.get_by_role("log", name="Event log")
        await expect(log).to_contain_text("not { json <script>", timeout=60_000)
        await expect(page.get_by_role("alert")).to_contain_text("<img src=x onerror=alert(1)>")
        text = await page.locator("main").inner_text()
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert len(text) < 60_000
        assert await page.locator("main img, main script").count() == 0


async def test_a_failed_an_unknown_a_cancelled_and_a_deleted_job_say_so(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    job = fake_backend.add_job("failed", error="line 12 is not JSON\nFix it and run again.")
    fake_backend.emit(job, "training.failed", error="line 12 is not JSON\nFix it and run again.")
    listed = fake_backend.add_job("failed", error="out of memory")
    fake_backend.emit(listed, "training.failed")
    running = fake_backend.add_job(name="support-bot")
    async with open_page(studio.url, f"/#/jobs/{job}") as page:
        await expect(page.get_by_role("alert")).to_contain_text("line 12 is not JSON Fix it and run again.")
        await expect(page.get_by_text("No step was logged.")).to_be_visible()
        # Without a reason of the event's, that of the list is shown.
        await page.goto(f"{studio.url}/#/jobs/{listed}")
        await expect(page.get_by_role("alert")).to_contain_text("out of memory")
        await expect(page.get_by_role("log", name="Event log")).to_contain_text("no reason given")
        await page.goto(f"{studio.url}/#/jobs/none")
        await expect(page.get_by_text("No job has this id")).to_be_visible()

        # Cancelling asks first.
        await page.goto(f"{studio.url}/#/jobs/{running}")
        await page.get_by_role("button", name="Cancel job").click()
        dialog = page.get_by_role("dialog", name="Cancel this job?")
        await page.keyboard.press("Escape")
        await expect(dialog).to_have_count(0)
        assert fake_backend.count("POST /v1/jobs/{id}/cancel") == 0
        await page.get_by_role("button", name="Cancel job").click()
        await dialog.get_by_role("button", name="Cancel job").click()
        await expect(page.locator(".job-line")).to_contain_text("Cancelled")
        # Another tab deletes it.
        await expect(page.get_by_role("heading", name="support-bot")).to_be_visible()
        del fake_backend.jobs[running]
        await expect(page.get_by_text("This job was deleted")).to_be_visible(timeout=10_000)
        await expect(page.get_by_text("support-bot is no longer in this project.")).to_be_visible()
        await expect(page.get_by_role("button", name="Open in Playground")).to_have_count(0)


async def test_the_configuration_is_what_ran_and_tells_defaults_from_what_was_asked(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    config = {"model": "tiny", "datasetSource": {"type": "file", "path": "d.jsonl"}, "batchSize": 64}
    job = fake_backend.add_job(config=config, settings={"model": "tiny", "batchSize": 18, "seed": 42})
    forecast = {"state": "measured", "seconds": 110.4, "memory": {"peakBytes": 1.7e9}}
    forecast["gpus"] = [{"peakBytes": 4.9e9, "totalBytes": 8e9}, {"peakBytes": 4.2e9, "totalBytes": 8e9}]
    times = {"startedAt": "2026-01-01T00:00:00Z", "completedAt": "2026-01-01T00:01:44Z"}
    took = {"peakBytes": 1_600_000_000, "gpuPeakBytes": [4_800_000_000, 4_300_000_000]}
    measured = fake_backend.add_job("completed", forecast=forecast, metrics=took)
    fake_backend.finish(measured)
    fake_backend.jobs[measured] |= times
    async with open_page(studio.url, f"/#/jobs/{job}") as page:
        await page.get_by_role("tab", name="Events").press("ArrowRight")
        await expect(page.get_by_role("tab", name="Configuration")).to_be_focused()
        for name, value, title, quiet in (
            ("Data set", "d.jsonl", "d.jsonl", False),
            ("Batch size", "18", "18", False),
            ("Seed", "42", "42, the default", True),
        ):
            fact = page.locator(".job-fact").filter(has=page.locator("dt", has_text=re.compile(f"^{name}$")))
            told = fact.locator("dd")
            await expect(told).to_have_text(value)
            await expect(told).to_have_attribute("title", title)
            await expect(told).to_have_class(re.compile(r"\bdim\b") if quiet else "num")
        seed = page.locator(".job-fact dt", has_text="Seed")
        await expect(page.locator(".job-fact dt", has_text="Batch size")).to_be_visible()
        await expect(seed).to_be_hidden()
        await page.get_by_text("1 more (defaults)").click()
        await expect(seed).to_be_visible()
        await expect(seed).to_have_attribute("title", re.compile("^Random seed"))
        # A forecast stays beside what came.
        await page.goto(f"{studio.url}/#/jobs/{measured}")
        await page.get_by_role("tab", name="Configuration").click()
        facts = page.get_by_role("tabpanel")
        await expect(facts).to_contain_text("1 min 50 s, took 1 min 44 s")
        await expect(facts).to_contain_text("1.7 GB, took 1.6 GB")
        await expect(facts).to_contain_text("4.9 GB and 4.2 GB, took 4.8 GB and 4.3 GB")


async def test_checkpoints_are_a_table_with_their_losses_and_what_can_be_done(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.features = ["card", "parent"]
    job = fake_backend.add_job()
    steps(fake_backend, job, 1, 20)
    fake_backend.log(job, 20, evalLoss=0.25, timestamp=stamp(20))
    for step in range(2, 21, 2):
        saved = {"kind": "checkpoint", "name": f"step {step}", "bytes": 4096, "path": f"/data/one/{step}"}
        fake_backend.emit(job, "checkpoint.saved", step=step, artifacts=[saved])
    final = {"kind": "adapter", "name": "final", "bytes": 2048, "path": "/data/one/final"}
    fake_backend.jobs[job]["status"] = "completed"
    fake_backend.emit(job, "training.completed", artifacts=[final])
    context = {"permissions": ["clipboard-read", "clipboard-write"]}
    async with open_page(studio.url, f"/#/jobs/{job}", **context) as page:
        region = page.get_by_role("region", name="Checkpoints")
        rows = region.locator("tbody tr")
        await expect(rows).to_have_count(7)
        await expect(rows.nth(0)).to_have_text(re.compile("^Final adapter.*0.1500.*0.2500.*2.0 kB"))
        lowest = re.compile("^Step 20 lowest eval loss.*0.1500.*0.2500.*4.1 kB")
        await expect(rows.nth(1)).to_have_text(lowest)
        for name, path, target in (
            ("final", "/data/one/final", f"final%3A{job}"),
            ("Step 20", "/data/one/20", f"checkpoint%3A{job}%3A20"),
        ):
            await region.get_by_role("button", name=f"Actions for {name}").click()
            await page.get_by_role("menuitem", name="Copy folder path").click()
            await soon(partial(page.evaluate, COPIED, path))
            link = region.get_by_role("link", name=f"Try {name}")
            await expect(link).to_have_attribute("href", re.compile(re.escape(target)))
        await region.get_by_role("button", name="Show all 11").click()
        await expect(rows).to_have_count(11)
        # On a narrow phone what can be done with the job is one row.
        await page.set_viewport_size({"width": 360, "height": 800})
        tops = "(row) => [...row.children].map((one) => Math.round(one.getBoundingClientRect().top))"
        actions = page.locator(".job-actions")

        async def in_a_row() -> bool:
            return len(set(await actions.evaluate(tops))) == 1

        await soon(in_a_row)


async def test_a_cut_stream_loses_and_doubles_nothing(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    job = fake_backend.add_job()
    steps(fake_backend, job, 1, 10)
    async with open_page(studio.url, f"/#/jobs/{job}", faulty=True) as page:
        await expect(figure(page, "Step")).to_contain_text("10")
        fake_backend.cut()
        steps(fake_backend, job, 11, 20)
        await expect(figure(page, "Step")).to_contain_text("20")
        await expect(page.get_by_role("tab", name="Events")).to_contain_text("21")


async def test_a_method_s_own_figures_are_curves_and_columns_of_its_checkpoints(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    job = fake_backend.add_job("running")
    figures = [
        {"name": "margin", "label": "Margin", "unit": "nats"},
        {"name": "accuracy", "label": "Accuracy"},
    ]
    fake_backend.emit(job, "training.started", metadata={"totalSteps": 40, "figures": figures})
    for step in range(1, 9):
        fake_backend.log(job, step, loss=3 / step, margin=step / 4, accuracy=0.5 + step / 20)
    fake_backend.emit(job, "training.log", step=8, evalLoss=1, evalMargin=1.5, evalAccuracy=0.75)
    rewarded = fake_backend.add_job()
    reward = {"name": "reward", "label": "Mean reward"}
    fake_backend.emit(rewarded, "training.started", metadata={"measure": reward, "figures": [reward]})
    fake_backend.log(rewarded, 10, loss=-0.07, reward=0.25)
    fake_backend.log(rewarded, 10, evalReward=0.5)
    fake_backend.emit(
        rewarded, "checkpoint.saved", step=10, artifacts=[{"kind": "checkpoint", "bytes": 4096}]
    )
    async with open_page(studio.url, f"/#/jobs/{job}") as page:
        legend = page.get_by_role("group", name="Curves")
        await expect(legend.get_by_role("button")).to_have_text(["training loss", "eval loss"])
        await page.get_by_role("group", name="Value").get_by_text("Margin").click()
        await expect(legend.get_by_role("button")).to_have_text(["Margin (nats)", "eval margin (nats)"])
        await expect(page.get_by_role("application", name=re.compile("^Margin of"))).to_be_visible()
        await page.reload()
        await expect(page.get_by_role("radio", name="Margin")).to_be_checked()

        await page.goto(f"{studio.url}/#/jobs/{rewarded}")
        region = page.get_by_role("region", name="Checkpoints")
        await expect(region.locator("thead")).to_have_text(re.compile("Mean reward *Eval mean reward"))
        await expect(region.locator("tbody tr")).to_have_text(re.compile("Step 10.*0.2500.*0.5000"))
