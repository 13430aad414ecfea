"""Thoughts: in the rows, in the verdict, and in a chat."""

from __future__ import annotations

from typing import Any

from playwright.async_api import expect

from . import PROMPTLY, Scene, state, trained
from .data import go, shown
from .home import TRAINER, declare
from .playground import answered, ask
from .verdict import judged

THOUGHTS = [
    "The order was sent on Monday. Parcels take three days, so it should be there on Thursday.",
    "They ask for the whole amount. A refund is possible within fourteen days, and this is the tenth.",
    "A broken mug: they need a photo, and then a new one is on its way.",
]
ANSWERS = [
    "It arrives on Thursday.",
    "Yes, you get all of it back within a week.",
    "I am sorry! Send us a photo, and a new mug is on its way.",
]
QUESTIONS = ["Where is my parcel?", "Can I have my money back?", "The mug is broken. What now?"]
KEEP_SWITCH = (
    "Set train_on_empty_thoughts = false: empty thoughts are then not learned, and the model still thinks "
    "where it is asked to. If it should never think, set chat_template_kwargs.enable_thinking = false."
)
EMPTY: dict[str, Any] = {
    "code": "learned-empty-thoughts",
    "level": "warning",
    "title": "20 of 60 rows teach empty thoughts",
    "why": "The chat template writes empty thoughts into answers without any, and they are learned: the "
    "model's switch (enable_thinking) stops working.",
    "fix": KEEP_SWITCH,
    "count": 20,
}
COUNTED: dict[str, Any] = {
    "code": "thoughts",
    "level": "note",
    "title": "40 of 60 rows have thoughts",
    "why": "Half of them have at most about 88 characters, the longest 96; 20 rows have none. They count "
    "towards max_length.",
    "fix": "thought_weight and answer_weight say how much they count in the loss; at thought_weight = 0 "
    "only answers are learned, at answer_weight = 0 only thoughts.",
    "count": 40,
}
SENTENCE = (
    "With thinking on, 3 of 16 answers have thoughts (base 16; 99 % interval of the difference -98 to -46 "
    "%), on average 6 tokens of thoughts (base 41); 3 of 3 end within 96 tokens where both think (base 3). "
    "With thinking off, 0 have thoughts (base 0; 99 % interval of the difference -28 to 28 %)."
)
BROKEN = (
    "The thinking switch works less than before: with enable_thinking = true, 3 of 16 answers have thoughts, "
    "the base's 16. Rows without thoughts teach that if the chat template writes them as empty ones: "
    "train_on_empty_thoughts = false leaves these out of the loss."
)


def talk(number: int) -> list[dict[str, str]]:
    """A conversation; every third has no thoughts."""
    answer = {"role": "assistant", "content": ANSWERS[number % 3]}
    if number % 3 != 1:
        answer["reasoning_content"] = THOUGHTS[number % 3]
    return [{"role": "user", "content": QUESTIONS[number % 3]}, answer]


@state("data-thinking", "Thoughts that count less than answers, and rows that would break the switch")
async def data(scene: Scene) -> None:
    shown(scene, [talk(number) for number in range(60)], f"{TRAINER}thought_weight = 0.3\n")
    named = [{"row": row, "where": f"data, line {row}", "excerpt": QUESTIONS[1]} for row in (2, 5, 8)]
    thoughtful = [{"row": row, "where": f"data, line {row}", "excerpt": QUESTIONS[0]} for row in (1, 3, 4)]
    scene.fake.datasets.findings = [{**EMPTY, "rows": named}, {**COUNTED, "rows": thoughtful}]
    await go(scene, "?row=4")
    await expect(scene.page.get_by_text("tokens count 0.3 in the loss")).to_be_visible()
    await expect(scene.page.get_by_text("20 of 60 rows teach empty thoughts")).to_be_visible()


@state("job-verdict-thinking", "The adapter no longer thinks where it is asked to", tour="verdict")
async def verdict(scene: Scene) -> None:
    on = {"base": 1.0, "adapter": 0.188, "low": -0.98, "high": -0.46, "count": 16}
    off = {"base": 0.0, "adapter": 0.0, "low": -0.28, "high": 0.28, "count": 16}
    tokens = {"base": 41.0, "adapter": 6.0, "low": -44.0, "high": -26.0, "count": 16}
    thinking = {"on": on, "off": off, "tokens": tokens, "longest": 96, "confidence": 99, "sentence": SENTENCE}
    examples = [
        {"question": "What is 17 times 3?", "base": "<think>\n17 · 3 = 51\n</think>\n\n51", "adapter": "51."}
    ]
    await judged(scene, thinking=thinking, warning={"sentence": BROKEN, "examples": examples})
    await expect(scene.page.get_by_text("The thinking switch works less than before")).to_be_visible()
    await scene.page.get_by_text("Answers to general questions").click()
    await expect(scene.page.get_by_text("With thinking on, 3 of 16 answers have thoughts")).to_be_visible()


@state("playground-thinking", "An answer after its thoughts, which have a budget")
async def playground(scene: Scene) -> None:
    trained(scene.fake, "support-bot")
    scene.fake.features = ["sampling"]
    scene.fake.chat.chunks = ["<think>\n", THOUGHTS[0], "\n</think>\n\n", ANSWERS[0]]
    page = scene.page
    await scene.go("/#/playground")
    await expect(page.get_by_label("Message")).to_be_visible(timeout=PROMPTLY)
    if not await page.get_by_role("heading", name="Sampling").count():  # in a narrow window it is closed
        await page.get_by_role("button", name="Settings and conversations").click()
    await page.get_by_role("button", name="More settings").click()
    await page.get_by_label("Thinking tokens").fill("64")
    if await page.get_by_role("dialog").count():
        await page.keyboard.press("Escape")
    await ask(page, QUESTIONS[0])
    await answered(page)


@state("home-thinking", "The form's settings of thoughts, one of which would have no effect", tour="home")
async def form(scene: Scene) -> None:
    declare(scene.project, TRAINER)
    page = scene.page
    await scene.go("/")
    await page.get_by_role("button", name="Edit settings").click()
    await page.get_by_role("button", name="All settings").click()
    await page.locator("summary").get_by_text("Data and loss").click()
    await page.get_by_label("Weight of thoughts", exact=True).fill("0.3")
    await page.get_by_label("Weight of answers", exact=True).fill("0")
    await expect(page.get_by_role("alert")).to_contain_text("nothing to weigh against")
    await page.get_by_label("Weight of thoughts", exact=True).evaluate("field => field.scrollIntoView()")
