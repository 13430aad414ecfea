"""The playground: nobody to ask, an answer on its way, answers in full, and what can go wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from playwright.async_api import expect

from tests.support.fake_evaluation import HELD_OUT, ROWS

from . import PROMPTLY, Scene, state, trained, walk

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from playwright.async_api import Page

CHAT = "POST /v1/inference/chat"
MARKDOWN = """\
Certainly. Here is **what to do**:

1. Take a photo of the `broken` mug.
2. Write to [the shop](https://example.com/help) within *14 days*.

> A parcel that arrives damaged is on us.

| Way | Days | Cost |
| --- | ---: | ---: |
| Replacement | 3 | 0.00 |
| Refund | 5 | 0.00 |

```python
def total(order):
    return sum(item.price * item.count for item in order)
```

- [x] photo
- [ ] form
"""
HOSTILE = """\
<img src=x onerror=alert(1)> <script>alert(1)</script>

![pixel](https://tracker.example/p.png) [js](javascript:alert(1)) [ok](https://example.com/)

\x1b]0;title\x07 \u202egnp.exe مرحبا بالعالم 🦊 """


@walk(
    {
        "playground-classifier": "A classifier's playground, with held-out rows to try",
        "playground-classified": "The probabilities of a text's labels",
    }
)
async def classifier(scene: Scene) -> AsyncGenerator[None]:
    page = scene.page
    scene.fake.features = ["evaluation", "classify"]
    long = "a label with a name that is far too long to be shown in one line on a phone or beside another"
    scene.fake.labels = ["shipping", "billing", long, "شكوى", *(f"topic {number}" for number in range(8))]
    job = trained(scene.fake, "tickets")
    scene.fake.jobs[job]["config"]["method"] = "classify"
    scene.fake.evaluations.judge(job)
    await scene.go(f"/#/playground?target=final:{job}")
    await expect(page.get_by_text("Where is parcel number 1?")).to_be_visible()
    yield
    await page.get_by_label("Text to classify").fill("Since Monday my shipping address is wrong.")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("78.4 %", exact=True)).to_be_visible()
    await expect(page.get_by_role("button", name="Show all 12 labels")).to_be_visible()
    yield


DOCUMENTS = (
    "Parcels are tracked under Orders, by their number.",
    "We accept invoices, due in 30 days.",
    "A refund is on its way where the parcel is back in the shop. " * 8,
    "الطرود في المتجر",
)


def finder(scene: Scene, name: str, method: str, *, judged: bool = True) -> str:
    """A job trained by ``method``, with held-out documents of four queries if it was ``judged``."""
    scene.fake.features = ["evaluation", "search"]
    texts = [*DOCUMENTS, *(f"Document {at} is in the shop." for at in range(12))]
    scene.fake.evaluations.rows = [
        {**ROWS[0], "row": at + 1, "question": f"where is parcel {at // 4}?", "wanted": text}
        for at, text in enumerate(texts)
    ]
    job = trained(scene.fake, name)
    scene.fake.jobs[job]["config"]["method"] = method
    if judged:
        both = {"base": 0.2, "adapter": 0.6}
        retrieved = {"queries": 4, "documents": 16, "mrr": both, "recall": [{"k": 1, **both}]}
        part = {**HELD_OUT, "retrieved": retrieved} if method == "embed" else HELD_OUT
        scene.fake.evaluations.judge(job, heldOut=part)
    return job


@walk(
    {
        "playground-embedder": "An embedder's playground, with held-out queries to try",
        "playground-found": "The documents that an embedder found, and an own line among them",
        "playground-reranked": "A reranker's order of a query's documents",
    }
)
async def search(scene: Scene) -> AsyncGenerator[None]:
    page = scene.page
    embedder, reranker = finder(scene, "finder", "embed"), finder(scene, "ranker", "rerank")
    await scene.go(f"/#/playground?target=final:{embedder}")
    await expect(page.get_by_role("button", name="where is parcel 0?")).to_be_visible()
    yield
    await page.get_by_text("Searched: 16 held-out documents").click()
    await page.get_by_label("Own texts, one per line").fill("the parcel is here\n\n" + "word" * 60)
    query = page.get_by_label("Query", exact=True)
    await query.fill("where is parcel 0?")
    await query.press("Enter")
    await expect(page.get_by_text("18 texts, by cosine")).to_be_visible()
    found = page.locator("ol").get_by_role("listitem")
    await expect(found.first).to_contain_text("the parcel is here")
    await expect(found.first).not_to_contain_text("Right in the data")
    await expect(found.nth(1)).to_contain_text("Right in the data")
    await expect(page.get_by_role("button", name="Show all 18")).to_be_visible()
    yield
    await scene.go(f"/#/playground?target=final:{reranker}")
    await page.get_by_role("button", name="where is parcel 0?").click()
    await expect(page.get_by_text("4 texts, by relevance")).to_be_visible()
    await expect(page.get_by_text("Place 3 before")).to_be_visible()
    yield


@walk(
    {
        "playground-search-none": "An embedder without held-out rows",
        "playground-search-failed": "A search that the backend refuses",
    },
    faulty=True,
)
async def no_search(scene: Scene) -> AsyncGenerator[None]:
    page = scene.page
    job = finder(scene, "finder", "embed", judged=False)
    await scene.go(f"/#/playground?target=final:{job}")
    await expect(page.get_by_text("This job has no held-out rows to search")).to_be_visible()
    await expect(page.get_by_role("button", name="Search", exact=True)).to_be_disabled()
    yield
    scene.fake.features = ["evaluation"]
    await page.get_by_label("Own texts, one per line").fill("In the hold.\nIn the shop.")
    await page.get_by_label("Query", exact=True).fill("Where is it?")
    await page.get_by_role("button", name="Search", exact=True).click()
    await expect(page.get_by_role("button", name="Try again")).to_be_visible()
    yield


async def ask(page: Page, text: str) -> None:
    """Ask as soon as somebody is there to be asked."""
    await page.get_by_label("Message").fill(text)
    await expect(page.get_by_role("button", name="Send")).to_be_enabled(timeout=PROMPTLY)
    await page.keyboard.press("Enter")


async def answered(page: Page) -> None:
    """Wait until no answer is being written."""
    await expect(page.get_by_role("button", name="Send")).to_be_visible(timeout=PROMPTLY)


@walk(
    {
        "playground-first": "Before the first question, with a trained adapter",
        "playground-markdown": "An answer with everything that Markdown has",
    }
)
async def first(scene: Scene) -> AsyncGenerator[None]:
    trained(scene.fake, "support-bot")
    scene.fake.chat.chunks = [MARKDOWN[at : at + 40] for at in range(0, len(MARKDOWN), 40)]
    await scene.go("/#/playground")
    await expect(scene.page.get_by_role("button", name="support-bot, final adapter")).to_be_visible()
    yield
    await ask(scene.page, "The parcel came with a broken mug.\nWhat can I do?")
    await answered(scene.page)
    yield


@state("playground-nobody", "Nothing has been trained yet, and the backend names no base model")
async def nobody(scene: Scene) -> None:
    scene.fake.features = []
    await scene.go("/#/playground")
    await expect(scene.page.get_by_text("There is no model to ask yet")).to_be_visible()


@state("playground-picker", "Choosing who answers")
async def picker(scene: Scene) -> None:
    for number in range(9):
        trained(
            scene.fake, f"support-bot-{number}", "running" if number == 8 else "completed", steps=200, of=200
        )
    await scene.go("/#/playground")
    await scene.page.get_by_role("button", name="Answers:").click()
    await expect(scene.page.get_by_role("listbox")).to_be_visible()


@state("playground-streaming", "Two answers on their way")
async def streaming(scene: Scene) -> None:
    trained(scene.fake, "support-bot")
    scene.fake.chat.chunks = ["I am ", "sorry to ", "hear that. ", "Your new mug ", "is on its way. "]
    scene.fake.chat.endless = True
    scene.fake.chat.delay = 0.05
    await scene.go("/#/playground")
    await expect(scene.page.get_by_role("button", name="support-bot, final adapter")).to_be_visible()
    await scene.page.get_by_role("button", name="Compare").click()
    await ask(scene.page, "The parcel came with a broken mug. What can I do?")
    await expect(scene.page.locator(".chat-answer").last).to_contain_text("on its way. I am")


@state("playground-hostile", "A hostile answer is text, and loads nothing")
async def hostile(scene: Scene) -> None:
    trained(scene.fake, "<img src=x onerror=alert(1)>")
    scene.fake.chat.chunks = [HOSTILE, "x" * 3000]
    await scene.go("/#/playground")
    await ask(scene.page, "<b>Hello?</b>")
    await answered(scene.page)


@state("playground-refused", "A question that was refused", faulty=True)
async def refused(scene: Scene) -> None:
    trained(scene.fake, "support-bot")
    scene.fake.fault(CHAT, status=404, body=b'{"error": "This adapter was deleted. Choose another one."}')
    await scene.go("/#/playground")
    await ask(scene.page, "The parcel came with a broken mug. What can I do?")
    await expect(scene.page.get_by_role("alert")).to_contain_text("deleted", timeout=PROMPTLY)


@state("playground-broken-off", "An answer that broke off stays, and says so", faulty=True)
async def broken_off(scene: Scene) -> None:
    trained(scene.fake, "support-bot")
    scene.fake.chat.chunks = ["I am sorry to hear that. ", "Your new mug is on its way. "] * 20
    scene.fake.fault(CHAT, cut_after=900)
    await scene.go("/#/playground")
    await ask(scene.page, "The parcel came with a broken mug. What can I do?")
    await expect(scene.page.get_by_role("alert")).to_contain_text("broke off", timeout=PROMPTLY)


@state("playground-strength", "The same adapter at two strengths, each with its dial")
async def strength(scene: Scene) -> None:
    scene.fake.features = ["strength"]
    job = trained(scene.fake, "support-bot")
    scene.fake.chat.chunks = ["I am sorry to hear that. ", "Your new mug is on its way."]
    await scene.go(f"/#/playground?target=final*0.5:{job}&against=final:{job}")
    await expect(scene.page.get_by_text("Adapter strength")).to_be_visible()
    await ask(scene.page, "The parcel came with a broken mug. What can I do?")
    await answered(scene.page)


@state("playground-sampling", "All settings of an answer, and an answer that calls a tool")
async def sampling(scene: Scene) -> None:
    scene.fake.features = ["sampling", "tools"]
    trained(scene.fake, "support-bot")
    scene.fake.chat.chunks = ["I look at the order first."]
    arguments = '{"order": "A-1047", "fields": ["status", "carrier"]}'
    call = {"id": "c1", "type": "function", "function": {"name": "find_order", "arguments": arguments}}
    scene.fake.chat.calls = [call]
    scene.fake.chat.by = {"answeredBy": {"engine": "transformers", "precision": "bfloat16"}}
    await scene.go("/#/playground")
    page = scene.page
    await expect(page.get_by_label("Message")).to_be_visible(timeout=PROMPTLY)
    if not await page.get_by_role("heading", name="Sampling").count():  # in a narrow window it is closed
        await page.get_by_role("button", name="Settings and conversations").click()
    await page.get_by_role("button", name="More settings").click()
    await page.get_by_label("Seed").fill("7")
    await page.get_by_label("Stop texts, one a line").fill("User:\n###")
    await page.get_by_label("Tools, a JSON list").fill(
        '[{"type": "function", "function": {"name": "find_order"}}]'
    )
    if await page.get_by_role("dialog").count():
        await page.keyboard.press("Escape")
    await ask(page, "Where is my parcel?")
    await answered(page)


PLACE = {
    "type": "object",
    "properties": {
        "order": {"enum": ["A-1047"]},
        "what was said": {"enum": [HOSTILE]},
        "parcels": {"type": "array", "items": {"enum": [{"carrier": "DHL", "days": 3}]}, "minItems": 2},
    },
    "required": ["order", "what was said", "parcels"],
}


@state(
    "playground-form",
    "An answer that fits a JSON schema, and a schema of which a part is refused",
    faulty=True,
)
async def form(scene: Scene) -> None:
    scene.fake.features = ["sampling", "formats"]
    trained(scene.fake, "support-bot")
    page = scene.page
    await scene.go("/#/playground")
    await expect(page.get_by_label("Message")).to_be_visible(timeout=PROMPTLY)
    for schema in (PLACE, PLACE | {"not": {}}):
        sheet = not await page.get_by_role("heading", name="Sampling").count()  # in a narrow window
        if sheet:
            await page.get_by_role("button", name="Settings and conversations").click()
        more, answer_form = (
            page.get_by_role("button", name="More settings"),
            page.get_by_role("group", name="Answer form"),
        )
        await expect(more.or_(answer_form)).to_be_visible()  # once it is known what the backend can
        if await more.count():
            await more.click()
        await answer_form.get_by_text("JSON schema").click()
        await page.get_by_label("JSON schema of the answer").fill(json.dumps(schema, indent=2))
        if sheet:
            await page.keyboard.press("Escape")
        await ask(page, "Where is my parcel?")
        await answered(page)
    if sheet:
        await page.get_by_role("button", name="Settings and conversations").click()
    await expect(page.locator("#pg-form-refusal")).to_be_visible()


def row(line: int, score: float, question: str, answer: str) -> dict[str, object]:
    where = {"where": f"data/support.jsonl, line {line}", "row": line}
    return {**where, "score": score, "question": question, "answer": answer}


SIMILAR = [
    row(17, 6.31, "My mug arrived in pieces. What now?", "I am sorry to hear that. A new one is on its way."),
    row(204, 2.9, "The glass is broken.", "I am sorry. We send you another one today."),
    row(88, 2.4, "Can I get a new lamp?", "Yes: tell me the number of the order."),
    row(41, 1.7, HOSTILE[:120], "x" * 200),
    row(7, 1.1, "Where is my parcel?", "It is on its way."),
]


@state("playground-why", "The rows behind an answer, proven by training without them")
async def why(scene: Scene) -> None:
    scene.fake.features = ["attribution"]
    (scene.project / "arkor.toml").write_text(TOML)
    trained(scene.fake, "support-bot")
    said = "I am sorry to hear that. Your new mug is on its way."
    scene.fake.chat.chunks = [said]
    sides = {"without": "job_w", "random": "job_r"}
    scene.fake.attributions.told = {
        "state": "completed",
        "learned": True,
        "adapter": {"logp": -2.1, "tokens": 14},
        "base": {"logp": -31.4, "tokens": 14},
        "rows": 300,
        "similar": SIMILAR,
        "reliability": {"proofs": 0, "confirmed": 0},
    }
    scene.fake.attributions.proof = {
        "state": "completed",
        "jobs": sides,
        "rows": [each["where"] for each in SIMILAR],
        "trained": {"logp": -2.1, "tokens": 14, "text": said},
        "without": {"logp": -19.8, "tokens": 14, "text": "Which order is it?"},
        "random": {"logp": -2.4, "tokens": 14, "text": said},
    }
    await scene.go("/#/playground")
    page = scene.page
    await ask(page, "The parcel came with a broken mug. What can I do?")
    await answered(page)
    await page.get_by_role("button", name="Why?").click()
    shown = page.get_by_role("region", name="Why this answer")
    await expect(shown.get_by_text("is unknown until")).to_be_visible(timeout=PROMPTLY)
    await expect(shown.get_by_role("link", name="data/support.jsonl, line 17")).to_be_visible(
        timeout=PROMPTLY
    )
    await shown.get_by_role("button", name="Prove it").click()
    await expect(shown.get_by_text("Confirmed: without these rows")).to_be_visible(timeout=PROMPTLY)
    await expect(shown.get_by_text("confirmed 1 of 1 proposal")).to_be_visible(timeout=PROMPTLY)


TOML = '[[trainer]]\nname = "support-bot"\nmodel = "m"\ndataset = "data/support.jsonl"\n'
LONG = "Write to the shop within 14 days. " * 12


@walk(
    {
        "playground-correct": "An answer that is edited into what it should have been",
        "playground-corrected": "An answer that was corrected, and a trainer that does not learn from it yet",
        "playground-corrected-write": "How arkor.toml will change, so that a trainer learns from corrections",
    }
)
async def correcting(scene: Scene) -> AsyncGenerator[None]:
    page = scene.page
    (scene.project / "data").mkdir()
    (scene.project / "data" / "support.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    (scene.project / "arkor.toml").write_text(TOML)
    trained(scene.fake, "support-bot")
    await scene.go("/#/playground")
    await ask(page, "The parcel came with a broken mug. What can I do?")
    await answered(page)
    await page.get_by_role("button", name="Correct the answer").click()
    await page.get_by_label("The corrected answer").fill(HOSTILE + LONG)
    yield
    await page.get_by_role("button", name="Add to the data").click()
    await expect(page.get_by_text("No trainer uses it yet")).to_be_visible()
    yield
    await page.get_by_role("button", name="Add the file to the data of support-bot").click()
    await expect(page.locator(".ui-diff")).to_contain_text("data/corrections.jsonl")
    yield
