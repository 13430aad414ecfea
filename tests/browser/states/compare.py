"""Compare: nothing chosen, several over one another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.async_api import expect

from tests.support.fake_job_rows import NOTHING

from . import Scene, state, trained, walk

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


@state("compare-empty", "Nothing to compare yet", tour="job")
async def empty(scene: Scene) -> None:
    await scene.go("/#/compare")
    await expect(scene.page.locator("main h1").first).to_be_attached()


@walk(
    {
        "compare-three": "Three jobs, their curves and what was set differently",
        "compare-gone": "One of two is not in this project",
    },
    tour="job",
)
async def three(scene: Scene) -> AsyncGenerator[None]:
    jobs = [
        trained(scene.fake, "support-bot r8", loraR=8, learningRate=1e-4),
        trained(scene.fake, "support-bot r16", steps=300, of=300),
        trained(scene.fake, "support-bot r32", "running", steps=240, loraR=32, batchSize=8),
    ]
    await scene.go(f"/#/compare?jobs={','.join(jobs)}&smooth=0.6")
    await expect(scene.page.locator(".chart-curve")).to_have_count(3)
    yield
    await scene.go(f"/#/compare?jobs={jobs[0]},job_0123456789")
    await expect(scene.page.get_by_text("Not in this project")).to_be_visible()
    yield


@state("compare-paired", "Adapters beside one another on the same rows, and one that had others", faulty=True)
async def paired(scene: Scene) -> None:
    scene.fake.features = ["evaluation", "rows"]
    names = ("support-bot r8", "support-bot r16", "support-bot on other rows, of a long name that wraps")
    jobs = [trained(scene.fake, name) for name in names]
    for job in jobs:
        scene.fake.evaluations.judge(job)
    scene.fake.evaluations.unlike.add(jobs[2])
    changed = [
        {"kind": "changed", "where": "data/support.jsonl, line 12", "excerpt": "Where is my parcel?"},
        {"kind": "added", "where": "data/support.jsonl, line 118", "excerpt": "Can I pay by invoice? " * 4},
    ]
    told = {**NOTHING, "same": 117, "changed": 1, "added": 1, "rows": changed}
    scene.fake.job_rows.told[jobs[1], jobs[0]] = {"train": told, "heldOut": {**NOTHING, "same": 13}}
    await scene.go(f"/#/compare?jobs={','.join(jobs)}")
    await expect(scene.page.get_by_text("were evaluated on different rows")).to_be_visible()
    await scene.page.get_by_text("Show 2 rows").click()
    await expect(scene.page.locator(".chart-curve")).to_have_count(3)
