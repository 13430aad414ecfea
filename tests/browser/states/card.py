"""One job's page: the model card of what it made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.async_api import expect

from tests.support.fake_cards import CARD

from . import Scene, state, trained, walk

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

HOSTILE = f"""---
license: "x" # <script>alert(1)</script>
````
---

<script>alert(1)</script>

# \u202eKcart {"x" * 200}

[click](javascript:alert(1)) ![p](https://evil.example/p.png) <img src=x onerror=alert(1)>

<!-- arkor-dev: end -->
| {"a very long cell " * 10} | b |
|---|---|
| {"y" * 300} | 1 |

{"A long line of a card that somebody else has written. " * 30}
"""


async def open_card(scene: Scene) -> None:
    """By the menu of the final adapter."""
    await scene.page.get_by_role("button", name="Actions for Final adapter").click()
    await scene.page.get_by_role("menuitem", name="Model card").click()


async def opened(scene: Scene, text: str = CARD) -> None:
    scene.fake.features = ["card", "parent"]
    job = trained(scene.fake, "support-bot")
    scene.fake.cards.write(job, text=text)
    await scene.go(f"/#/jobs/{job}")
    await open_card(scene)


@walk(
    {
        "job-card": "The model card, as the model hub would show it",
        "job-card-front": "What the model hub reads of a card",
    },
    tour="card",
)
async def card(scene: Scene) -> AsyncGenerator[None]:
    await opened(scene)
    dialog = scene.page.get_by_role("dialog", name="Model card")
    await expect(dialog.get_by_role("heading", name="LoRA adapter of SmolLM2-135M-Instruct")).to_be_visible()
    yield
    await dialog.get_by_text("Hub metadata").click()
    await expect(dialog.get_by_text('base_model: "HuggingFaceTB/SmolLM2-135M-Instruct"')).to_be_visible()
    yield


@state("job-card-hostile", "A card of an imported job, which may hold anything", tour="card")
async def hostile(scene: Scene) -> None:
    await opened(scene, HOSTILE)
    await expect(scene.page.get_by_text("<script>alert(1)</script>").first).to_be_visible()


@state("job-card-missing", "A job from before, which has no card", faulty=True)
async def missing(scene: Scene) -> None:
    scene.fake.features = ["card"]
    job = trained(scene.fake, "support-bot")
    await scene.go(f"/#/jobs/{job}")
    await open_card(scene)
    await expect(scene.page.get_by_role("alert")).to_contain_text("It has no card")
