"""Jobs: none, many, not to be had, found and not found, and names that somebody meant badly."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.async_api import expect

from arkor_dev.contract.errors import MAKE_ROOM
from tests.browser.steps import hurried

from . import PROMPTLY, Scene, ago, state, trained, walk

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

NAMES = (
    "support-bot",
    "<script>alert(1)</script>",
    "\x1b[31mred\x1b]0;title\x07",
    "\u202egpj.exe",
    "مدرب خدمة العملاء باللغة العربية",
    "🦊 fox with a very long name that " + "goes on and " * 30 + "ends",
    "x" * 300,
    "",
)
STATUSES = ("running", "completed", "failed", "queued", "cancelled")


def many(scene: Scene, count: int = 60) -> None:
    """Jobs of every status."""
    for number in range(count):
        seconds = 600 * (number + 1)
        status = STATUSES[number % 5]
        metrics = {"evalLoss": 0.6 + number / 100, "bestEvalLoss": 0.58 + number / 100}
        known: dict[str, Any] = {"createdAt": ago(seconds)}
        if status != "queued":
            known["startedAt"] = ago(seconds - 5)
        if status not in ("queued", "running"):
            known["completedAt"] = ago(seconds - 305)
        if status in ("running", "completed"):
            known["metrics"] = metrics
        scene.fake.add_job(status, name=f"support-bot-{count - number}", **known)


@state("jobs-empty", "Before the first job")
async def empty(scene: Scene) -> None:
    scene.fake.features = ["delete", "sweeps"]
    await scene.go("/#/jobs")
    await expect(scene.page.get_by_text("No job has run yet.")).to_be_visible()


@state("jobs-loading", "While the backend takes its time")
async def loading(scene: Scene) -> None:
    scene.fake.fault("GET /v1/jobs", hang=True)
    await scene.go("/#/jobs")
    await expect(scene.page.locator(".ui-skeleton").first).to_be_visible()


@state("jobs-refused", "When there is no list to be had", faulty=True)
async def refused(scene: Scene) -> None:
    scene.fake.fault(
        "GET /v1/jobs", status=503, body=b'{"error": "The service is being updated until 14:00."}'
    )
    await scene.go("/#/jobs")
    await expect(scene.page.get_by_role("alert")).to_contain_text("being updated", timeout=PROMPTLY)


@walk(
    {
        "jobs-many": "Many jobs, two of them selected",
        "jobs-none-found": "A search that finds nothing",
    },
    tour="jobs",
)
async def selected(scene: Scene) -> AsyncGenerator[None]:
    many(scene)
    await scene.go("/#/jobs")
    for name in ("support-bot-59", "support-bot-54"):
        await scene.page.get_by_role("checkbox", name=f"Select {name}", exact=True).check()
    yield
    await scene.go("/#/jobs?q=translator")
    await expect(scene.page.locator(".jobs-row")).to_have_count(0)
    await expect(scene.page.get_by_text("translator").first).to_be_visible()
    yield


@state("jobs-names", "Long, foreign and hostile names are text", tour="jobs")
async def names(scene: Scene) -> None:
    for number, name in enumerate(NAMES):
        scene.fake.add_job("completed", name=name, createdAt=ago(3600 * (number + 1)))
    await scene.go("/#/jobs")
    await expect(scene.page.locator(".jobs-row")).to_have_count(len(NAMES))


@state("jobs-stale", "The backend is away: what was known stays", faulty=True)
async def stale(scene: Scene) -> None:
    trained(scene.fake, "support-bot")
    trained(scene.fake, "support-bot-long", "running", steps=200)
    await scene.go("/#/jobs", clock=True)
    await expect(scene.page.locator(".jobs-row")).to_have_count(2)
    await scene.fake.stop()
    async with hurried(scene.page, scene.studio):
        away = scene.page.get_by_text("The backend is not answering.")
        await expect(away).to_be_visible(timeout=PROMPTLY)


@state("jobs-disk-full", "The disk is full, and says what makes room")
async def disk_full(scene: Scene) -> None:
    trained(scene.fake, "support-bot-long", "running", steps=200)
    scene.fake.trouble = f"The disk is full: jobs wait, and continue once there is space. {MAKE_ROOM}."
    await scene.go("/#/jobs")
    alert = scene.page.get_by_role("alert").filter(has_text="arkor-dev local gc")
    await expect(alert).to_be_visible(timeout=PROMPTLY)


FEATURES = ["adapters", "delete", "edit", "evaluation", "queue", "sweeps"]
TAGS = ["support", "rate 2e-4", "<b>bold</b>", "\u0627\u0644\u062f\u0639\u0645", "x" * 50]


def marked(scene: Scene) -> list[str]:
    """Jobs with stars and tags, some of them long or meant badly; their ids."""
    scene.fake.features = FEATURES
    jobs = []
    for number, name in enumerate(
        ("support-bot", "support-bot-long", NAMES[5], NAMES[1], "plain", "translator")
    ):
        seconds = 600 * (number + 1)
        known: dict[str, Any] = {"createdAt": ago(seconds), "startedAt": ago(seconds - 5)}
        known |= {"completedAt": ago(seconds - 300), "metrics": {"bestEvalLoss": 0.6 + number / 10}}
        said: dict[str, Any] = {"tags": TAGS[: number + 1], "starred": True} if number % 2 == 0 else {}
        jobs.append(scene.fake.add_job("completed", name=name, **known, **said))
    return jobs


@walk(
    {
        "jobs-marked": "Stars and tags, and only the jobs with a tag",
        "jobs-no-mark": "No job has the mark that is asked for",
        "jobs-delete": "Deleting asks first, and says what that gives back",
    },
    tour="marks",
)
async def with_marks(scene: Scene) -> AsyncGenerator[None]:
    marked(scene)
    await scene.go("/#/jobs?tag=support")
    await expect(scene.page.locator(".jobs-row")).to_have_count(3)
    yield
    await scene.go("/#/jobs?tag=nobody&starred=true")
    await expect(scene.page.get_by_text("No job has this mark.")).to_be_visible()
    yield
    await scene.go("/#/jobs")
    for name in ("support-bot", "plain"):
        await scene.page.get_by_role("checkbox", name=f"Select {name}", exact=True).check()
    await scene.page.get_by_role("button", name="Delete").click()
    await expect(scene.page.get_by_role("dialog")).to_contain_text("7.4 MB on the disk")
    yield


@state("jobs-tags", "Two hundred tags to choose from, and two hundred on one job", tour="marks")
async def many_tags(scene: Scene) -> None:
    scene.fake.features = FEATURES
    every = [f"tag number {number}" for number in range(200)]
    scene.fake.add_job("completed", name="all of them", createdAt=ago(60), tags=every, starred=True)
    for number in range(40):
        scene.fake.add_job(
            "completed", name=f"job {number}", createdAt=ago(600 + number), tags=every[number::40]
        )
    await scene.go("/#/jobs")
    await expect(scene.page.get_by_role("combobox", name="Tag")).to_be_visible()


@state("jobs-undo", "For ten seconds a deletion can be taken back")
async def undo(scene: Scene) -> None:
    await deleting_in(scene)
    await expect(scene.page.get_by_role("button", name="Undo")).to_be_visible()


@state("jobs-undo-failed", "A job that could not be deleted says why, and is there again", faulty=True)
async def undo_failed(scene: Scene) -> None:
    scene.fake.fault("DELETE /v1/jobs/{id}", status=409, body=b'{"error": "It is answering in a chat."}')
    await deleting_in(scene)
    async with hurried(scene.page, scene.studio):
        alert = scene.page.get_by_role("alert")
        await expect(alert).to_contain_text("It is answering in a chat.", timeout=PROMPTLY)
    await expect(scene.page.locator(".jobs-row")).to_have_count(6)


async def deleting_in(scene: Scene) -> None:
    """One job is about to be deleted."""
    marked(scene)
    await scene.go("/#/jobs", clock=True)
    await scene.page.get_by_role("checkbox", name="Select support-bot", exact=True).check()
    await scene.page.get_by_role("button", name="Delete").click()
    await scene.page.get_by_role("button", name="Delete job").click()
    await expect(scene.page.locator(".jobs-row")).to_have_count(5)


def waiting(scene: Scene, count: int = 12) -> None:
    """Jobs that wait behind a running one."""
    scene.fake.features = FEATURES
    scene.fake.add_job("running", name="support-bot", createdAt=ago(900), startedAt=ago(890))
    for number, name in enumerate(
        (NAMES[5], NAMES[1], "translator", *map("night run {}".format, range(count - 3)))
    ):
        scene.fake.add_job("queued", name=name, createdAt=ago(600 - number))


@walk(
    {
        "jobs-queue": "Jobs wait, and are held back",
        "jobs-queue-order": "The order of waiting jobs is changed by dragging, by keys or by a menu",
    },
    tour="marks",
)
async def queue(scene: Scene) -> AsyncGenerator[None]:
    waiting(scene)
    scene.fake.order.held = True
    await scene.go("/#/jobs")
    await expect(scene.page.get_by_text("The queue is held")).to_be_visible()
    whole = "cells => cells.every((cell) => cell.scrollWidth <= cell.clientWidth)"
    assert await scene.page.locator("td.jobs-col-status").evaluate_all(whole)
    yield
    await scene.page.get_by_role("button", name="Change order").click()
    await expect(scene.page.get_by_role("dialog").get_by_role("listitem")).to_have_count(12)
    yield


@walk(
    {
        "jobs-disk": "What jobs and models take on the disk",
        "jobs-disk-clean": "Unused by any job is told, and goes after a question",
    },
)
async def disk(scene: Scene) -> AsyncGenerator[None]:
    jobs = marked(scene)
    order = scene.fake.order
    order.leftovers, order.unused = 48_000_000, 310_000_000
    order.sizes = {job: 3_712_000 * 7**number for number, job in enumerate(jobs)}
    order.models.append(
        {"name": "a-model-with-a-long-name-" * 4, "bytes": 2 * 10**9, "used": False, "shared": False}
    )
    await scene.go("/#/jobs")
    await scene.page.get_by_role("button", name="Disk use").click()
    await expect(scene.page.get_by_role("dialog")).to_contain_text("52.0 GB are free")
    yield
    await scene.page.get_by_role("button", name="Remove unused files (2.4 GB)").click()
    await expect(scene.page.get_by_role("button", name="Remove 2.4 GB")).to_be_visible()
    yield


@state("jobs-actions", "A job is paused from the table, which is ordered by verdicts")
async def actions(scene: Scene) -> None:
    scene.fake.features = ["pause", "resume", "evaluation"]
    many(scene, 12)
    for number, job in enumerate(scene.fake.jobs.values()):
        if job["status"] == "completed":
            job["evaluation"] = {"verdict": ("better", "same", "worse")[number % 3]}
    await scene.go("/#/jobs?sort=-verdict")
    await scene.page.get_by_role("button", name="Actions for support-bot-12", exact=True).click()
    await expect(scene.page.get_by_role("menuitem", name="Pause")).to_be_visible()


@walk(
    {
        "jobs-judge-wrong": "A folder that is no adapter",
        "jobs-judge": "An adapter of another program, about to be judged on rows of the project",
    }
)
async def judge(scene: Scene) -> AsyncGenerator[None]:
    scene.fake.features = ["adapters", "evaluation"]
    trained(scene.fake, "support-bot")
    await scene.go("/#/jobs")
    await scene.page.get_by_role("button", name="Judge an adapter").click()
    dialog = scene.page.get_by_role("dialog", name="Judge an adapter")
    with tempfile.TemporaryDirectory() as folder:
        lora = Path(folder) / "llama-3.2-1b-support-lora"
        lora.mkdir()
        (lora / "adapter_config.json").write_text('{"base_model_name_or_path": "meta-llama/Llama-3.2-1B"}')
        await dialog.get_by_label("Folder of the adapter").set_input_files(lora)
        await expect(dialog.get_by_role("alert")).to_be_visible()
        yield
        (lora / "adapter_model.safetensors").write_bytes(bytes(3_712_000))
        await dialog.get_by_label("Folder of the adapter").set_input_files(lora)
        await expect(dialog.get_by_text(lora.name)).to_be_visible()
    await dialog.get_by_role("combobox", name="Rows").fill("data/eval.jsonl")
    yield
