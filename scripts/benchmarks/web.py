"""Measures the page in a real Chromium: its size, the time until tables and curves are painted, and the cost
of a live tab.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import urllib.request
from contextlib import contextmanager
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any

from playwright.sync_api import sync_playwright

from . import servers
from .figures import Figure, beside

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request

    from .servers import Child, Studio

QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]
PAGES = ("/", "/#/jobs", "/#/jobs/none", "/#/compare", "/#/playground", "/#/endpoints")
CURVES = {1_000: 300, 10_000: 350, 50_000: 450, 150_000: 1000}
LATE_SECONDS = 1.0
LIVE_SECONDS = 12
# Enough for a median that is robust to a short load on the machine.
ROUNDS = 9

# Checks once per frame whether the awaited content is there, and stops the clock after that frame is drawn.
PROBE = """
window.longest = 0;
new PerformanceObserver((list) => {
  for (const task of list.getEntries()) window.longest = Math.max(window.longest, task.duration);
}).observe({ type: "longtask", buffered: true });
const ready = () => %s;
const look = () => {
  if (!ready()) return requestAnimationFrame(look);
  requestAnimationFrame(() => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => console.debug("painted", performance.now());
    port2.postMessage(0);
  });
};
requestAnimationFrame(look);
"""
TRAINER = '[[trainer]]\nname = "bot"\nmodel = "smollm2-135m-instruct"\ndataset = "rows.jsonl"\nsteps = 4\n'
# Reports when Home's first button is there, before effects run: they request the parts that load later.
STANDS = """
new MutationObserver((_, observer) => {
  if (document.querySelector(".home-card .ui-button") === null) return;
  observer.disconnect();
  console.debug("stands", performance.now());
}).observe(document, { childList: true, subtree: true });
"""
BEGUN_BEFORE = """(stood) => performance.getEntriesByType("resource")
  .filter(({ startTime }) => startTime < stood).map(({ name }) => name)"""
TABLE = "document.querySelector('.jobs-row') !== null"
# The last step as a figure, and a curve that begins at the left end of the axis.
CURVE = """(() => {
  const curves = [...document.querySelectorAll(".chart-curve")].map((path) => path.getAttribute("d") ?? "");
  const curve = curves.find((d) => d !== "") ?? "";
  const step = document.querySelectorAll(".job-metric-value")[1]?.textContent.replace(/,/g, "") ?? "";
  const start = parseFloat(curve.slice(1));
  return step.startsWith("%d") && start < 60;
})()"""


def measure(*, quick: bool) -> Iterator[Figure]:
    """Yield every figure of the page as it is measured."""
    with servers.fake() as backend, servers.studio(backend) as studio, chromium() as browser:
        yield from weight(studio, browser)
        yield from table(backend, studio, browser, 1 if quick else ROUNDS)
        for events in (1_000,) if quick else CURVES:
            yield from curve(backend, studio, browser, events, 1 if quick else ROUNDS)
        yield from heap(backend, studio, browser, 1_000 if quick else 150_000, 1 if quick else 3)
        yield from live(backend, studio, browser, 2 if quick else LIVE_SECONDS)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a headless browser."""
    path = os.environ.get("ARKOR_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(QUIET))
        yield browser
        browser.close()


@contextmanager
def tab(browser: Browser) -> Iterator[tuple[BrowserContext, Page]]:
    """Open a page with its own profile."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context, context.new_page()
    context.close()


def weight(studio: Studio, browser: Browser) -> Iterator[Figure]:
    """Measure the bytes transferred for the page and its assets, for a project with a trainer.

    The first load is everything that Home requests before its button is there. Its limit is that of
    ``scripts/build-web``, which counts files, without response headers. Parts loaded later, such as the
    settings form, are a separate figure.
    """
    origin = f"http://127.0.0.1:{studio.port}"
    fetched: dict[str, tuple[int, int]] = {}
    (studio.project / "arkor.toml").write_text(TRAINER)
    (studio.project / "rows.jsonl").write_text('{"prompt": "Where is it?", "completion": "On its way."}\n')

    def count(request: Request) -> None:
        if "/api/" not in request.url and not request.url.startswith("data:"):
            sizes = request.sizes()
            fetched[request.url] = sizes["responseBodySize"], sizes["responseHeadersSize"]

    with tab(browser) as (context, page):
        page.on("requestfinished", count)
        page.add_init_script(STANDS)
        with page.expect_console_message(lambda message: message.text.startswith("stands ")) as told:
            page.goto(origin + "/")
        stood = float(told.value.text.split()[1])
        page.wait_for_load_state("networkidle")
        early = {origin + "/", *page.evaluate(BEGUN_BEFORE, stood)}
        first = [fetched[url] for url in early if url in fetched]
        bodies, headers = (sum(sizes) / 1000 for sizes in zip(*first, strict=True))
        yield Figure("first load over the wire", bodies, "kB", most=60)
        yield Figure("headers of its answers", headers, "kB")
        late = sum(body for url, (body, _) in fetched.items() if url not in early)
        yield Figure("what Home asks for once it stands", late / 1000, "kB")
        for path in PAGES[1:]:
            page.goto(origin + path)
            page.wait_for_timeout(500)
        yield Figure(
            "all pages over the wire, headers included",
            sum(map(sum, fetched.values())) / 1000,
            "kB",
            most=200,
        )
        again = context.new_page()
        again.goto(origin + "/")
        again.wait_for_load_state("networkidle")
        assets = "(entry) => entry.name.includes('/assets/') && entry.transferSize > 0"
        count_ = f"performance.getEntriesByType('resource').filter({assets}).length"
        yield Figure("assets fetched by a second visit", again.evaluate(count_), "", most=0)


def table(backend: Child, studio: Studio, browser: Browser, rounds: int) -> Iterator[Figure]:
    """Measure the time from the navigation to the painted table of 10,000 jobs."""
    backend("jobs", count=10_000)
    while len(_api(studio, "/api/jobs")["jobs"]) < 10_000:
        time.sleep(0.5)  # the list is at most one poll old
    painted = [_painted(studio, browser, "/#/jobs", TABLE) for _ in range(rounds)]
    yield Figure("table of 10,000 jobs painted", median(at for at, _ in painted), "ms", most=400)
    yield Figure("longest task meanwhile", median(longest for _, longest in painted), "ms", most=100)


def curve(backend: Child, studio: Studio, browser: Browser, events: int, rounds: int) -> Iterator[Figure]:
    """Measure a job's page with its whole history, from the first step on the axis to the last one as a
    figure.

    Each pass has its own job, since the daemon keeps the events of a viewed one in memory. In turns, the
    backend sends the first events at once or late.
    """

    def painted(late: float) -> float:
        backend("late", seconds=late)
        backend("jobs", count=10)
        job = backend("history", events=events, per_write=500)["job"]
        return _painted(studio, browser, f"/#/jobs/{job}", CURVE % (events - 1))[0] - late * 1000

    late, quick = beside(lambda: painted(LATE_SECONDS), lambda: painted(0), rounds)
    backend("late", seconds=0)
    name = f"job page with {events:,} events"
    yield Figure(f"{name} painted", quick, "ms", most=CURVES[events])
    yield Figure(f"{name}, first byte after {LATE_SECONDS:g} s, beyond it", late, "ms", quick, most=1.2)


def heap(backend: Child, studio: Studio, browser: Browser, events: int, rounds: int) -> Iterator[Figure]:
    """Measure the page's maximum heap, typed arrays included, until its curve is painted."""
    peaks = []
    for _ in range(rounds):
        backend("jobs", count=10)
        job = backend("history", events=events, per_write=500)["job"]
        with tab(browser) as (context, page):
            session, told, peak = context.new_cdp_session(page), list[str](), 0.0
            page.on("console", partial(_note, told))
            page.add_init_script(PROBE % (CURVE % (events - 1)))
            page.goto(f"http://127.0.0.1:{studio.port}/#/jobs/{job}", wait_until="commit")
            while not any("painted" in text for text in told):
                usage = session.send("Runtime.getHeapUsage")
                peak = max(peak, usage["usedSize"] + usage["backingStorageSize"])
            peaks.append(peak)
    yield Figure(f"peak heap with {events:,} events", median(peaks) / 1e6, "MB", most=70)


def live(backend: Child, studio: Studio, browser: Browser, seconds: float) -> Iterator[Figure]:
    """Measure the renderer's share of a core while a curve of 2,000 points receives 100 events per second."""
    backend("jobs", count=10)
    job = backend("history", events=2_000, per_write=1, ended=False)["job"]
    with tab(browser) as (_, page):
        page.goto(f"http://127.0.0.1:{studio.port}/#/jobs/{job}")
        page.wait_for_selector(".chart-curve", state="attached")
        backend("steady", job=job, rate=100, seconds=seconds + 6)
        page.wait_for_timeout(3000)
        session = browser.new_browser_cdp_session()

        def renderers() -> float:
            return sum(
                float(process["cpuTime"])
                for process in session.send("SystemInfo.getProcessInfo")["processInfo"]
                if process["type"] == "renderer"
            )

        before, begun = renderers(), time.perf_counter()
        page.wait_for_timeout(seconds * 1000)
        share = (renderers() - before) / (time.perf_counter() - begun)
    yield Figure("live tab at 100 events/s: share of a core", share * 100, "%", most=10)


def _painted(studio: Studio, browser: Browser, path: str, ready: str) -> tuple[float, float]:
    """Return the milliseconds from the navigation until the content is drawn, and the longest task's."""
    with tab(browser) as (_, page):
        page.add_init_script(PROBE % ready)
        # The page reports it: polling, like a selector does, would run the measurement's scripts meanwhile.
        with page.expect_console_message(lambda message: "painted" in message.text, timeout=60_000) as told:
            page.goto(f"http://127.0.0.1:{studio.port}{path}")
        page.wait_for_timeout(300)
        return float(told.value.text.split()[1]), float(page.evaluate("window.longest"))


def _note(told: list[str], message: ConsoleMessage) -> None:
    told.append(message.text)


def _api(studio: Studio, path: str) -> Any:
    request = urllib.request.Request(f"http://127.0.0.1:{studio.port}{path}")
    request.add_header("X-Arkor-Studio-Token", studio.token)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())
