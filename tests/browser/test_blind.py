"""The blind test: answers without names, keys that judge, a result after ten votes, told by voter."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import expect

from .states import trained
from .talk import asked

if TYPE_CHECKING:
    from playwright.async_api import Page

    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

    from .conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]

VOTE = "POST /v1/jobs/{id}/votes"
BASE, ADAPTER = "The words of the one.", "The words of the other."


def speaking(fake_backend: FakeBackend) -> None:
    """The base and the adapter answer in words of their own."""
    fake_backend.chat.to = lambda body: [ADAPTER if body.get("adapter") else BASE]


def judged_job(fake_backend: FakeBackend) -> str:
    fake_backend.features = ["evaluation", "votes"]
    job = trained(fake_backend, "zephyr", steps=40, of=40, model="tiny")
    fake_backend.jobs[job]["completedAt"] = "2026-01-01T00:00:00Z"
    fake_backend.evaluations.judge(job)
    return job


async def begin(page: Page, label: str = "Ann") -> None:
    await page.get_by_label("Your name, or any label").fill(label)
    await page.get_by_role("button", name=re.compile("^(Start|Go on)$")).click()


async def vote_for_adapter(page: Page, *, by_key: bool = True) -> None:
    """Judge as somebody who likes the adapter's words better, wherever they stand."""
    left = page.get_by_role("article", name="Left answer")
    await expect(left).to_contain_text("The words of")
    at_left = ADAPTER in await left.inner_text()
    if by_key:
        await page.keyboard.press("ArrowLeft" if at_left else "ArrowRight")
    else:
        await page.get_by_role("button", name="Left is better" if at_left else "Right is better").click()


async def place(page: Page, number: int, of: int = 12) -> None:
    await expect(page.get_by_role("region", name=f"Question {number} of {of}")).to_be_visible()


async def test_ten_votes_give_share_interval_and_names(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    job = judged_job(fake_backend)
    speaking(fake_backend)
    async with open_page(studio.url, f"/#/jobs/{job}") as page:
        await page.get_by_role("button", name="More actions").click()
        await page.get_by_role("menuitem", name="Blind test against the base").click()
        await expect(page.get_by_role("heading", name="Blind test")).to_be_focused()
        await expect(page.get_by_text("Held-out questions")).to_be_visible()
        # Most people vote alone: a label is there, and need not be thought of.
        await expect(page.get_by_role("button", name="Start")).to_be_enabled()
        await begin(page)
        lefts: Counter[bool] = Counter()
        for number in range(1, 11):
            await place(page, number)
            await expect(page.get_by_role("button", name="Show the result")).to_have_count(0)
            # No name of the two, nor what could stand for one, is anywhere near an answer.
            seen = await page.locator(".blind-question").evaluate("node => node.outerHTML")
            for name in ("tiny", "zephyr", job, "base", "adapter", "final"):
                assert name not in seen.lower(), name
            left = page.get_by_role("article", name="Left answer")
            await expect(left).to_contain_text("The words of")
            lefts[ADAPTER in await left.inner_text()] += 1
            if number == 3:
                await page.keyboard.press("ArrowDown")
            else:
                await vote_for_adapter(page, by_key=number % 2 == 0)
        await place(page, 11)
        await page.get_by_role("button", name="Show the result").click()
        result = page.get_by_role("region", name="Result")
        await expect(result).to_contain_text("zephyr · final adapter was preferred in 9 of 9 votes (100 %")
        await expect(result).to_contain_text("95 % interval 70 to 100 %")
        await expect(result.get_by_role("row", name="Ann")).to_have_text(re.compile(r"Ann\s*0\s*9\s*1\s*10"))
        # A page that is closed sends no more.
        await fake_backend.until(lambda: len(fake_backend.votes.votes[job]) == 10)
    kept = fake_backend.votes.votes[job]
    assert Counter(vote["choice"] for vote in kept) == {"other": 9, "tie": 1}
    assert {(vote["voter"], vote["one"], vote["other"]) for vote in kept} == {
        ("Ann", "base:tiny", f"final:{job}")
    }
    assert Counter(vote["left"] == "other" for vote in kept) == lefts
    assert len({vote["question"] for vote in kept}) == 10
    bodies = asked(fake_backend)
    assert {body["temperature"] for body in bodies} == {0}
    assert len(bodies) <= 24, "no question is asked twice"


async def test_votes_of_two_people_are_separate(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    job = judged_job(fake_backend)
    speaking(fake_backend)
    told: dict[str, Any] = {"one": f"final:{job}", "other": "base:tiny", "left": "one", "question": "?"}
    told |= {"at": "2026-02-01T00:00:00Z", "voter": "Ben", "choice": "other"}
    given = [{**told, "id": str(number)} for number in range(12)]
    # Of the adapter as it was before it was trained further, and of another one: they do not count.
    given.append({**given[0], "at": "2025-01-01T00:00:00Z", "voter": "Old"})
    given.append({**given[0], "other": "final:elsewhere", "voter": "Else"})
    fake_backend.votes.votes[job] = given
    async with open_page(studio.url, f"/#/blind?target=base:tiny&against=final:{job}") as page:
        await begin(page)
        for number in range(1, 13):
            await place(page, number)
            await vote_for_adapter(page)
        result = page.get_by_role("region", name="Result")
        await expect(result).to_contain_text("No preference: each was preferred in 12 of 24 votes")
        await expect(result.get_by_role("row", name="Ann")).to_be_visible()
        await expect(result.get_by_role("row", name="Ben")).to_be_visible()
        await expect(result.get_by_role("row")).to_have_count(3)
        await expect(result.get_by_role("heading", name="Result")).to_be_focused()
        # Another day: what was voted is there, and goes on.
        await fake_backend.until(lambda: len(given) == 26)
        await page.reload()
        await page.get_by_label("Your name, or any label").fill("Ann")
        await expect(page.get_by_text("12 votes so far")).to_be_visible()
        await page.get_by_role("button", name="Show the result").click()
        await expect(result.get_by_role("row", name="Ann")).to_be_visible()


async def test_own_questions_compare_two_adapters_without_the_votes_feature(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    one, other = (fake_backend.add_job("completed", name=name) for name in ("one", "two"))
    fake_backend.emit(one, "checkpoint.saved", step=20)
    fake_backend.evaluations.judge(one, bestStep=20, bestVerdict="better", bestKept=True)
    fake_backend.chat.chunks = ["The same"]
    async with open_page(studio.url, f"/#/compare?jobs={one},{other}") as page:
        await page.get_by_role("link", name="Blind test").click()
        await expect(page.get_by_text("one · step 20, the best and two · final adapter")).to_be_visible()
        await expect(page.get_by_text("This backend keeps no votes")).to_be_visible()
        await page.get_by_label("Questions, one a line").fill("Who?\n\nWhere?\nWho?")
        await expect(page.get_by_text("2 questions: the result needs 10 votes.")).to_be_visible()
        await begin(page)
        await place(page, 1, 2)
        await expect(page.get_by_text("Both say the same")).to_be_visible()
        await page.keyboard.press("ArrowDown")
        await place(page, 2, 2)
        await expect(page.get_by_text("Both say the same")).to_be_visible()
        await page.get_by_role("button", name="Skip").click()
        await expect(page.get_by_text("1 vote so far. The result is shown after 10.")).to_be_visible()
        await page.get_by_label("Questions, one a line").fill("\n".join(f"Question {n}" for n in range(9)))
        await page.get_by_role("button", name="Continue").click()
        for number in range(2, 11):  # after the one vote before
            await place(page, number, 10)
            await expect(page.get_by_text("Both say the same")).to_be_visible()
            await page.keyboard.press("ArrowDown")
        await expect(page.get_by_role("region", name="Result")).to_contain_text("Every vote was a tie.")
    assert fake_backend.count(VOTE) == 0
    assert {body["adapter"]["jobId"] for body in asked(fake_backend)} == {one, other}


async def test_failed_answers_stay_blind_and_lost_votes_are_resent(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    job = judged_job(fake_backend)
    system = {"role": "system", "content": "Be brief."}
    fake_backend.evaluations.rows = [
        {**row, "question": "And then?", "messages": [system, {"role": "user", "content": str(number)}]}
        for number, row in enumerate(fake_backend.evaluations.rows[:3])
    ]
    fake_backend.fault(
        "POST /v1/inference/chat", times=1, status=409, body=b'{"error": "zephyr has no adapter"}'
    )
    async with open_page(studio.url, f"/#/blind?target=base:tiny&against=final:{job}", faulty=True) as page:
        await begin(page)
        await expect(page.get_by_role("alert")).to_contain_text("One of the two could not answer")
        await expect(page.get_by_role("alert")).not_to_contain_text("zephyr")
        await page.get_by_role("button", name="Try again").click()
        await expect(page.get_by_role("article", name="Left answer")).to_contain_text("Hello, world")
        fake_backend.fault(VOTE, times=1, status=500, body=b'{"error": "No room"}')
        await page.keyboard.press("ArrowLeft")
        await expect(page.get_by_role("alert")).to_contain_text("No room")
        await place(page, 2, 3)
        await page.get_by_role("button", name="Try again").click()
        await expect(page.get_by_role("alert")).to_have_count(0)
        await page.keyboard.press("?")
        sheet = page.get_by_role("dialog", name="Keyboard shortcuts")
        await expect(sheet).to_contain_text("Right is better")
        await page.keyboard.press("ArrowLeft")  # is the sheet's own now
        await page.keyboard.press("Escape")
        await place(page, 2, 3)
        await fake_backend.until(lambda: len(fake_backend.votes.votes[job]) == 1)
    # What was said before a question is asked with it, and the same words after others are another question.
    asked_for = {tuple(each["content"] for each in body["messages"]) for body in asked(fake_backend)}
    assert asked_for <= {("Be brief.", str(number)) for number in range(3)}
    assert len(asked_for) > 1


async def test_invalid_models_of_a_blind_test_are_named(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    job = fake_backend.add_job("completed")
    async with open_page(studio.url, "/#/blind") as page:
        await expect(page.get_by_text("Nothing to compare")).to_be_visible()
        await page.goto(f"{studio.url}/#/blind?target=final:{job}&against=final:{job}")
        await expect(page.get_by_text("Nothing to compare")).to_be_visible()
