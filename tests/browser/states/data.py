"""Data: rows as the model sees them, what is wrong with them, hostile ones, many, and none."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

from playwright.async_api import expect

from arkor_dev.data.exclusions import row_hash
from arkor_dev.data.reviews import FILE, VERDICTS
from tests.support.scripted_teacher import Said, right, scripted

from . import Scene, state, trained, walk
from .home import SECOND, TRAINER, declare

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from tests.support.fake_backend import FakeBackend

WORDS = [
    "the", "order", "parcel", "refund", "invoice", "arrives", "tomorrow", "please", "contact", "support",
    "team", "about", "your", "address",
]  # fmt: skip
SYSTEM = {"role": "system", "content": "You are the support bot of a small shop.\nAnswer in one paragraph."}
HOSTILE = (
    "<img src=x onerror=alert(1)> <script>alert(2)</script>\n\x1b[31mred\x1b[0m \u202egnp.exe\u2066\t tab"
    "\u200b\ufeff  two spaces \u0627\u0644\u0639\u0631\u0628\u064a\u0629 \U0001f99c and a word of "
    + "x"
    * 300
)


def chat(chance: random.Random, longest: int = 40) -> list[dict[str, str]]:
    """A conversation of so many words at most."""

    def text() -> str:
        return " ".join(chance.choices(WORDS, k=max(3, int(longest * chance.random() ** 2))))

    return [
        *([SYSTEM] if chance.random() < 0.3 else []),
        {"role": "user", "content": f"{text()}?"},
        {"role": "assistant", "content": f"{text()}.\nKeep well."},
    ]


def finding(code: str, level: str, title: str, rows: list[int], count: int = 0) -> dict[str, Any]:
    """What a backend finds, with rows that are named."""
    why = "The rest is truncated: the model learns answers that stop in the middle."
    named = [{"row": row, "where": f"data, line {row}", "excerpt": "Where is my parcel?"} for row in rows]
    fix = "Raise max_length, or shorten these rows."
    return {
        "code": code, "level": level, "title": title, "why": why, "fix": fix, "count": count or len(rows),
        "rows": named,
    }  # fmt: skip


def shown(scene: Scene, rows: list[Any], toml: str = TRAINER) -> None:
    """A project, and a backend that has these rows for it."""
    shown_in(scene.project, scene.fake, rows, toml)


def shown_in(project: Path, fake: FakeBackend, rows: list[Any], toml: str) -> None:
    """The same without a page."""
    declare(project, toml)
    fake.features = ["datasets"]
    fake.datasets.rows = rows


async def go(scene: Scene, query: str = "") -> None:
    await scene.go(f"/#/data{query}")
    await expect(scene.page.locator(".data-token").first).to_be_visible()
    await expect(scene.page.locator(".data-bar").first).to_be_attached()


@state("data-rows", "The rows of a trainer, one of them token by token", tour="data")
async def rows(scene: Scene) -> None:
    chance = random.Random(5)
    shown(scene, [chat(chance) for _ in range(102)], TRAINER + SECOND)
    await go(scene, "?row=4")
    await expect(scene.page.get_by_text("truncates no row")).to_be_visible()


TICKETS = {
    "shipping": ("Where is my parcel?", "When will the lamp be delivered?", "My coat has not arrived yet."),
    "billing": ("I was charged twice for my order.", "Please send me a receipt for the kettle."),
    "damage": ("The lamp came broken.", "My phone has a crack.", "The blender stopped working after a day."),
    "Shipping": ("Can you deliver the rug to my office?",),
}


@state("data-labels", "A classifier's rows with their labels, and how these are distributed")
async def labels(scene: Scene) -> None:
    tickets = [
        (f"{text} Order {1200 + number}." if number else text, label)
        for number in range(12)
        for label, texts in TICKETS.items()
        for text in (texts if label != "Shipping" or not number else ())
    ]
    random.Random(4).shuffle(tickets)
    shown(scene, [[{"role": "text", "content": text}] for text, _ in tickets])
    scene.fake.datasets.labels = [label for _, label in tickets]
    (scene.project / "data" / "tickets.jsonl").write_text(
        "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in tickets)
    )
    toml = TRAINER.replace("support", "tickets") + 'method = "classify"\n'
    (scene.project / "arkor.toml").write_text(toml)
    scene.fake.datasets.more = {"form": "labeled texts, JSON Lines"}
    await go(scene)
    await expect(scene.page.get_by_text("4 labels:")).to_be_visible()


@state("data-edit", "A row being edited, with its tokens beside it, and a change that can be undone")
async def edit(scene: Scene) -> None:
    chance = random.Random(5)
    shown(scene, [])
    chats = [chat(chance) for _ in range(102)]
    scene.fake.datasets.file = scene.project / "data" / "support.jsonl"
    scene.fake.datasets.file.write_text("".join(json.dumps({"messages": each}) + "\n" for each in chats))
    await go(scene, "?row=4")
    await scene.page.get_by_role("button", name="Duplicate").click()
    await expect(scene.page.locator(".data-one h2")).to_contain_text("Row 5 ")
    await scene.page.get_by_role("button", name="Edit", exact=True).click()
    await scene.page.get_by_label("Message 2, text").fill("It arrives tomorrow, before noon.")
    await expect(scene.page.locator(".data-edit-live .data-tokens")).to_contain_text("before noon")
    await scene.page.locator(".data-edit").evaluate("form => form.scrollIntoView()")


GROUPS = [
    {"rows": 46, "heldOut": 5, "terms": ["parcel", "arrives", "tomorrow"], "examples": [4, 9, 21]},
    {"rows": 41, "heldOut": 0, "terms": ["refund", "invoice"], "examples": [50, 61, 77]},
    {"rows": 9, "heldOut": 1, "terms": ["password", "address", "account"], "examples": [90]},
]


@state(
    "data-meaning",
    "Rows like the one on screen, groups of similar rows, and a map to walk through",
    tour="meaning",
)
async def meaning(scene: Scene) -> None:
    chance = random.Random(5)
    shown(scene, [chat(chance) for _ in range(96)])
    scene.fake.features = ["datasets", "embeddings"]
    scene.fake.datasets.groups = GROUPS
    await go(scene, "?row=4")
    await scene.page.get_by_role("button", name="Similar rows").click()
    part = scene.page.get_by_role("region", name="Rows by meaning")
    await part.get_by_role("button", name="Embed rows").click()
    await expect(part.get_by_text("96 rows in 3 groups of similar meaning.")).to_be_visible()
    await expect(part.get_by_text("not in the held-out rows")).to_be_visible()
    await expect(part.get_by_role("heading", name="Similar to row 4")).to_be_visible()
    await expect(part.get_by_role("button", name="Row 5", exact=True)).to_be_visible()
    await part.evaluate("part => part.scrollIntoView()")


@state("data-meaning-running", "Rows that are being embedded")
async def embedding(scene: Scene) -> None:
    chance = random.Random(5)
    shown(scene, [chat(chance) for _ in range(96)])
    scene.fake.features = ["datasets", "embeddings"]
    progress = {"label": "Embedding rows", "done": 42, "total": 100, "unit": "rows"}
    scene.fake.datasets.embeddings = {"state": "running", "progress": progress}
    await go(scene, "?row=4&meaning=1")
    part = scene.page.get_by_role("region", name="Rows by meaning")
    await expect(part.get_by_text("Embedding rows 42 %")).to_be_visible()
    await part.evaluate("part => part.scrollIntoView()")


@state("data-forget", "A row to delete from an adapter that learned it")
async def forget(scene: Scene) -> None:
    chance = random.Random(5)
    shown(scene, [chat(chance) for _ in range(96)])
    scene.fake.features = ["datasets", "forget"]
    source = {"type": "file", "path": "data/support.jsonl"}
    trained(scene.fake, "support-bot", datasetSource=source)
    await go(scene, "?row=4")
    await scene.page.get_by_role("button", name="Delete from an adapter").click()
    dialog = scene.page.get_by_role("dialog")
    await expect(dialog.get_by_text("as a new job")).to_be_visible()
    await expect(dialog.get_by_role("button", name="Train without it")).to_be_visible()


@state("data-judge", "Rows being judged: verdict, tags, the queue, and how far two people agree")
async def judge(scene: Scene) -> None:
    chance = random.Random(6)
    talks = [chat(chance) for _ in range(60)]
    shown(scene, talks)
    file = scene.project / "data" / "support.jsonl"
    file.write_text("".join(json.dumps({"messages": each}) + "\n" for each in talks))
    names = [f"{row_hash(line):016x}" for line in file.read_bytes().splitlines()]
    verdicts = chance.choices(VERDICTS, (6, 3, 1), k=24)
    reviews: list[dict[str, Any]] = [
        {"row": name, "verdict": each, "by": "Ann", "tags": [["tone"], []][at % 2]}
        for at, (name, each) in enumerate(zip(names, verdicts, strict=False))
    ]
    reviews += [
        {"row": name, "verdict": chance.choice([each, each, "rejected"]), "by": "Bo", "comment": "Too blunt"}
        for name, each in zip(names, verdicts, strict=False)
    ]
    reviews += [{"row": name, "made": {"by": "qwen3-30b", "from": "docs/faq.md"}} for name in names[23:30]]
    (scene.project / FILE).write_text("".join(json.dumps(each) + "\n" for each in reviews))
    await go(scene, "?row=24&judge=unseen&by=Ann")
    panel = scene.page.get_by_role("region", name="Judge rows")
    await expect(panel.get_by_text("A program made this row (qwen3-30b, docs/faq.md)")).to_be_visible()
    await expect(panel.get_by_text("agree on")).to_be_visible()
    await scene.page.locator(".data-view").evaluate("view => view.scrollIntoView()")


@state("data-losses", "Rows to be judged by the model's loss, which is being measured", tour="meaning")
async def losses(scene: Scene) -> None:
    chance = random.Random(6)
    talks = [chat(chance) for _ in range(20)]
    shown(scene, talks)
    file = scene.project / "data" / "support.jsonl"
    file.write_text("".join(json.dumps({"messages": each}) + "\n" for each in talks))
    scene.fake.features = ["datasets", "embeddings"]
    progress = {"label": "Measuring losses", "done": 21_000, "total": 50_000, "unit": "tokens"}
    scene.fake.datasets.measuring = {"state": "running", "progress": progress}
    await go(scene, "?row=3&judge=uncertain&by=Ann")
    panel = scene.page.get_by_role("region", name="Judge rows")
    await panel.get_by_role("button", name="Measure losses").click()
    await expect(panel.get_by_text("Measuring losses 42 %")).to_be_visible()
    await panel.evaluate("part => part.scrollIntoView()")


@state("data-fix", "How rows would change to fix a finding")
async def fix(scene: Scene) -> None:
    chance = random.Random(5)
    shown(scene, [])
    chats = [chat(chance) for _ in range(20)]
    key = "sk-proj-Ab3dEf6hIj9kLmN0pQrStUvWx"
    for place in (3, 11):
        chats[place][-1]["content"] = f"Take {key}{place} for this one."
    scene.fake.datasets.file = scene.project / "data" / "support.jsonl"
    scene.fake.datasets.file.write_text("".join(json.dumps({"messages": each}) + "\n" for each in chats))
    await go(scene)
    await scene.page.get_by_text("2 rows have what looks like a secret key or token").click()
    await scene.page.get_by_role("button", name="Mask keys…").click()
    await expect(scene.page.get_by_role("button", name="Change 2 rows")).to_be_visible()


@state("data-cut", "The line of max_length, moved: what is lost, rows struck out, findings", tour="data")
async def cut(scene: Scene) -> None:
    chance = random.Random(6)
    shown(scene, [chat(chance, 200) for _ in range(400)])
    scene.fake.datasets.findings = [
        finding("answer-cut-away", "error", "1 row is truncated before its answer", [7]),
        finding("cut", "warning", "88 rows are longer than 512 tokens", [3, 9, 12], 88),
        finding("special-in-text", "warning", "2 rows spell out special tokens", [40, 41]),
    ]
    await go(scene)
    await scene.page.get_by_role("button", name="Longest").click()
    await expect(scene.page.locator(".data-one h2")).not_to_contain_text("Row 1 ")
    await expect(scene.page.locator(".data-token").first).to_be_attached()
    line = scene.page.get_by_role("slider", name="max_length")
    await line.fill("120")
    await expect(scene.page.locator(".data-losses")).to_contain_text("max_length 120 truncates")
    await expect(scene.page.locator(".data-token.data-cut").first).to_be_attached()
    await scene.page.get_by_text("88 rows are longer").click()
    await scene.page.locator(".data-tokens").focus()
    await scene.page.keyboard.press("Home")
    await scene.page.keyboard.press("ArrowRight")
    await expect(scene.page.locator(".data-tip")).to_contain_text("token 2")
    # A button that the bar covers by half is too small to be hit, as axe sees it.
    await scene.page.evaluate("scrollTo(0, 0)")


@state("data-hostile", "Rows with HTML, escapes, overrides of direction, and one without an end", tour="data")
async def hostile(scene: Scene) -> None:
    ask = {"role": "user", "content": HOSTILE}
    long = {"role": "assistant", "content": "y" * 50_000 + " <b>" * 500}
    broken = 'not JSON (Expecting value at column 9): "<img src=x onerror=alert(3)>\u202e"'
    scene.fake.datasets.shown = 200
    shown(scene, [[ask, long], broken, *[[ask, {"role": "assistant", "content": HOSTILE}]] * 30])
    await go(scene)
    await expect(scene.page.locator(".data-tokens")).to_contain_text("not shown")


@state("data-unreadable", "A row that cannot be read")
async def unreadable(scene: Scene) -> None:
    chance = random.Random(5)
    broken = "data/support.jsonl, line 2: not JSON (a comma with nothing behind it at column 81)"
    shown(scene, [chat(chance), broken, *[chat(chance) for _ in range(20)]])
    await scene.go("/#/data?row=2")
    await expect(scene.page.get_by_role("alert")).to_contain_text("line 2")


@state("data-reading", "A hundred thousand rows, of which some are still to be read", tour="data")
async def reading(scene: Scene) -> None:
    chance = random.Random(7)
    some = [chat(chance) for _ in range(500)]
    shown(scene, [some[n % 500] for n in range(100_000)])
    scene.fake.datasets.reading = 500
    await go(scene, "?row=77140")
    await expect(scene.page.locator(".data-progress")).to_contain_text("500 of 100,000 rows")
    await expect(scene.page.locator(".data-row-on")).to_contain_text("77,140")


@state("data-loading", "The model has to be fetched first")
async def loading(scene: Scene) -> None:
    shown(scene, [])
    progress = {"label": "Fetching SmolLM2-135M-Instruct", "done": 90, "total": 270, "unit": "B"}
    scene.fake.datasets.more = {"state": "opening", "rows": None, "maxLength": None, "progress": progress}
    await scene.go("/#/data")
    await expect(scene.page.get_by_text("Fetching SmolLM2-135M-Instruct 33 %")).to_be_visible()


@state("data-failed", "The data cannot be shown, and why")
async def failed(scene: Scene) -> None:
    shown(scene, [])
    error = "Model folder not found: ./models/mine: check the path, or name the starter model"
    scene.fake.datasets.more = {"state": "failed", "error": error}
    await scene.go("/#/data")
    await expect(scene.page.get_by_role("alert")).to_contain_text("Model folder not found")


@state("data-empty", "Before there is a trainer")
async def empty(scene: Scene) -> None:
    scene.fake.features = ["datasets"]
    await scene.go("/#/data")
    await expect(scene.page.get_by_text("There is no trainer yet.")).to_be_visible()


@state(
    "data-unmapped",
    "A CSV with columns of its own: which are which is chosen where the rows are",
)
async def unmapped(scene: Scene) -> None:
    shown(
        scene,
        ["data/faq.csv: has the keys id, question, answer"] * 60,
        TRAINER.replace("support.jsonl", "faq.csv"),
    )
    rows = "".join(f"{n},My parcel {n} is late. What now?,Sorry! It is on its way.\n" for n in range(60))
    (scene.project / "data" / "faq.csv").write_text("id,question,answer\n" + rows)
    await scene.go("/#/data")
    await expect(scene.page.locator(".map-preview")).to_contain_text("It is on its way")


PAGE = """# The harbour

The harbour was built in 1912, after the storm of the year before had carried away most of the old pier.
Until then the ships of the island had landed at an open beach.

Its lighthouse has burned every night since, but for four years of war, and is still tended by hand.
The keeper lives with two dogs in the house below it, and writes down the weather six times a day.
"""


async def filled(scene: Scene, teacher: str) -> None:
    """The form for making rows, complete, with its estimate."""
    shown(scene, [], TRAINER)
    (scene.project / "docs").mkdir()
    for name in ("harbour", "lighthouse"):
        (scene.project / "docs" / f"{name}.md").write_text(PAGE.replace("harbour", name))
    page = scene.page
    await scene.go("/#/data?make=documents")
    await page.get_by_label("Or a folder of the project").fill("docs")
    await page.get_by_role("button", name="Add", exact=True).click()
    await page.get_by_label("Address").fill(teacher)
    await page.get_by_label("Model", exact=True).fill("wise")
    await expect(page.get_by_text("2 passages of 2 documents: 2 requests")).to_be_visible()


@walk(
    {
        "data-make": "The form for making rows from documents, with its estimate",
        "data-made": "Rows that a teacher has made, before they are judged",
    }
)
async def made(scene: Scene) -> AsyncGenerator[None]:
    def script(number: int, body: dict[str, Any]) -> Said:
        answer = right(body)
        lie = {"question": "When did it close?", "answer": "In 1999.", "quote": "It was closed in 1999."}
        return Said([*(answer.rows or []), lie])

    with scripted(script) as teacher:
        await filled(scene, teacher.url)
        yield
        await scene.page.get_by_role("button", name="Make rows", exact=True).click()
        await expect(scene.page.get_by_role("button", name="Add to support-bot and judge")).to_be_visible()
    yield
