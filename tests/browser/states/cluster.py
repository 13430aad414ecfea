"""Home where jobs run on a cluster, and a job that waits for a place there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.async_api import expect

from tests.support.fake_placement import ADDRESS_OF_IT

from . import PROMPTLY, Scene, ago, state, trained, walk
from .home import TRAINER, declare

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

WAITS = (
    "The job asks for 8 processors, 1 GPU of one node, and no node of the cluster has that: 6 processors, 1 "
    "GPU are free on all 2 nodes together, and the largest has 4 processors"
)


def placed(scene: Scene) -> None:
    """The project names a cluster, and the backend can run jobs on one."""
    scene.fake.features = ["placement"]
    trained(scene.fake, "support-bot")  # without a job the page does not request the features
    declare(scene.project, f'[compute]\ncluster = "{ADDRESS_OF_IT}"\n\n{TRAINER}')


@walk(
    {
        "home-cluster-untrusted": "Nobody has agreed to use the project's cluster yet",
        "home-cluster": "Training runs on a cluster, which was looked at",
    }
)
async def cluster(scene: Scene) -> AsyncGenerator[None]:
    placed(scene)
    await scene.go("/")
    trust = scene.page.get_by_role("button", name="Trust this cluster")
    start = scene.page.get_by_role("button", name="Run training")
    await expect(trust).to_be_visible(timeout=PROMPTLY)
    await expect(scene.page.locator("#home-trust")).to_contain_text(f"arkor.toml names {ADDRESS_OF_IT}")
    await expect(start).to_be_disabled()
    assert scene.fake.count("GET /v1/clusters") == 0
    yield
    await trust.click()
    await expect(start).to_be_enabled(timeout=PROMPTLY)
    await scene.page.get_by_role("button", name="Show free resources").click(timeout=PROMPTLY)
    await expect(scene.page.locator(".home-cluster")).to_contain_text(
        "10.0.0.6 lacks torch", timeout=PROMPTLY
    )
    yield


@state("job-no-room", "A job that waits, as its cluster has no room for it")
async def no_room(scene: Scene) -> None:
    placed(scene)
    place = {"position": 1, "behind": None, "reason": WAITS}
    job = scene.fake.add_job("queued", name="support-bot", createdAt=ago(40), queue=place)
    scene.fake.frames[job].clear()
    await scene.go(f"/#/jobs/{job}")
    await expect(scene.page.locator(".job-notice")).to_contain_text("Waiting for resources", timeout=PROMPTLY)
