"""One job's page: how the machine did under the loss, and where the time went."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

from playwright.async_api import expect

from . import PACE, PROMPTLY, Scene, ago, end, state, trained

if TYPE_CHECKING:
    from tests.support.fake_backend import FakeBackend

SPENT = {
    "data": 0.8,
    "forward": 171,
    "backward": 322.4,
    "optimizer": 9.1,
    "eval": 31,
    "save": 4.2,
    "other": 0.4,
}
PHASES = {"fetching": 0.0, "loading": 6.0, "sampling": 9.0, "training": 12.0, "evaluating": 500.0}
"""When each phase began, in seconds from the start."""


def sampled(fake: FakeBackend, job: str, *, begun: float, steps: int, gpu: bool = False) -> None:
    """The machine's figures from so many seconds ago on, every two seconds of so many steps."""
    chance = random.Random(job and "samples")
    for number in range(1, int(steps * PACE / 2)):
        second = 2.0 * number
        fields = {
            "step": int(second / PACE),
            "cpu": min(1, 0.82 + chance.gauss(0, 0.05)),
            "processCpu": min(1, 0.78 + 0.08 * math.sin(second / 40) + chance.gauss(0, 0.03)),
            "memory": 1_650_000_000 + 2_000_000 * number % 90_000_000,
            "memoryFree": 19_800_000_000 + chance.gauss(0, 4e7),
            "disk": 12_000_000 if second % 140 < 2 else abs(chance.gauss(0, 3000)),
        }
        if gpu:
            fields |= {"gpu": min(1, 0.91 + chance.gauss(0, 0.04)), "gpuMemory": 11_400_000_000}
            fields |= {"gpuWatts": 212 + chance.gauss(0, 12), "gpuCelsius": 48 + min(24, second / 6)}
        fake.emit(job, "system.metrics", timestamp=ago(begun - second), **fields)


@state("job-machine", "A finished job: how the machine did, and where the time went", tour="job")
async def machine(scene: Scene) -> None:
    job = trained(scene.fake, "support-bot", "running")
    sampled(scene.fake, job, begun=400 * PACE, steps=400)
    began = 400 * PACE
    for phase, second in PHASES.items():
        scene.fake.emit(job, "training.phase", timestamp=ago(began - second), phase=phase)
    end(scene.fake, job, "completed", 0, secondsIn=SPENT)
    await scene.go(f"/#/jobs/{job}")
    await scene.page.get_by_role("tab", name="Machine").click()
    whole = scene.page.get_by_role("region", name="Where the time went")
    await expect(whole).to_contain_text("Loading data and model", timeout=PROMPTLY)
    await expect(whole).to_contain_text("Evaluating")
    await expect(scene.page.get_by_role("heading", name="Where the training's time went")).to_be_visible()
    await expect(scene.page.locator(".job-machine-panel")).to_have_count(3)
    await scene.page.locator(".job-time").last.scroll_into_view_if_needed()


@state("job-gpu", "A running job on a GPU; the cursor is shared with the loss", tour="job")
async def gpu(scene: Scene) -> None:
    job = trained(scene.fake, "support-bot", "running", steps=310)
    sampled(scene.fake, job, begun=310 * PACE + 2, steps=310, gpu=True)
    await scene.go(f"/#/jobs/{job}?zoom=60..240")
    await scene.page.get_by_role("tab", name="Machine").click()
    await expect(scene.page.locator(".job-machine-panel")).to_have_count(7, timeout=PROMPTLY)
    await scene.page.locator(".chart").focus()
    for _ in range(6):
        await scene.page.keyboard.press("Shift+ArrowRight")
    await expect(scene.page.locator(".job-machine-plot .chart-cross")).to_have_count(7)
    await scene.page.locator(".job-machine-panel").last.scroll_into_view_if_needed()


@state("job-rising", "A running job whose loss runs away is marked", tour="job")
async def rising(scene: Scene) -> None:
    job = trained(scene.fake, "support-bot", "running", steps=120)
    for step in range(121, 160):
        scene.fake.log(job, step, loss=1.1 + (step - 120) / 9, timestamp=ago(PACE * (160 - step)))
    words = (
        "The loss is rising: the median of the last 10 logged values is 1.983, and was 1.012 at step 118. "
    )
    words += "A lower learning_rate, or a warm-up, may help"
    scene.fake.emit(job, "training.message", message=words, code="diverging", step=132, timestamp=ago(38))
    await scene.go(f"/#/jobs/{job}")
    await expect(scene.page.locator(".job-rising")).to_contain_text("The loss is rising", timeout=PROMPTLY)
