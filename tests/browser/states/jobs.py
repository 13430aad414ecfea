"""Jobs: none, many, not to be had, found and not found, and names that somebody meant badly."""

from __future__ import annotations

from typing import Any

from playwright.async_api import expect

from tests.browser.steps import hurried

from . import PROMPTLY, Scene, ago, state, trained

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


@state("jobs-many", "Many jobs, two of them selected")
async def selected(scene: Scene) -> None:
    many(scene)
    await scene.go("/#/jobs")
    for name in ("support-bot-59", "support-bot-54"):
        await scene.page.get_by_role("checkbox", name=f"Select {name}", exact=True).check()


@state("jobs-none-found", "A search that finds nothing")
async def none_found(scene: Scene) -> None:
    many(scene, 10)
    await scene.go("/#/jobs?q=translator")
    await expect(scene.page.locator(".jobs-row")).to_have_count(0)
    await expect(scene.page.get_by_text("translator").first).to_be_visible()


@state("jobs-names", "Long, foreign and hostile names are text")
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
    async with hurried(scene.page):
        away = scene.page.get_by_text("The backend is not answering.")
        await expect(away).to_be_visible(timeout=PROMPTLY)
