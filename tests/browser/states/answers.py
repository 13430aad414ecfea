"""One job's page: how its answers to fixed prompts change, and the held-out ones beside the base's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from playwright.async_api import expect

from tests.support.fake_evaluation import ROWS
from tests.support.fake_samples import PROMPTS, answer_prompts

from . import PROMPTLY, Scene, ago, end, state, trained, walk

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

HOSTILE = "\u202e<script>alert(1)</script> <img src=x onerror=alert(1)> \x1b[31m"


async def answered(scene: Scene, *, running: bool = False, **config: Any) -> str:
    """A job with answers of its base and of each checkpoint; its page is open."""
    scene.fake.features = ["evaluation", "samples"]
    job = trained(scene.fake, "support-bot", "running", steps=310 if running else 400, **config)
    for step in (0, 100, 200, 300) if running else (0, 100, 200, 300, 400):
        answer_prompts(scene.fake, job, step, timestamp=ago(1))
    if not running:
        end(scene.fake, job, "completed", 0)
    return job


async def look(scene: Scene) -> None:
    """Bring the panel to the top, under the bar."""
    await scene.page.locator(".answers").evaluate("panel => { panel.scrollIntoView(); scrollBy(0, -60) }")


@walk(
    {
        "job-answers": "How the answers have changed since the checkpoint before",
        "job-answers-beside": "Held-out answers side by side: wanted, of the base and of the adapter",
    },
    tour="answers",
)
async def changed(scene: Scene) -> AsyncGenerator[None]:
    page = scene.page
    job = await answered(scene)
    asked = {prompt["row"]: prompt for prompt in PROMPTS}
    scene.fake.evaluations.rows = [
        {**row, "question": prompt["prompt"], "wanted": prompt["wanted"], **_messages(prompt)}
        if (prompt := asked.get(row["row"]))
        else row
        for row in ROWS
    ]
    scene.fake.evaluations.judge(job)
    await scene.go(f"/#/jobs/{job}")
    slider = page.get_by_role("slider", name="Step of the answers")
    await slider.focus()
    for step in (400, 300, 200):
        await expect(slider).to_have_attribute("aria-valuetext", f"Step {step}")
        if step > 200:
            await page.keyboard.press("ArrowLeft")
    yield
    await page.get_by_text("Held-out rows side by side").click()
    await expect(page.get_by_role("heading", name="Adapter", exact=True).first).to_be_visible()
    await page.get_by_text("Improved most").scroll_into_view_if_needed()
    yield


@state(
    "job-answers-live", "Answers while it trains: the newest, until one chooses another step", tour="answers"
)
async def live(scene: Scene) -> None:
    job = await answered(scene, running=True)
    await scene.go(f"/#/jobs/{job}")
    await expect(scene.page.get_by_role("heading", name="Adapter, step 300").first).to_be_visible(
        timeout=PROMPTLY
    )
    await look(scene)


@state("job-answers-hostile", "Hostile and long answers are text, and stay in their places", tour="samples")
async def hostile(scene: Scene) -> None:
    scene.fake.features = ["samples"]
    job = trained(scene.fake, "support-bot", "running", steps=200)
    before = [
        {"role": "system", "content": HOSTILE + "s" * 400},
        {"role": "user", "content": "لا شيء"},
        {"role": "assistant", "content": "x" * 300},
        {"role": "user", "content": HOSTILE},
    ]
    prompts = [
        {"number": 1, "prompt": HOSTILE, "wanted": "w" * 400, "messages": before},
        {"number": 2, "prompt": "", "wanted": "لا شيء\n" * 3},
        {"number": 1e300, "prompt": "A number\u202e", "wanted": "**bold** <b>bold</b>"},
    ]
    for step, words in ((0, "word " * 700), (100, HOSTILE + "word " * 690 + "y" * 400)):
        for prompt in prompts:
            scene.fake.emit(job, "sample.created", step=step, answer=words, truncated=True, **prompt)
    scene.fake.emit(job, "sample.created", step=100, answer={"not": "text"}, number=2)
    end(scene.fake, job, "failed", 0, error="It broke.")
    await scene.go(f"/#/jobs/{job}")
    await scene.page.get_by_text("Earlier messages").first.click()
    await expect(scene.page.get_by_text("(no question)").first).to_be_visible()
    await look(scene)


@state("job-answers-one", "One custom prompt, answered only by the base so far", tour="samples")
async def one(scene: Scene) -> None:
    scene.fake.features = ["samples"]
    job = trained(scene.fake, "support-bot", "running", steps=40, samples=["What is a lighthouse?"])
    answer_prompts(scene.fake, job, 0, ["A lighthouse is a tower."], timestamp=ago(1))
    await scene.go(f"/#/jobs/{job}")
    await expect(scene.page.get_by_role("heading", name="Base", exact=True)).to_be_visible(timeout=PROMPTLY)
    await look(scene)


def _messages(prompt: dict[str, object]) -> dict[str, object]:
    return {"messages": prompt["messages"]} if "messages" in prompt else {}
