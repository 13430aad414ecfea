"""One job: waiting, loading its model, running, ended in every way; its chart and log in detail."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from playwright.async_api import expect

from arkor_dev.contract.settings import SETTINGS
from tests.browser.steps import hurried
from tests.support.fake_forecasts import FIGURES

from . import PROMPTLY, Scene, ago, end, state, trained, walk

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


@state("job-queued", "Waiting for its turn", tour="job")
async def queued(scene: Scene) -> None:
    busy = scene.fake.add_job("running", name="support-bot-long", createdAt=ago(90))
    place = {"position": 1, "behind": {"id": busy, "name": "support-bot-long"}}
    job = scene.fake.add_job("queued", name="support-bot", createdAt=ago(40), queue=place)
    scene.fake.frames[job].clear()
    await scene.go(f"/#/jobs/{job}")
    await expect(scene.page.get_by_text("Queued, next. It starts after")).to_be_visible()


@state("job-model", "The model is being fetched", tour="job")
async def model(scene: Scene) -> None:
    job = scene.fake.add_job("running", name="support-bot", createdAt=ago(40), startedAt=ago(30))
    scene.fake.frames[job].clear()
    progress = {"label": "Fetching SmolLM2-135M-Instruct", "done": 171_000_000, "total": 269_000_000}
    scene.fake.emit(job, "model.progress", timestamp=ago(1), **progress)
    await scene.go(f"/#/jobs/{job}")
    await expect(scene.page.get_by_role("progressbar", name="Fetching")).to_be_visible()


@walk(
    {
        "job-zoom": "A running job: zoomed in, smoothed, with the learning rate and the crosshair",
        "job-cancel": "Cancelling asks first",
    },
    tour="job",
)
async def zoom(scene: Scene) -> AsyncGenerator[None]:
    job = trained(scene.fake, "support-bot", "running", steps=310)
    await scene.go(f"/#/jobs/{job}?zoom=60..240&smooth=0.8&lr=1")
    await expect(scene.page.locator(".chart-curve").first).to_be_attached()
    await scene.page.locator(".chart").focus()
    for _ in range(6):
        await scene.page.keyboard.press("Shift+ArrowRight")
    await expect(scene.page.locator(".chart-readout")).to_be_visible()
    yield
    await scene.page.get_by_role("button", name="Cancel job").click()
    await expect(scene.page.get_by_role("dialog")).to_be_visible()
    yield


@state("job-large", "Large numbers beside one another", tour="job")
async def large(scene: Scene) -> None:
    job = trained(scene.fake, "support-bot", steps=40, of=1_250_000, status="running", dryRun=True)
    scene.fake.log(
        job, 1_048_576, loss=0.000012, evalLoss=12345.678, tokensPerSecond=1_234_567, timestamp=ago(1)
    )
    end(scene.fake, job, "completed", 0)
    await scene.go(f"/#/jobs/{job}")
    await expect(scene.page.locator(".job-strip")).to_contain_text("1,048,576 / 1,250,000")


@walk(
    {
        "job-completed": "A finished job: its curve, its figures, what came of it",
        "job-event": "One event, as it came",
        "job-missing": "An address that leads to no job",
    },
    tour="job",
)
async def completed(scene: Scene) -> AsyncGenerator[None]:
    page = scene.page
    job = trained(scene.fake, "support-bot")
    await scene.go(f"/#/jobs/{job}")
    await expect(page.get_by_role("region", name="Checkpoints")).to_be_attached()
    await page.get_by_text("Statistics").click()
    await expect(page.locator(".chart-statistics-table")).to_contain_text("400")
    yield
    await page.locator(".job-log-row").filter(has_text="checkpoint.saved").last.click()
    await expect(page.get_by_role("dialog")).to_contain_text("checkpoint-400")
    yield
    await page.keyboard.press("Escape")
    await scene.go("/#/jobs/job_0123456789")
    await expect(page.get_by_text("No job has this id")).to_be_visible(timeout=PROMPTLY)
    yield


@state(
    "job-contradicting",
    "Rows that contradict the rows most like them, and a job without them",
    tour="attribution",
)
async def contradicting(scene: Scene) -> None:
    scene.fake.features = ["attribution", "evaluation"]
    job, branch = trained(scene.fake, "support-bot"), trained(scene.fake, "support-bot without 1 row")
    for each in (job, branch):
        scene.fake.evaluations.judge(each)
    row = {"where": "data/support.jsonl, line 17", "row": 17, "score": -0.41}
    row |= {"question": "Where is my parcel?", "answer": "Open the settings and choose a new password."}
    scene.fake.attributions.told = {"state": "completed", "rows": 300, "contradicting": [row]}
    scene.fake.attributions.proof = {
        "state": "completed",
        "jobs": {"without": branch},
        "rows": [row["where"]],
    }
    await scene.go(f"/#/jobs/{job}")
    shown = scene.page.get_by_role("region", name="Contradicting rows")
    await shown.get_by_role("button", name="Look for rows that hurt").click()
    await expect(shown.get_by_text("1 row of 300 against the rows most like it")).to_be_visible()
    await shown.get_by_role("button", name="Try without it").click()
    await expect(shown.get_by_text("Keep the training without it")).to_be_visible()
    await shown.scroll_into_view_if_needed()


@state("job-unproven", "No row contradicts others: those that agree least, unproven", tour="attribution")
async def unproven(scene: Scene) -> None:
    scene.fake.features = ["attribution", "evaluation"]
    job = trained(scene.fake, "support-bot")
    rows = [
        {"where": f"data/support.jsonl, line {at}", "row": at, "score": 0.1, "question": "?", "answer": "!"}
        for at in range(1, 11)
    ]
    told = {"state": "completed", "rows": 300, "contradicting": [], "unproven": rows}
    scene.fake.attributions.told = told
    await scene.go(f"/#/jobs/{job}")
    shown = scene.page.get_by_role("region", name="Contradicting rows")
    await shown.get_by_role("button", name="Look for rows that hurt").click()
    await expect(shown.get_by_text("Nothing stands out")).to_be_visible()
    await expect(shown.get_by_text("Unproven: the rows that agree least")).to_be_visible()
    await expect(shown.get_by_role("button", name="Try without them")).to_be_visible()
    await shown.scroll_into_view_if_needed()


@walk(
    {
        "job-deleted-rows": "Rows deleted from an adapter: the certificate",
        "job-deleted-copies": "Their copies are deleted, too",
    }
)
async def deleted_rows(scene: Scene) -> AsyncGenerator[None]:
    scene.fake.features = ["forget", "evaluation"]
    of = trained(scene.fake, "support-bot")
    job = trained(scene.fake, "support-bot without 1 row", forgets=[{"job": of}])
    copy = {"id": "0123456789abcdef", "kind": "file", "deletable": True, "job": of}
    dependent = {"kind": "adapter", "certain": True, "job": of, "why": "it trained on the rows"}
    scene.fake.deletions.certificate = {
        "job": job,
        "of": of,
        "ofName": "support-bot",
        "rows": [{"where": "data/support.jsonl, line 17", "sha256": "5f1d0c66b0a0a8d2" * 4}],
        "first": 41,
        "start": 40,
        "steps": 100,
        "message": "Continued from step 40 of the job support-bot, saved before the rows were used.",
        "exact": True,
        "before": "0" * 64,
        "after": "1" * 64,
        "intact": True,
        "searchedAt": "2026-12-01T10:00:00Z",
        "searchable": True,
        "files": 214,
        "bytes": 8_100_000,
        "copies": [
            {**copy, "name": "attribution/why_0123456789abcdef.json of support-bot"},
            {"id": "1", "kind": "data", "name": "data/support.jsonl", "deletable": False},
        ],
        "dependents": [
            {**dependent, "name": "support-bot and 4 checkpoints"},
            {**dependent, "kind": "endpoint", "name": "support", "why": "it serves support-bot"},
        ],
        "copiesCount": 2,
        "unsearched": ["the history in .git (the time was over)", "old.zip (keys.txt: it has a password)"],
        "unsearchedCount": 2,
        "deleted": [],
        "repeat": {"job": of, "state": "completed", "same": True},
    }
    await scene.go(f"/#/jobs/{job}")
    shown = scene.page.get_by_role("region", name="Deleted rows")
    await expect(shown.get_by_text("60 % of its 100 steps were trained again")).to_be_visible()
    await expect(shown.get_by_text("data/support.jsonl (delete it yourself)")).to_be_visible()
    await shown.scroll_into_view_if_needed()
    yield
    await shown.get_by_role("button", name="Delete 1 copy").click()
    await scene.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(shown.get_by_text("1 copy deleted.")).to_be_visible()
    assert scene.fake.deletions.bodies == [{"delete": ["0123456789abcdef"]}]
    yield


@state("job-gone", "Settings set by hand, and its trainer is no longer in the file", tour="job")
async def gone(scene: Scene) -> None:
    job = trained(scene.fake, "support-bot", batchSize=8, setByHand=["batchSize", "seed", "maxSteps"])
    await scene.go(f"/#/jobs/{job}")
    await scene.page.get_by_role("button", name="Run again").click()
    await expect(scene.page.get_by_role("alert")).to_contain_text("in arkor.toml")
    await scene.page.get_by_role("tab", name="Configuration").click()
    await expect(scene.page.locator(".job-facts")).to_contain_text("set by hand")


@state("job-failed", "A failed job says why, in full", tour="job")
async def failed(scene: Scene) -> None:
    job = trained(scene.fake, "support-bot", "running", steps=160)
    trace = 'Traceback (most recent call last):\n  File "train.py", line 88, in step\n    loss.backward()\n'
    error = f"{trace}torch.OutOfMemoryError: 2.10 GiB were asked for, 1.30 GiB are free. Try a smaller batch."
    end(scene.fake, job, "failed", 0, error=error)
    await scene.go(f"/#/jobs/{job}")
    await expect(scene.page.get_by_role("alert")).to_contain_text("OutOfMemoryError")


@state("job-gaps", "Losses that are no numbers are gaps, in a logarithmic scale", tour="job")
async def gaps(scene: Scene) -> None:
    job = trained(scene.fake, "unstable", "running", steps=180)
    for step in range(181, 200):
        scene.fake.log(job, step, loss=None if step % 3 else 1e9, timestamp=ago(0))
    for step in range(200, 300):
        scene.fake.log(job, step, loss=2.4 + (step % 7) / 20, timestamp=ago(0))
    end(scene.fake, job, "cancelled", 0)
    await scene.go(f"/#/jobs/{job}?y=log")
    await expect(scene.page.get_by_text("not a number")).to_be_visible()


@state("job-hostile", "A hostile job: its name, its events and its error are text", tour="job")
async def hostile(scene: Scene) -> None:
    name = "<img src=x onerror=alert(1)> \u202egnp.exe " + "long " * 60
    job = scene.fake.add_job("running", name=name, createdAt=ago(90), startedAt=ago(85))
    scene.fake.frames[job].clear()
    for step in range(1, 40):
        note = "\x1b[31m<script>alert(1)</script>"
        scene.fake.log(job, step, loss=3 / step, note=note, timestamp=ago(80 - step))
    scene.fake.emit(job, "<b>event</b>\u202e", text="x" * 20_000, timestamp=ago(20))
    end(scene.fake, job, "failed", 10, error="<img src=x onerror=alert(1)> \x1b]0;title\x07" + "y" * 5000)
    await scene.go(f"/#/jobs/{job}")
    await expect(scene.page.get_by_role("alert")).to_contain_text("<img src=x onerror=alert(1)>")


@state("job-away", "The backend is away while a job runs", faulty=True)
async def away(scene: Scene) -> None:
    job = trained(scene.fake, "support-bot", "running", steps=210)
    await scene.go(f"/#/jobs/{job}", clock=True)
    await expect(scene.page.locator(".chart-curve").first).to_be_attached()
    await scene.fake.stop()
    async with hurried(scene.page, scene.studio):
        for text in ("Reconnecting to the event stream", "The backend is not answering."):
            await expect(scene.page.get_by_text(text)).to_be_visible(timeout=PROMPTLY)


@walk(
    {
        "job-forecast": "What was forecast of a job stays beside what came",
        "job-defaults": "Every setting that a job ran with; the unusual ones are put away until one looks",
    },
    tour="job",
)
async def forecast(scene: Scene) -> AsyncGenerator[None]:
    job = trained(scene.fake, "support-bot", steps=40, of=40, optim="lion")
    scene.fake.jobs[job]["settings"] = {
        row.field: row.sample_value for row in SETTINGS if row.field != "model"
    }
    scene.fake.jobs[job]["forecast"] = {"state": "measured", **FIGURES}
    scene.fake.jobs[job]["metrics"]["peakBytes"] = 1_688_000_000
    await scene.go(f"/#/jobs/{job}")
    await scene.page.get_by_role("tab", name="Configuration").click()
    await expect(scene.page.get_by_text("1.7 GB, took 1.7 GB")).to_be_visible(timeout=PROMPTLY)
    yield
    await scene.page.get_by_text("more (defaults)").click()
    await expect(scene.page.get_by_text("NEFTune noise alpha")).to_be_visible()
    yield


NOTES = (
    """# Why this run

The *old* adapter forgot the greeting; see [the thread](https://example.org/42 "title").

- lower rate: `2e-4`
- <img src=x onerror=alert(1)><script>alert(1)</script>
- [a trap](javascript:alert(1)) and ![a picture](https://example.org/p.png)

| step | loss |
|---|---|
| 100 | 1.2 |

    code that is """
    + "long " * 60
)


def said(scene: Scene, **more: Any) -> str:
    """A finished job of which much is said; its id."""
    scene.fake.features = ["delete", "edit", "queue"]
    job = trained(scene.fake, "support-bot")
    tags = ["support", "rate 2e-4", "<b>bold</b>", "x" * 50, "\u0627\u0644\u062f\u0639\u0645"]
    scene.fake.jobs[job] |= {"notes": NOTES, "tags": tags, "starred": True, **more}
    return job


@walk(
    {
        "job-notes": "A starred job with tags and notes, which are text whatever they hold",
        "job-more": "What else can be done with a job",
        "job-rename": "A name that is too long is told of at once",
    },
    tour="notes",
)
async def notes(scene: Scene) -> AsyncGenerator[None]:
    page = scene.page
    job = said(scene)
    await scene.go(f"/#/jobs/{job}")
    await expect(page.get_by_role("heading", name="Why this run")).to_be_attached()
    # Only once the backend's features are known can a job be edited.
    await expect(page.get_by_role("button", name=re.compile("^Star "))).to_be_visible()
    yield
    await page.get_by_role("button", name="More actions").click()
    await expect(page.get_by_role("menuitem", name="Delete job")).to_be_visible()
    yield
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("menuitem", name="Delete job")).to_be_hidden()
    await page.keyboard.press("e")
    await page.get_by_role("textbox", name="Name").fill("long " * 50)
    await expect(page.get_by_role("alert")).to_contain_text("At most 200 characters")
    yield


@state("job-notes-edit", "Notes are edited where they stand", tour="notes")
async def edit_notes(scene: Scene) -> None:
    job = said(scene, tags=[f"tag number {number}" for number in range(200)])
    await scene.go(f"/#/jobs/{job}")
    await expect(scene.page.get_by_role("heading", name="Why this run")).to_be_attached()
    # Only once the backend's features are known can notes be edited.
    await expect(scene.page.get_by_role("button", name=re.compile("^Star "))).to_be_visible()
    await scene.page.keyboard.press("n")
    await expect(scene.page.get_by_role("textbox", name="Notes")).to_be_focused()
