"""The Data page: rows by key and by search, the line of max_length, tokens, findings, hostile rows."""

from __future__ import annotations

import asyncio
import functools
import gzip
import json
import random
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import expect

from arkor_dev.data.exclusions import row_hash
from arkor_dev.data.reviews import FILE
from tests.data.traces import samples

from .states import Scene
from .states.data import HOSTILE, chat, finding, fix
from .states.home import TRAINER, declare
from .steps import DROP, at_rest, hurried, soon

if TYPE_CHECKING:
    from playwright.async_api import Route

    from arkor_dev.core.settings import Settings
    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

    from .conftest import OpenPage

pytestmark = pytest.mark.browser

ALL_BUT_30_ARE_CUT = """() => {
    const of = (names) => document.querySelectorAll(names).length;
    return of('.data-token.data-cut') === of('.data-token') - 30;
}"""


@pytest.fixture
def data(settings: Settings, fake_backend: FakeBackend) -> list[Any]:
    """The rows that the backend has for a project's trainer, to be changed."""
    declare(settings.project, TRAINER)
    fake_backend.features = ["datasets"]
    chance = random.Random(1)
    fake_backend.datasets.rows = [chat(chance) for _ in range(120)]
    return fake_backend.datasets.rows


async def test_the_data_page_needs_the_feature(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage, data: list[Any]
) -> None:
    fake_backend.features = ["datasets", "attribution"]
    fake_backend.add_job("completed", name="other")
    job = fake_backend.add_job("completed", name="support-bot #2")
    async with open_page(studio.url) as page:
        await page.get_by_role("link", name="View data").click()
        await expect(page).to_have_url(studio.url + "/#/data?trainer=support-bot")
        await expect(page.get_by_role("heading", name="Row 1 ")).to_be_visible()
        hurt = page.get_by_role("link", name="Look for rows that hurt")
        await expect(hurt).to_have_attribute("href", f"#/jobs/{job}")
        await page.keyboard.type("gh")
        await expect(page.get_by_role("heading", level=1)).to_have_text("support-bot")
        fake_backend.features = []
        await page.reload()
        await expect(page.get_by_role("link", name="Endpoints")).to_be_visible()
        await expect(page.get_by_role("link", name="Data", exact=True)).to_have_count(0)
        await expect(page.get_by_role("link", name="View data")).to_have_count(0)


async def test_a_dropped_trace_becomes_rows_and_says_what_is_not_converted(
    studio: Studio, open_page: OpenPage, data: list[Any]
) -> None:
    records = [*samples.OPENAI_CHAT, {"request": {"messages": []}, "response": None}]
    log = "".join(f"{json.dumps(record)}\n" for record in records)
    async with open_page(studio.url, "/#/data") as page:
        await expect(page.get_by_role("heading", name="Row 1 ")).to_be_visible()
        assert await page.evaluate(DROP, ["calls.jsonl", log])
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("1 row of OpenAI chat completions")
        await expect(dialog).to_contain_text("calls.jsonl:3: has a request without its response")
        await expect(dialog).to_contain_text('+ dataset = "data/calls-rows.jsonl"')
        await dialog.get_by_role("button", name="Write", exact=True).click()
        await expect(dialog).to_have_count(0)
    assert "data/calls-rows.jsonl" in (studio.settings.project / "arkor.toml").read_text()


# As on a busy machine: what a page does once it is painted is late, and the next answer is there before.
LATE = """
    const [frame, later] = [requestAnimationFrame, setTimeout];
    window.requestAnimationFrame = (then) => frame(() => later(then, 2000));
    window.setTimeout = (then, after, ...given) => later(then, after === 35 ? 2000 : after, ...given);
"""


async def test_a_linked_row_far_down_is_shown(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage, data: list[Any]
) -> None:
    fake_backend.datasets.reading = 50
    async with open_page(studio.url, None) as page:
        await page.add_init_script(LATE)
        await page.goto(studio.url + "/#/data?row=110")
        await expect(page.locator(".data-row-on")).to_contain_text("110")


async def test_rows_are_navigated_and_filtered_by_keyboard(
    studio: Studio, open_page: OpenPage, data: list[Any]
) -> None:
    data[0] = [{"role": "user", "content": "Hi  you"}, {"role": "assistant", "content": "Ho"}]
    for number, word in ((31, "Umbrella"), (61, "Umbrella"), (91, "Umbrella"), (101, "Zeppelin")):
        data[number - 1] = [
            {"role": "user", "content": f"Is the {word} in?"},
            {"role": "assistant", "content": "Yes."},
        ]
    longest = max(range(120), key=lambda n: sum(len(message["content"].split()) for message in data[n])) + 1
    async with open_page(studio.url, "/#/data") as page:
        row, listed = page.locator(".data-one h2"), page.locator(".data-row")
        chosen, note = page.locator(".data-row-on"), page.locator(".data-note")
        search = page.get_by_role("searchbox")
        # The first row is near the top.
        for width, height, most in ((1280, 800, 220), (390, 844, 300)):
            await page.set_viewport_size({"width": width, "height": height})
            box = await listed.first.bounding_box()
            assert box is not None
            assert box["y"] <= most
        await page.get_by_role("button", name="Lengths").click()
        await expect(page.get_by_role("region", name="The data set")).to_be_focused()
        await expect(page.get_by_role("heading", name="Row length in tokens")).to_be_in_viewport()
        await page.set_viewport_size({"width": 1280, "height": 900})
        await expect(row).to_contain_text("Row 1 ")

        # A token shows its id and its role.
        tokens, tip = page.locator(".data-token"), page.locator(".data-tip")
        await expect(tokens.first).to_have_text("<s>")
        await tokens.nth(3).hover()
        await expect(tip).to_have_text(f"“Hi” id {sum(b'Hi')} · token 4 · ignored · user")
        await page.locator(".data-tokens").focus()
        for key, words in (
            ("End", "token 14 · ignored · template"),
            ("ArrowLeft", "“</s>” id"),
            ("ArrowLeft", "“Ho” id"),
        ):
            await page.keyboard.press(key)
            await expect(tip).to_contain_text(words)
        await expect(page.locator(".data-tokens-box [role=status]")).to_contain_text("learned · assistant")
        # Tokens that come under a pointer that rests are not pointed at; a finger's tap points.
        await tokens.first.dispatch_event("pointerover")
        await expect(tip).to_contain_text("“Ho” id")
        await tokens.nth(3).dispatch_event("pointerdown")
        await expect(tip).to_contain_text("token 4 ")
        learned = await page.locator(".data-tokens .data-learned").all_inner_texts()
        assert learned == ["Ho", "</s>"]
        special = await page.locator(".data-tokens .data-special").all_inner_texts()
        assert special == ["<s>", "</s>", "<s>", "</s>"]

        for key, number in (("j", 2), ("j", 3), ("k", 2), ("l", longest), ("/", longest)):
            await page.keyboard.press(key)
            await expect(row).to_contain_text(f"Row {number} ")
        await expect(search).to_be_focused()
        await page.keyboard.type("zeppelin")
        await page.keyboard.press("Enter")
        await expect(row).to_contain_text("Row 101 ")
        # It is in sight in the list too, and chosen there.
        await expect(chosen).to_be_in_viewport()
        await expect(chosen).to_contain_text("Is the Zeppelin in?")
        await page.reload()
        await expect(row).to_contain_text("Row 101 ")

        # A filter lists the matching rows alone.
        await search.fill("")
        await page.goto(f"{studio.url}/#/data?row=45")
        await expect(row).to_contain_text("Row 45 ")
        await search.fill("umbrella")
        await search.press("Enter")
        await expect(listed).to_have_count(3)
        await expect(note).to_have_text("3 of 120 rows")
        await expect(row).to_contain_text("Row 61 ")
        # Without a step through the matches, the end of the filter leads back.
        await search.fill("")
        await expect(row).to_contain_text("Row 45 ")
        await expect(note).to_have_text("")
        await search.fill("umbrella")
        for key, number in (("Enter", 61), ("Enter", 91), ("Enter", 91)):
            await search.press(key)
            await expect(row).to_contain_text(f"Row {number} ")
        await listed.first.focus()
        for key, number in (("k", 61), ("k", 31), ("k", 31), ("j", 61)):
            await page.keyboard.press(key)
            await expect(row).to_contain_text(f"Row {number} ")
        await page.get_by_text("Filter", exact=True).click()
        await page.get_by_role("combobox", name="Said by").select_option("assistant")
        await expect(note).to_have_text("No row has “umbrella”.")
        await expect(listed).to_have_count(0)
        await page.get_by_role("combobox", name="Said by").select_option("user")
        await expect(listed).to_have_count(3)
        await page.get_by_role("button", name="Show all rows").click()
        await expect(row).to_contain_text("Row 61 ")
        await expect(chosen).to_be_in_viewport()
        await expect(search).to_have_value("")
        await page.get_by_role("spinbutton", name="At least so many tokens").fill("1000")
        await expect(note).to_have_text("No row fits.")


async def test_a_flagged_row_is_excluded_and_included(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage, data: list[Any]
) -> None:
    toml = studio.settings.project / "arkor.toml"
    before = toml.read_text()
    secret = finding("secret", "warning", "2 rows hold what looks like a key", [3, 7])
    fake_backend.datasets.findings = [secret]
    async with open_page(studio.url, "/#/data?row=7") as page:
        findings = page.get_by_role("region", name="Findings")
        await findings.get_by_text("2 rows hold what looks like a key").click()
        await expect(findings.get_by_role("button", name="Exclude 2 rows")).to_be_visible()
        await findings.get_by_role("button", name="Exclude row 3").click()
        await expect(page.get_by_text("1 row excluded", exact=True)).to_be_visible()
        assert 'exclude = ["0000000000000003"]' in toml.read_text()
        # It is undone like any other change of the rows, before earlier ones.
        await page.get_by_role("button", name="Undo", exact=True).click()
        await expect(page.get_by_text("1 row excluded", exact=True)).to_have_count(0)
        assert "exclude" not in toml.read_text()
        await page.get_by_role("button", name="Redo", exact=True).click()
        await expect(page.get_by_text("1 row excluded", exact=True)).to_be_visible()
        await page.goto(f"{studio.url}/#/data?row=7")
        # The row that is looked at has its button too, and each of both can be undone where it is seen.
        one = page.get_by_role("region", name="The row")
        await one.get_by_role("button", name="Exclude").click()
        await expect(one.get_by_text("Excluded from training")).to_be_visible()
        await expect(page.locator(".data-row-on")).to_contain_text("excluded")
        await one.get_by_role("button", name="Include").click()
        await expect(page.get_by_text("1 row excluded", exact=True)).to_be_visible()
        await findings.get_by_text("Some rows are excluded").click()
        await findings.get_by_role("button", name="Include row 3").click()
        await expect(page.get_by_text("1 row excluded", exact=True)).to_have_count(0)
    assert "exclude" not in toml.read_text()
    assert before.count("path") <= toml.read_text().count("path")


async def test_a_row_is_edited_with_live_tokens_and_undone(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage, data: list[Any]
) -> None:
    file = studio.settings.project / "data" / "support.jsonl"
    turns = [
        [{"role": "user", "content": f"Question {n}?"}, {"role": "assistant", "content": "Yes."}]
        for n in range(3)
    ]
    before = "".join(json.dumps({"id": n, "messages": each}) + "\n" for n, each in enumerate(turns))
    file.write_text(before)
    fake_backend.datasets.file = file
    async with open_page(studio.url, "/#/data?row=2", faulty=True) as page:
        one = page.get_by_role("region", name="The row")
        await one.get_by_role("button", name="Edit", exact=True).click()
        answer = page.get_by_role("textbox", name="Message 2, text")
        await answer.fill("It is on its way.")
        tokens = page.get_by_role("region", name="Tokens of the edited row")
        await expect(tokens.locator(".data-tokens")).to_contain_text("on its way")
        assert file.read_text() == before, "nothing is written before it is saved"
        await page.get_by_role("button", name="Add below message 2").click()
        await expect(page.get_by_role("combobox", name="Message 3, role")).to_have_value("user")
        await page.get_by_role("button", name="Remove message 3").click()
        await answer.press("Control+Enter")
        await expect(answer).to_have_count(0)
        await expect(one.locator(".data-tokens")).to_contain_text("on its way")
        edited = before.replace(
            'Question 1?"}, {"role": "assistant", "content": "Yes.',
            'Question 1?"}, {"role": "assistant", "content": "It is on its way.',
        )
        assert file.read_text() == edited
        await one.get_by_role("button", name="Delete").click()
        await expect(one.locator(".data-tokens")).to_contain_text("Question 2?")
        await page.get_by_role("button", name="Undo", exact=True).click()
        await expect(one.locator(".data-tokens")).to_contain_text("on its way")
        assert file.read_text() == edited
        await one.get_by_role("button", name="Edit", exact=True).click()
        await page.get_by_role("button", name="Split above message 2").click()
        await expect(answer).to_have_count(0)
        assert [len(json.loads(line)["messages"]) for line in file.read_text().splitlines()] == [2, 1, 1, 2]
        await expect(one.locator(".data-tokens")).not_to_contain_text("on its way")
        await one.get_by_role("button", name="Merge with next").click()
        await expect(one.locator(".data-tokens")).to_contain_text("on its way")
        assert file.read_text() == edited
        # A new row lacks everything at first, which is no mistake; once something was typed, it is.
        await one.get_by_role("button", name="Add", exact=True).click()
        live = page.get_by_role("region", name="Tokens of the edited row").first
        await expect(live.locator(".ui-skeleton")).to_have_count(0)
        await expect(live).not_to_contain_text("empty answer")
        await page.get_by_role("textbox", name="Message 1, text").fill("A question?")
        await expect(live).to_contain_text("has an empty answer")
        await page.get_by_role("button", name="Discard").click()
        # Another program writes the same row: what was typed here does not overwrite it.
        await one.get_by_role("button", name="Edit", exact=True).click()
        await answer.fill("From the page.")
        file.write_text(edited.replace("on its way", "from an editor"))
        await answer.press("Control+Enter")
        await expect(page.get_by_role("alert")).to_contain_text("has changed on disk")
        assert "From the page." not in file.read_text()


async def test_a_gzip_file_is_copied_for_editing(
    studio: Studio, open_page: OpenPage, data: list[Any]
) -> None:
    project = studio.settings.project
    lines = b'{"prompt": "Where?", "completion": "Here."}\n'
    (project / "data" / "packed.jsonl.gz").write_bytes(gzip.compress(lines))
    (project / "arkor.toml").write_text(TRAINER.replace("support.jsonl", "packed.jsonl.gz"))
    async with open_page(studio.url, "/#/data?row=1") as page:
        one = page.get_by_role("region", name="The row")
        await one.get_by_role("button", name="Edit", exact=True).click()
        await one.get_by_role("button", name="Unpack into a copy").click()
        await expect(page.get_by_role("textbox", name="completion")).to_have_value("Here.")
    assert (project / "data" / "packed.jsonl").read_bytes() == lines
    assert 'dataset = "data/packed.jsonl"' in (project / "arkor.toml").read_text()


async def test_rows_are_reviewed_by_keyboard(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage, data: list[Any]
) -> None:
    project = studio.settings.project
    file = project / "data" / "support.jsonl"
    turns = [{"role": "user", "content": "Where?"}, {"role": "assistant", "content": "Here."}]
    rows = [json.dumps({"id": n, "messages": turns}) for n in range(4)]
    file.write_text("\n".join(rows) + "\n")
    fake_backend.datasets.file = file
    known = [f"{row_hash(row.encode()):016x}" for row in rows]
    told = {"row": known[2], "verdict": "accepted", "by": "Bo", "comment": "<b>Fine</b>"}
    (project / FILE).write_text(json.dumps(told) + "\n")
    fake_backend.datasets.left_out = {2}

    def written() -> list[tuple[str, Any]]:
        lines = [json.loads(line) for line in (project / FILE).read_text().splitlines()]
        return [(line["row"], line.get("verdict")) for line in lines[1:]]

    async with open_page(studio.url, "/#/data?by=Ann") as page:
        heading = page.locator(".data-one h2")
        await expect(heading).to_contain_text("Row 1 ")
        struck = page.locator(".data-row-out")
        await expect(struck).to_have_count(1)
        await page.keyboard.press("v")
        # A judgement may have changed by now which rows are left out.
        await expect(struck).to_have_count(0)
        panel = page.get_by_role("region", name="Judge rows")
        counts = panel.get_by_role("status")
        await expect(counts).to_have_text("1 accepted · 0 rejected · 0 flagged · 3 unseen")
        verdict = panel.get_by_role("group", name="Verdict on row 1")
        await expect(verdict.get_by_role("button", name="Reject")).to_be_enabled()
        await page.keyboard.press("t")
        await page.keyboard.type("tone, too long")
        await page.keyboard.press("Enter")
        await expect(panel.get_by_role("combobox", name="with the tag")).to_be_visible()
        await page.keyboard.press("r")
        await expect(heading).to_contain_text("Row 2 ")
        await expect(counts).to_have_text("1 accepted · 1 rejected · 0 flagged · 2 unseen")
        await expect(page.locator(".data-row").first).to_contain_text("rejected")
        # Ann has not seen what Bo said before she has said something herself.
        await panel.get_by_role("button", name="Next", exact=True).click()
        await expect(heading).to_contain_text("Row 3 ")
        await expect(panel.get_by_text("Others have judged it")).to_be_visible()
        await panel.get_by_role("button", name="Flag").click()
        await expect(heading).to_contain_text("Row 4 ")
        await expect(counts).to_contain_text("1 disputed")
        await page.keyboard.press("k")
        await expect(panel.get_by_text("Bo: accepted · <b>Fine</b>")).to_be_visible()
        await page.keyboard.press("u")
        await expect(counts).to_have_text("1 accepted · 1 rejected · 0 flagged · 2 unseen")
        await page.reload()
        await expect(panel.get_by_role("status")).to_have_text(
            "1 accepted · 1 rejected · 0 flagged · 2 unseen"
        )
        tagged = [(known[0], None), (known[0], "rejected")]
        assert written() == [*tagged, (known[2], "flagged"), (known[2], None)]
        await panel.get_by_role("combobox", name="Go through").select_option("rejected")
        await expect(heading).to_contain_text("Row 1 ")
        # A link to a queue shows its first row.
        await page.goto(f"{studio.url}/#/data?by=Ann&judge=accepted")
        await expect(heading).to_contain_text("Row 3 ")
        await panel.get_by_role("button", name="Done").click()
        await expect(panel).to_have_count(0)
        await expect(struck).to_have_count(1)


async def test_similar_and_surprising_rows_are_reviewed_by_keyboard(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage, data: list[Any]
) -> None:
    file = studio.settings.project / "data" / "support.jsonl"
    chance = random.Random(2)
    file.write_text("".join(json.dumps({"messages": chat(chance)}) + "\n" for _ in range(30)))
    fake_backend.datasets.file = file
    fake_backend.features = ["datasets", "embeddings"]
    terms = {"heldOut": 0, "examples": [2]}
    fake_backend.datasets.groups = [
        {"rows": 20, "terms": ["parcel"], **terms},
        {"rows": 10, "terms": [], **terms},
    ]
    async with open_page(studio.url, "/#/data?by=Ann") as page:
        heading = page.locator(".data-one h2")
        await expect(heading).to_contain_text("Row 1 ")
        await expect(page.get_by_role("button", name="Similar rows")).to_be_visible()
        await page.keyboard.press("m")
        part = page.get_by_role("region", name="Rows by meaning")
        await expect(part.get_by_role("heading", name="Rows by meaning")).to_be_focused()
        await expect(part.get_by_role("button", name="Embed rows")).to_be_visible()
        await page.keyboard.press("Tab")
        await page.keyboard.press("Tab")
        await expect(part.get_by_role("button", name="Embed rows")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(part.get_by_text("30 rows in 2 groups of similar meaning.")).to_be_visible()
        await part.get_by_role("button", name="Row 3", exact=True).press("Enter")
        await expect(heading).to_contain_text("Row 3 ")
        # The list and the focus stay while its rows are looked at.
        await expect(part.get_by_role("heading", name="Similar to row 1")).to_be_visible()
        await expect(part.get_by_role("button", name="Row 3", exact=True)).to_be_focused()
        await part.get_by_role("button", name="Show rows about Group 2").press("Enter")
        await expect(heading).to_contain_text("Row 21 ")
        walk = part.get_by_role("group", name="Map of rows")
        for key in ("ArrowRight", "ArrowLeft", "ArrowUp", "ArrowDown"):
            await walk.press(key)
        await expect(heading).not_to_contain_text("Row 21 ")
        await page.keyboard.press("v")
        panel = page.get_by_role("region", name="Judge rows")
        await panel.get_by_role("combobox", name="Go through").select_option("uncertain")
        await panel.get_by_role("button", name="Measure losses").press("Enter")
        await expect(heading).to_contain_text("Row 30 ")
        await expect(panel.get_by_role("button", name="Accept")).to_be_enabled()
        await page.keyboard.press("Tab")
        await panel.get_by_role("button", name="Accept").press("Enter")
        await expect(heading).to_contain_text("Row 29 ")


async def test_the_length_limit_shows_what_it_truncates_and_is_used_by_the_next_run(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage, data: list[Any]
) -> None:
    async with open_page(studio.url, "/#/data") as page:
        losses, line = page.locator(".data-losses"), page.get_by_role("slider", name="max_length")
        await expect(losses).to_contain_text("max_length 512, beyond the axis, truncates no row.")
        await expect(page.locator(".data-token").first).to_be_attached()
        await line.fill("30")
        texts = await page.locator(".data-token").count()
        await page.keyboard.press("l")
        await expect(page.locator(".data-token").nth(texts)).to_be_attached()
        await soon(lambda: page.evaluate(ALL_BUT_30_ARE_CUT))
        await expect(losses).to_contain_text("max_length 30 truncates")
        before = await losses.inner_text()
        await line.press("ArrowLeft")
        await expect(losses).to_contain_text("max_length 29 truncates")
        assert before.partition("truncates")[2] != (await losses.inner_text()).partition("truncates")[2]
        # By the pointer: a click on the plot takes the line there.
        box = await at_rest(line.bounding_box)
        assert box
        await page.mouse.click(box["x"] + box["width"] / 4, box["y"] + 40)
        await expect(losses).not_to_contain_text("max_length 29 truncates")
        quarter = int(await line.input_value())
        assert abs(quarter - int(await line.get_attribute("max") or 0) / 4) < 2
        await expect(losses).to_contain_text(f"max_length {quarter} truncates")
        await page.get_by_role("button", name="Back to 512").click()
        await expect(losses).to_contain_text("truncates no row")
        await line.fill("40")
        await page.get_by_role("button", name="Use for the next run").click()
        await fake_backend.until(lambda: fake_backend.count("POST /v1/datasets") == 2)
        assert fake_backend.last("POST /v1/datasets").json()["config"]["maxLength"] == 40
        await expect(losses).to_contain_text("max_length 40 truncates")
        await expect(page.get_by_role("button", name="Use for the next run")).to_have_count(0)
        await page.get_by_role("link", name="Home", exact=True).click()
        await expect(page.get_by_role("button", name="Run with unsaved changes")).to_be_visible()


async def test_findings_link_to_their_rows(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage, data: list[Any]
) -> None:
    many = list(range(30, 70))
    fake_backend.datasets.findings = [
        {**finding("cut", "warning", "40 rows are longer than 512 tokens", many), "rows": []},
        finding("answer-cut-away", "error", "1 row is truncated before its answer", [77]),
    ]
    fake_backend.datasets.findings[0]["rows"] = finding("cut", "warning", "", many)["rows"]
    file = studio.settings.project / "data" / "support.jsonl"
    file.write_text(file.read_text() + file.read_text())
    async with open_page(studio.url, "/#/data") as page:
        await page.get_by_text("1 row is truncated before its answer").click()
        await page.get_by_role("link", name="Row 77").click()
        await expect(page.locator(".data-one h2")).to_contain_text("Row 77 ")
        await page.get_by_text("40 rows are longer").click()
        await expect(page.locator(".data-findings").get_by_role("link", name="Row ")).to_have_count(21)
        await page.get_by_role("button", name="List only these 40 rows").click()
        await expect(page.locator(".data-note")).to_have_text("40 of 120 rows")
        await expect(page.locator(".data-one h2")).to_contain_text("Row 30 ")
        # The findings in the file are not those of a different data set that the next run takes.
        repeated = page.get_by_text("rows repeat an earlier one")
        await expect(repeated).to_be_visible()
        draft = {"datasetSource": {"type": "file", "path": "data/other.jsonl"}}
        await page.evaluate(
            "(changes) => sessionStorage.setItem('arkor.home.settings',"
            " JSON.stringify({'support-bot': {changes}}))",
            draft,
        )
        requested: list[str] = []
        page.on("request", lambda request: requested.append(request.url))
        await page.reload()
        await page.get_by_text("1 row is truncated before its answer").click()
        await page.get_by_role("link", name="Row 77").click()
        await expect(page.locator(".data-one h2")).to_contain_text("Row 77 ")
        assert any("/datasets/" in url for url in requested)
        assert not any("/manifest/data" in url for url in requested)
        await expect(repeated).to_have_count(0)


async def test_a_finding_has_no_fix_while_rows_are_rechecked(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    async with open_page(studio.url, None) as page:
        await fix(Scene(page, studio, fake_backend))
        checked = asyncio.Event()

        async def check(route: Route) -> None:
            await checked.wait()
            await route.continue_()

        await page.route("**/api/manifest/data?*", check)
        secret = page.locator(".data-finding", has_text="a secret key")
        await expect(secret.get_by_role("button", name="Mask keys…")).to_be_visible()
        await page.get_by_role("button", name="Change 2 rows").click()
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await expect(secret.get_by_role("link", name="Row 4")).to_be_visible()
        await expect(secret.get_by_role("button")).to_have_count(0)
        checked.set()
        await expect(secret).to_have_count(0)


CSV = "id,question,answer\n" + "".join(f"{n},Where is {n}?,On its way.\n" for n in range(60))


async def test_columns_are_mapped_at_the_finding(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage, data: list[Any]
) -> None:
    toml = studio.settings.project / "arkor.toml"
    (studio.settings.project / "data" / "faq.csv").write_text(CSV)
    both = 'dataset = ["data/support.jsonl", "data/faq.csv"]'
    toml.write_text(TRAINER.replace('dataset = "data/support.jsonl"', both))
    async with open_page(studio.url, "/#/data") as page:
        finding = page.locator(".data-finding", has_text="60 rows")
        await finding.locator("summary").click()
        await finding.get_by_role("button", name="Map columns").click()
        await expect(page.get_by_label("Prompt")).to_be_focused()
        await expect(page.get_by_label("Prompt")).to_have_value("question")
        await page.get_by_role("button", name="Write to arkor.toml").click()
        await expect(page.locator(".map")).to_have_count(0)
    columns = 'columns = { prompt = "question", completion = "answer" }'
    assert f'["data/support.jsonl", {{ path = "data/faq.csv", {columns} }}]' in toml.read_text()
    # Where no row can be read before, there is nothing but the mapping.
    toml.write_text(TRAINER.replace("support.jsonl", "faq.csv"))
    async with open_page(studio.url, "/#/data") as page:
        await expect(page.get_by_label("Prompt")).to_be_visible()
        await expect(page.locator(".data-figures, .ui-skeleton")).to_have_count(0)


async def test_a_finding_has_its_remedy_beside_it(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage, data: list[Any]
) -> None:
    path = studio.settings.project / "arkor.toml"
    path.write_text(path.read_text() + "max_length = 20\n")
    kinds = ("unreadable", "cut", *(f"other-{n}" for n in range(9)))
    fake_backend.datasets.findings = [
        finding(code, "warning", f"3 rows are {code}", [1, 2, 3]) for code in kinds
    ]
    async with open_page(studio.url, "/#/data") as page:
        # All of them are in sight, however many there are.
        await expect(page.locator(".data-finding")).to_have_count(len(kinds))
        clipped = "() => { const list = document.querySelector('.data-findings ul');"
        assert await page.evaluate(f"{clipped} return list.scrollHeight === list.clientHeight; }}")
        unreadable = page.locator(".data-finding", has_text="are unreadable")
        await unreadable.locator("summary").click()
        await unreadable.get_by_role("button", name="Skip invalid rows").click()
        await expect(unreadable).to_contain_text("The next run skips them.")
        cut = page.locator(".data-finding", has_text="are cut")
        await cut.locator("summary").click()
        raise_it = cut.get_by_role("button", name="Set max_length to")
        longest = int((await raise_it.inner_text()).rpartition(" ")[2])
        await raise_it.click()
        await expect(page.locator(".data-losses")).to_contain_text(f"max_length {longest} truncates no row.")
    sent = fake_backend.last("POST /v1/datasets").json()["config"]
    assert (sent["skipBadRows"], sent["maxLength"]) == (True, longest)


async def test_unreadable_and_missing_data_show_no_progress(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage, data: list[Any]
) -> None:
    file = studio.settings.project / "data" / "support.jsonl"
    rows = file.read_bytes()
    file.unlink()
    async with open_page(studio.url, "/#/data") as page:
        await expect(page.get_by_role("alert")).to_contain_text('"data/support.jsonl" is not in the project')
        await expect(page.locator(".data")).not_to_contain_text("lists no data")
        data[:] = ["not JSON"] * 60
        fake_backend.datasets.findings = [finding("unreadable", "error", "60 rows", [1, 2, 3], 60)]
        file.write_bytes(rows)
        await expect(page.locator(".data-figures")).to_contain_text("60 rows invalid")
        await expect(page.locator(".data-value").first).to_have_text("0")
        await expect(page.locator(".ui-skeleton")).to_have_count(0)


async def test_hostile_rows_are_shown_as_text(studio: Studio, open_page: OpenPage, data: list[Any]) -> None:
    data[0] = [{"role": "user", "content": HOSTILE}, {"role": "assistant", "content": "z" * 1_000_000}]
    data[1] = "<img src=x onerror=alert(1)>"
    async with open_page(studio.url, "/#/data") as page:
        page.on("dialog", lambda dialog: pytest.fail(f"it ran: {dialog.message}"))
        await expect(page.locator(".data-tokens")).to_contain_text("<img src=x onerror=alert(1)>")
        assert await page.locator(".data img, .data script").count() == 0
        text = await page.locator(".data-tokens").inner_text()
        assert "\u202e" not in text
        assert "\x1b" not in text
        assert "U+202E" in text
        assert len(text) < 10_000
        await page.keyboard.press("j")
        await expect(page.get_by_role("alert")).to_contain_text("<img src=x onerror=alert(1)>")


async def test_a_view_is_opened_anew_when_it_expires_or_its_rows_or_token_settings_change(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage, data: list[Any]
) -> None:
    path = studio.settings.project / "arkor.toml"
    opened = functools.partial(fake_backend.count, "POST /v1/datasets")
    # What is still being asked of the view of the old rows is refused from then on.
    async with open_page(studio.url, "/#/data", faulty="/api/datasets", clock=True) as page:
        token, figures = page.locator(".data-token").first, page.locator(".data-figures")
        losses, search = page.locator(".data-losses"), page.get_by_role("searchbox")
        await expect(token).to_be_visible()
        await expect(figures).to_contain_text("120")
        await expect(losses).to_contain_text("max_length 512")
        # A setting without effect on tokens keeps the view.
        await search.fill("half typed")
        path.write_text(path.read_text() + "learning_rate = 0.01\n")
        async with hurried(page):
            await fake_backend.until(lambda: opened() == 2)
        await page.keyboard.press("Tab")
        await expect(page.locator("summary", has_text="Filter")).to_be_focused()
        await expect(search).to_have_value("half typed")
        assert len(fake_backend.datasets.views) == 1
        assert fake_backend.count("GET /v1/datasets/{id}/lengths") == 1

        await search.fill("")
        await expect(token).to_be_visible()
        fake_backend.datasets.views.clear()
        async with hurried(page):
            await fake_backend.until(lambda: opened() == 3)
        await expect(token).to_be_visible()
        await page.locator(".data-row").first.focus()
        await page.keyboard.press("j")
        await expect(page.locator(".data-one h2")).to_contain_text("Row 2 ")
        assert opened() == 3

        # The backend says that the file has changed.
        before = fake_backend.count("GET /v1/datasets/{id}")
        fake_backend.datasets.more = {"state": "changed"}
        async with hurried(page):
            await fake_backend.until(lambda: fake_backend.count("GET /v1/datasets/{id}") > before)
            fake_backend.datasets.more = {}
            del data[100:]
            fake_backend.datasets.views.clear()
            await expect(figures).to_contain_text("100")

        # An edit in an editor shows at once.
        del data[80:]
        fake_backend.datasets.views.clear()
        rows = studio.settings.project / "data" / "support.jsonl"
        rows.write_text(rows.read_text() + "\n")  # as many rows as before, but another state
        await expect(figures).to_contain_text("80")

        path.write_text(path.read_text() + "max_length = 20\n")
        async with hurried(page):
            await expect(losses).to_contain_text("max_length 20 truncates")
        sent = [json.loads(seen.body) for seen in fake_backend.requests if seen.route == "POST /v1/datasets"]
        lengths = [one["config"].get("maxLength") for one in sent]
        assert lengths[-1] == 20
        assert set(lengths[:-1]) == {None}
