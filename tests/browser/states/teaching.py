"""Judging by hand: blind tests, from the first word to the result; and what became of corrections."""

from __future__ import annotations

import json
import re
from typing import Any

from playwright.async_api import expect

from arkor_dev.data.methods import listed
from tests.browser.talk import ask

from . import Scene, state, trained

HOSTILE = "\u202e<img src=x onerror=alert(1)> \x1b[31m" + "x" * 300
LONG = "I am sorry to hear that. Write to the shop within 14 days, and a new mug is on its way. " * 12


async def blind(scene: Scene, chunks: list[str], *, rows: list[dict[str, Any]] | None = None) -> str:
    scene.fake.features = ["evaluation", "votes"]
    job = trained(scene.fake, "support-bot")
    scene.fake.jobs[job] |= {  # before its votes
        "createdAt": "2026-01-01T08:55:00Z",
        "startedAt": "2026-01-01T08:56:00Z",
        "completedAt": "2026-01-01T09:05:20Z",
    }
    scene.fake.evaluations.judge(job)
    if rows is not None:
        scene.fake.evaluations.rows = rows
    scene.fake.chat.chunks = chunks
    await scene.go(f"/#/blind?target=base:SmolLM2-135M-Instruct&against=final:{job}")
    await expect(scene.page.get_by_label("Your name, or any label")).to_be_visible()
    return job


async def begun(scene: Scene, chunks: list[str], *, rows: list[dict[str, Any]] | None = None) -> str:
    job = await blind(scene, chunks, rows=rows)
    await expect(scene.page.get_by_text("Held-out questions")).to_be_visible()
    await scene.page.get_by_label("Your name, or any label").fill("Ann")
    await scene.page.get_by_role("button", name=re.compile("^(Start|Go on)$")).click()
    return job


@state("blind-start", "Before a blind test: who votes, on which questions", tour="blind")
async def start(scene: Scene) -> None:
    await blind(scene, ["Hello"])
    await expect(scene.page.get_by_text("Held-out questions")).to_be_visible()
    await scene.page.get_by_text("Questions of my own").click()
    await scene.page.get_by_label("Questions, one a line").fill("Where is my parcel?\nCan I send it back?")


@state("blind-question", "Two answers without names", tour="blind")
async def question(scene: Scene) -> None:
    brief = ["It arrives on Thursday, ", "and we will send you a note when it does."]
    polite = [
        "Thank you very much for writing to us about your parcel! ",
        "There are many reasons why a parcel may take longer than usual, and our team is looking into it.",
    ]
    scene.fake.chat.to = lambda body: brief if "adapter" in body else polite
    await begun(scene, [])
    for side in ("Left", "Right"):
        answer = scene.page.get_by_role("article", name=f"{side} answer")
        await expect(answer).to_contain_text(re.compile("a note when it does|looking into it"))


@state("blind-hostile", "A hostile question, and answers that are long", tour="blind")
async def hostile(scene: Scene) -> None:
    row = {"row": 1, "tokens": 5, "base": 3.0, "adapter": 1.0, "question": HOSTILE + LONG, "wanted": "x"}
    await begun(scene, [HOSTILE, "\n\n```\n", "y" * 400, "\n```\n\n", LONG], rows=[row])
    await expect(scene.page.get_by_role("article", name="Left answer")).to_contain_text("sorry")


@state("blind-waiting", "The answers are on their way", tour="blind")
async def waiting(scene: Scene) -> None:
    scene.fake.chat.first_delay = 600
    await begun(scene, ["x"])
    await expect(scene.page.get_by_role("article", name="Left answer")).to_be_visible()


@state("blind-failed", "One of the two could not answer", faulty=True)
async def failed(scene: Scene) -> None:
    scene.fake.fault("POST /v1/inference/chat", status=500, body=b'{"error": "support-bot is broken"}')
    await begun(scene, ["x"])
    await expect(scene.page.get_by_role("alert")).to_contain_text("could not answer")


def votes(job: str, *counts: tuple[str, int, int, int]) -> list[dict[str, Any]]:
    """So many votes for the base, the adapter and neither, of each voter."""
    told = {"one": "base:SmolLM2-135M-Instruct", "other": f"final:{job}", "left": "one", "question": "Where?"}
    return [
        {
            **told,
            "id": f"{voter}-{choice}-{n}",
            "at": "2026-03-01T00:00:00Z",
            "voter": voter,
            "choice": choice,
        }
        for voter, *numbers in counts
        for choice, number in zip(("one", "other", "tie"), numbers, strict=True)
        for n in range(number)
    ]


async def told(scene: Scene, *counts: tuple[str, int, int, int]) -> None:
    job = await blind(scene, ["x"])
    scene.fake.votes.votes[job] = votes(job, ("Ann", 3, 11, 2), *counts)
    await scene.page.reload()
    await scene.page.get_by_label("Your name, or any label").fill("Ann")
    await scene.page.get_by_role("button", name="Show the result").click()
    await expect(scene.page.get_by_role("region", name="Result")).to_be_visible()


@state("blind-result", "How often each was preferred, how sure that is, and by whom", tour="blind")
async def result(scene: Scene) -> None:
    await told(scene, ("Ben", 2, 9, 1))


@state(
    "blind-result-many", "No preference that these votes can show, of many and hostile voters", tour="blind"
)
async def many(scene: Scene) -> None:
    others = [(f"{n} <b>{'w' * 30}</b>"[:40], 5, 4, 1) for n in range(40)]
    await told(scene, ("\u202edlrow", 2, 1, 0), *others)


@state("job-corrections", "What became of the corrections that a run learned from")
async def corrections(scene: Scene) -> None:
    (scene.project / "data").mkdir()
    rows = [
        ("Where is my parcel?", "On its way.", "I do not know."),
        (HOSTILE, LONG, ""),
        ("And then?", "Nothing more.", "On its way."),
    ]
    lines = [
        {
            "messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": wanted}],
            "corrected": {"at": "2020-01-01T00:00:00+00:00", "by": "bot", "instead": instead},
        }
        for asked, wanted, instead in rows
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (scene.project / "data" / "corrections.jsonl").write_text(text)
    scene.fake.chat.chunks = ["On its way."]
    source = {"type": "file", "path": "data/corrections.jsonl"}
    job = trained(scene.fake, "support-bot", datasetSource=source)
    await scene.go(f"/#/jobs/{job}")
    await scene.page.get_by_role("button", name="Ask them again").click()
    region = scene.page.get_by_role("region", name="Corrections")
    await expect(region).to_contain_text("1 of 3 answered word for word as wanted")


@state(
    "job-preferences", "A run that learned from votes, and the blind test of it against the adapter before"
)
async def preferences(scene: Scene) -> None:
    (scene.project / "data").mkdir()
    given = {"at": "2020-01-01T00:00:00Z", "by": "Ann", "models": ["final:old", "base:m"]}
    lines = [
        {"prompt": [{"role": "user", "content": f"{n}: {HOSTILE}"}], "chosen": "Yes.", "rejected": "No."}
        for n in range(34)
    ]
    text = "".join(
        json.dumps({**line, "given": {**given, "id": str(n)}}) + "\n" for n, line in enumerate(lines)
    )
    (scene.project / "data" / "preferences.jsonl").write_text(text)
    scene.fake.methods = listed()
    scene.fake.features = ["evaluation", "votes", "parent"]
    source = {"type": "file", "path": "data/preferences.jsonl"}
    job = trained(scene.fake, "support-bot", datasetSource=source)
    scene.fake.jobs[job] |= {  # before its votes
        "createdAt": "2026-01-01T08:55:00Z",
        "startedAt": "2026-01-01T08:56:00Z",
        "completedAt": "2026-01-01T09:05:20Z",
    }
    scene.fake.evaluations.judge(job)
    scene.fake.votes.votes[job] = votes(job, ("Ann", 3, 11, 2))
    await scene.go(f"/#/jobs/{job}")
    region = scene.page.get_by_role("region", name="Preferences")
    await expect(region).to_contain_text("This run learned from 34 preferences.")
    await expect(region).to_contain_text("in 11 of 14 votes")
    await expect(region.get_by_role("button", name="Train on 34 preferences")).to_be_visible()


@state("playground-rated", "An answer that was rated")
async def rated(scene: Scene) -> None:
    scene.fake.methods = listed()
    scene.fake.features = ["parent"]
    trained(scene.fake, "support-bot")
    scene.fake.chat.chunks = ["I am sorry to hear that. ", "Your new mug is **on its way**."]
    await scene.go("/#/playground")
    await ask(scene.page, "My mug came broken. What now?")
    await scene.page.get_by_role("button", name="Good answer").click()
    region = scene.page.get_by_role("region", name="Rating")
    await expect(region.get_by_role("button", name="Train on 1 preference")).to_be_visible()
