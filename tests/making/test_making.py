"""A making against a scripted teacher: true quotes only, an exact budget, pauses and errors."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import signal
import time
from collections import Counter
from dataclasses import replace
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, cast

import pytest

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.core.settings import Settings
from arkor_dev.data.exclusions import row_hash
from arkor_dev.data.reviews import read_reviews, selection
from arkor_dev.making import start
from arkor_dev.making.kinds import occurs
from arkor_dev.teacher import asker, client
from arkor_dev.teacher.request import TeacherRequest
from tests.support.commands import open_command
from tests.support.scripted_teacher import Said, passage_of, right, scripted, sentences

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from arkor_dev.contract.making_shapes import Making, MakingOptions
    from tests.support.scripted_teacher import ScriptedTeacher


def words(seed: object, count: int) -> str:
    """Words that no other text has."""
    chosen = random.Random(str(seed))
    return " ".join("".join(chosen.choices("abdegiklmnoprstu", k=6)) for _ in range(count))


def page(number: int, sections: int = 1) -> str:
    """A Markdown page with a passage a section."""
    parts = [
        f"# Page {number}.{section}\n\n"
        + "\n\n".join(f"{words((number, section, line), 14).capitalize()}." for line in range(9))
        for section in range(sections)
    ]
    return "\n\n".join(parts)


@pytest.fixture
def launch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(asker, "PAUSES", (0.01,))
    project = tmp_path / "project"
    (project / "docs").mkdir(parents=True)
    return Settings(project, tmp_path / "home", tmp_path / "data", tmp_path / "cache")


def write_pages(launch: Settings, count: int) -> None:
    for number in range(count):
        (launch.project / "docs" / f"page-{number:02}.md").write_text(page(number))


def options(wise: ScriptedTeacher, **more: Any) -> MakingOptions:
    given = {"kind": "qa", "teacher": wise.url, "model": "wise", "paths": ["docs"], "name": "pages"}
    return cast("MakingOptions", {**given, **more})


async def make(launch: Settings, given: MakingOptions, environ: dict[str, str] | None = None) -> Making:
    async with start.opened(given, launch, environ or {}) as (maker, run):
        await run()
        done: Making = maker.as_wire()
        return done


def rows(launch: Settings, name: str = "pages") -> list[Any]:
    path = launch.project / "data" / "made" / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


async def test_rows_carry_provenance_and_invented_quotes_are_dropped(launch: Settings) -> None:
    """Every way a teacher can go wrong, at once: no invented quote is in a row, and each drop is counted."""
    write_pages(launch, 12)

    def script(number: int, body: dict[str, Any]) -> Said:
        found = sentences(passage_of(body))
        lies = f"It is written that {words(number, 8)}."
        item = right(body).rows[0]  # type: ignore[index]
        return {
            0: Said([{**item, "quote": lies}, item]),
            1: Said([{**item, "quote": found[1].upper()}]),  # only white space may differ
            2: Said([{**item, "quote": found[1].replace(" ", "\n  ")}]),
            3: Said([{**item, "quote": "The"}, "text", {**item, "quote": None}, {"question": "Why?"}]),
            4: Said(text="I cannot do that."),
            5: Said(text=f"Here: ```json\n{json.dumps({'rows': [item]})}\n``` and done"),
            6: Said(text=json.dumps({"rows": [item, item]})[:-9]),
            7: Said([item, item, {**item, "question": item["question"].upper()}]),
            8: Said([{**item, "answer": ""}, {**item, "answer": "\ud800"}]),
            9: Said(text="\ud800"),
        }.get(number, right(body))

    with scripted(script) as wise:
        done = await make(launch, options(wise))
        # Two answers have no rows that can be read.
        assert (done["state"], done["done"], done["passages"]) == ("done", 10, 12)
        assert wise.most_at_once <= client.AT_ONCE
    made = rows(launch)
    sources = {f"docs/page-{n:02}.md": page(n) for n in range(12)}
    assert all(occurs(row["made"]["quote"], sources[row["made"]["source"]]) for row in made)
    # 2 that are right; 0, 2, 5, 6 and 7 have one right item each.
    assert len(made) == done["rows"] == 7
    assert done["dropped"] == {"quote": 4, "unreadable": 5, "duplicate": 2}
    row = made[0]
    assert row["messages"][0]["role"] == "user"
    assert row["document"] == row["made"]["source"]
    assert {key: row["made"][key] for key in ("kind", "by", "host")} == {
        "kind": "qa",
        "by": "wise",
        "host": re.sub(r"http://|/v1", "", wise.url),
    }
    # Each is marked as made, so that it trains only when it is accepted.
    reviews = read_reviews(launch.project)
    lines = (launch.project / done["file"]).read_bytes().splitlines()
    known = [reviews.of(row_hash(line)) for line in lines]
    assert all(one is not None and one.made and one.verdict is None for one in known)
    left_out = selection(reviews, "")
    assert left_out is not None
    assert all(left_out.leaves_out(row_hash(line)) for line in lines)
    assert set(row["made"]) == {
        "kind", "by", "host", "source", "origin", "quote", "prompt", "request", "item",
    }  # fmt: skip


@pytest.mark.parametrize("counted", [True, False])
async def test_the_token_budget_is_never_exceeded(launch: Settings, counted: bool) -> None:
    """The most that a teacher may charge for the requests that it got is never above the budget."""
    write_pages(launch, 12)
    charges: list[int] = []
    cut_off: list[str] = []

    def script(number: int, body: dict[str, Any]) -> Said:
        request = TeacherRequest("", body["messages"], body["response_format"]["json_schema"]["schema"], 0, 0)
        usage = {"prompt_tokens": request.most_input(), "completion_tokens": body["max_tokens"]}
        charges.append(sum(usage.values()))
        answer = right(body)
        answer.usage = usage if counted else None
        answer.text, answer.rows = json.dumps({"rows": answer.rows}) + " " * 5000, None
        answer.cut = number == 1  # what was cut off may have been charged
        cut_off.extend([body["messages"][-1]["content"]] if answer.cut else [])
        return answer

    with scripted(script) as wise:
        first = start.load_tasks(options(wise), launch.project)
        (task, *_), _ = await first
        one = task.request.most_input() + task.request.max_tokens
        budget = 5 * one + 40
        done = await make(launch, options(wise, budgetTokens=budget))
        assert done["state"] == "budget"
        charged = sum(charges)
        assert budget - one - 100 < charged == done["inputTokens"] + done["outputTokens"] <= budget
        assert len(rows(launch)) == len(wise.bodies) - 1 == done["requests"] - 1 == 4
        # A larger one continues from there.
        more = await make(launch, options(wise, budgetTokens=budget, budgetRequests=7))
        assert (more["state"], len(wise.bodies)) == ("budget", 5)
        more = await make(launch, options(wise, budgetRequests=7))
        assert (more["state"], more["requests"], len(wise.bodies)) == ("budget", 7, 7)
        price = {"price": [1.0, 10.0], "budgetMoney": 0.1}
        more = await make(launch, options(wise, **price))
        assert more["state"] == "budget"
        assert 0.08 < more["money"] <= 0.1
    repeated = [text for text, times in Counter(wise.asked()).items() if times > 1]
    assert set(repeated) <= set(cut_off)  # unless the budget ended before it came again


async def test_stored_answers_are_reused(launch: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    write_pages(launch, 6)
    pause: list[Callable[[], object]] = []

    def script(number: int, body: dict[str, Any]) -> Said:
        if number == 1:
            pause[0]()
        return right(body)

    monkeypatch.setattr(client.HttpTeacher, "at_once", 1)
    with scripted(script) as wise:
        async with start.opened(options(wise), launch, {}) as (maker, run):
            loop = asyncio.get_running_loop()
            pause.append(lambda: loop.call_soon_threadsafe(maker.pause))
            await run()
            paused = maker.as_wire()
        assert (paused["state"], paused["rows"]) == ("paused", 2)  # what was under way is answered
        found = await start.estimate(options(wise), launch)
        assert (found["passages"], found["requests"]) == (6, 6 - len(wise.bodies))
        assert (await make(launch, options(wise)))["rows"] == 6
        assert len(rows(launch)) == len(wise.bodies) == 6
        # Another making has the answers, but its rows would repeat nothing of its own file.
        again = await make(launch, options(wise, name="again"))
        assert (again["kept"], again["rows"], again["requests"], len(wise.bodies)) == (6, 6, 0, 6)
        # A row that a person has deleted does not come back, and a line that was cut off does no harm.
        path = launch.project / "data" / "made" / "pages.jsonl"
        path.write_text("\n".join(path.read_text().splitlines()[1:]) + '\n{"messages": [{"ro')
        (launch.project / "docs" / "page-99.md").write_text(page(99))
        assert (await make(launch, options(wise)))["rows"] == 6
        assert len(rows(launch)) == 6


async def test_an_unreadable_answer_is_requested_again(launch: Settings) -> None:
    write_pages(launch, 1)
    answers = [Said(text="I cannot do that.")]
    with scripted(lambda _, body: answers.pop() if answers else right(body)) as wise:
        done = await make(launch, options(wise))
        assert (done["done"], done["rows"], done["dropped"]) == (0, 0, {"unreadable": 1})
        assert (await start.estimate(options(wise), launch))["requests"] == 1
        done = await make(launch, options(wise))
        assert (done["done"], done["rows"], len(wise.bodies)) == (1, 1, 2)


async def test_an_unreachable_teacher_is_named(launch: Settings) -> None:
    write_pages(launch, 1)
    with scripted(lambda _, body: right(body)) as wise:
        given = options(wise)
    done = await make(launch, given)
    assert "cannot be reached (connection refused), 6 times" in (done["error"] or "")


async def test_temporary_errors_are_retried_and_permanent_ones_reported(
    launch: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pages(launch, 3)
    seen: list[float] = []

    def script(number: int, body: dict[str, Any]) -> Said:
        seen.append(time.monotonic())
        wait = {"Retry-After": "0.3"}
        return {0: Said(status=429, headers=wait), 1: Said(status=503), 2: Said(status=500)}.get(
            number, right(body)
        )

    monkeypatch.setattr(client.HttpTeacher, "at_once", 1)
    with scripted(script) as wise:
        done = await make(launch, options(wise))
        assert (done["state"], done["rows"], done["requests"]) == ("done", 3, 6)
        assert seen[1] - seen[0] >= 0.3
        # A refused request costs no tokens; of one that failed it is not known.
        assert done["outputTokens"] == 1000 + 3 * 100

    async def fails(answer: Said, environ: dict[str, str] | None = None, **more: Any) -> str:
        with scripted(lambda _, __: answer) as wise:
            done = await make(launch, options(wise, name="other", **more), environ)
            assert done["state"] == "failed"
            if environ:
                assert wise.keys[0] == "Bearer sk-secret"
            return done["error"] or ""

    key = {"keyEnv": "TEACHER_KEY"}
    said = await fails(Said(status=401, text="bad key sk-secret"), {"TEACHER_KEY": "sk-secret"}, **key)
    assert "refuses the request (401: bad key …). Check the key's environment variable" in said
    cut_within_the_key = "x" * 280 + " sk-secret-of-forty-characters-abcdefghijk"
    environ = {"TEACHER_KEY": "sk-secret-of-forty-characters-abcdefghijk"}
    with scripted(lambda _, __: Said(status=401, text=cut_within_the_key)) as wise:
        done = await make(launch, options(wise, name="cut", **key), environ)
        assert "sk-" not in (done["error"] or "sk-")
    said = await fails(Said(status=429, headers={"Retry-After": "7200"}))
    assert "asks to wait (429): for 120 minutes" in said
    assert "asks to wait" in await fails(Said(status=429, headers={"Retry-After": "inf"}))
    assert "failed (500), 6 times" in await fails(Said(status=500))
    assert "insufficient_quota" in await fails(Said(status=429, text="insufficient_quota"))
    with pytest.raises(BadRequestError, match="TEACHER_KEY is not set"):
        await make(launch, {**options(wise), "keyEnv": "TEACHER_KEY"})
    found = b"".join(path.read_bytes() for path in launch.local_data.iterdir())
    assert b"sk-secret" not in found


async def test_unsupported_request_parameters_are_left_out(launch: Settings) -> None:
    """What a server does not know is left out of all further requests."""
    write_pages(launch, 3)

    def script(_: int, body: dict[str, Any]) -> Said:
        if "max_tokens" in body:
            return Said(status=400, text="Use max_completion_tokens instead")
        if "temperature" in body:
            return Said(status=400, text="temperature must be 1")
        if "response_format" in body:
            return Said(status=422, text="unknown field")
        return right(body)

    with scripted(script) as wise:
        done = await make(launch, options(wise))
        assert (done["state"], done["rows"]) == ("done", 3)
        assert set(wise.bodies[-1]) == {"model", "messages", "max_completion_tokens", "stream"}


async def test_held_out_copies_and_near_duplicates_are_dropped(launch: Settings) -> None:
    write_pages(launch, 3)
    texts = [sentences(page(n).partition("\n\n")[2]) for n in range(3)]
    held_out = {"prompt": "What does the second sentence say?", "completion": texts[0][1]}
    trained = {"prompt": "Tell me of it.", "completion": " ".join(texts[1][:4])}
    for name, row in (("eval", held_out), ("train", trained)):
        (launch.project / f"{name}.jsonl").write_text(json.dumps(row) + "\n")
    (launch.project / "arkor.toml").write_text(
        '[[trainer]]\nname = "a"\nmodel = "./m"\ndataset = "train.jsonl"\neval_dataset = "eval.jsonl"\n'
    )

    def script(_: int, body: dict[str, Any]) -> Said:
        found = sentences(passage_of(body))
        base = {"quote": found[0]}
        if texts[0][0] in found[0]:
            return Said([{**base, "question": "what does the  SECOND sentence say?", "answer": "This."}])
        if texts[1][0] in found[0]:
            return Said([{**base, "question": "Tell me of it now.", "answer": " ".join(texts[1][:4])}])
        return right(body)

    with scripted(script) as wise:
        done = await make(launch, options(wise))
    assert done["dropped"] == {"held-out": 1, "duplicate": 1}
    assert len(rows(launch)) == 1


async def test_summaries_rewrites_and_extractions_are_made(launch: Settings) -> None:
    write_pages(launch, 1)
    quote = sentences(page(0).partition("\n\n")[2])[2]
    schema = {"type": "object", "properties": {"year": {"type": "integer"}}, "required": ["year"]}
    answers: dict[str, list[Any]] = {
        "summary": [{"summary": "All of it.", "quote": quote}, {"summary": "More.", "quote": quote}],
        "rewrite": [{"rewritten": "Arr!", "quote": quote}],
        "extract": [{"data": {"year": 1980}, "quote": quote}],
    }
    with scripted(lambda _, __: Said(answers[kind])) as wise:
        kind = "summary"
        await make(launch, options(wise, kind=kind))
        kind = "rewrite"
        await make(launch, options(wise, kind=kind, voice="a pirate"))
        kind = "extract"
        await make(launch, options(wise, kind=kind, schema=schema))
        summary, rewritten, extracted = (row["messages"] for row in rows(launch))
        assert summary[0]["content"].startswith("Summarize this text:\n\n")
        assert rewritten[0]["content"] == f"Rewrite in this voice: a pirate\n\n{quote}"
        assert json.loads(extracted[1]["content"]) == {"year": 1980}
        answers["extract"] = [{"data": {"year": "soon"}, "quote": quote}]
        done = await make(launch, options(wise, kind=kind, schema={**schema, "title": "Other"}))
        assert done["dropped"] == {"schema": 1}
        for wrong, why in (
            ({"kind": "poem"}, "not a kind"),
            ({"kind": "rewrite"}, "needs a voice"),
            ({"kind": "extract", "schema": {"type": "object", "pattern": "(a+)+"}}, "has 'pattern'"),
            ({"paths": []}, "Name a folder"),
            ({"paths": ["nowhere"]}, "does not exist"),
            ({"teacher": "ftp://x"}, "not a teacher's address"),
            ({"teacher": "http://8.8.8.8/v1", "keyEnv": "K"}, "in clear text"),
            ({"teacher": "http://me:pw@localhost/v1"}, "no user name"),
            ({"name": "../up"}, "A name has"),
            ({"budgetMoney": 1.0}, "needs the price"),
        ):
            with pytest.raises(BadRequestError, match=why):
                await make(launch, options(wise, **wrong), {"K": "k"})


async def test_variations_and_answers_are_made(launch: Settings) -> None:
    chat = {"messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": words(1, 9)},
                         {"role": "assistant", "content": words(2, 9)}]}  # fmt: skip
    lines = [chat, {"prompt": "Who are you?"}, {"prompt": "And what is this?", "completion": "A test."}]
    (launch.project / "some.jsonl").write_text("\n".join(map(json.dumps, lines)))

    def script(_: int, body: dict[str, Any]) -> Said:
        if "question" not in json.dumps(body["response_format"]):
            return Said([{"answer": "I am a test."}])
        same = json.loads(body["messages"][1]["content"])
        return Said([same, {"question": words(3, 9), "answer": words(4, 9)}, {"question": 1}])

    with scripted(script) as wise:
        given = options(wise, kind="variations", of="some.jsonl", rows=[1])
        (launch.project / "arkor.toml").write_text(
            '[[trainer]]\nname = "a"\nmodel = "./m"\ndataset = "some.jsonl"\n'
        )
        done = await make(launch, given)
        assert done["dropped"] == {"duplicate": 1, "unreadable": 1}
        (row,) = rows(launch)
        assert row["messages"][0] == {"role": "system", "content": "Be kind."}
        assert (row["made"]["source"], "quote" in row["made"]) == ("some.jsonl, line 1", False)
        # Rows of a trainer's data are counted as on the Data page.
        given = options(wise, kind="answers", trainer="a", name="answers")
        done = await make(launch, given)
        assert [row["messages"][-1]["content"] for row in rows(launch, "answers")] == ["I am a test."]
        assert len(done["leftOut"]) == 2
        with pytest.raises(BadRequestError, match="has no row 9"):
            await make(launch, {**given, "rows": [2, 9]})
        with pytest.raises(BadRequestError, match="outside the project"):
            await make(launch, {**given, "of": "../up.jsonl"})
        with pytest.raises(BadRequestError, match="has no trainer"):
            await make(launch, {**given, "trainer": "b"})


def test_a_killed_command_repeats_no_request(
    launch: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kill -9 at any moment: the next call asks only for what was under way, and adds no row twice."""
    write_pages(launch, 10)
    monkeypatch.chdir(launch.project)
    home = tmp_path / "home"
    home.mkdir()
    argv = ["data", "make", "docs", "--project", str(launch.project)]
    environ = {"HOME": str(home), "PATH": "/usr/bin:/bin"}

    def script(number: int, body: dict[str, Any]) -> Said:
        answer = right(body)
        answer.slow = 60 if number == 5 else 0  # until it is killed
        return answer

    with scripted(script) as wise:
        argv += ["--teacher", wise.url, "--model", "wise", "--name", "pages", "--json"]
        process = open_command(*argv, env=environ)
        path = launch.project / "data" / "made" / "pages.jsonl"
        until = time.monotonic() + 60
        while not path.exists() or path.read_bytes().count(b"\n") < 7:
            assert time.monotonic() < until
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        before = {row["made"]["source"] for row in rows(launch)}
        told = json.loads(open_command(*argv, env=environ).communicate()[0])
        asked = [text.split()[1] for text in wise.asked()]  # Document: docs/…
        twice = {source for source in asked if asked.count(source) > 1}
        kept = {row["made"]["source"] for row in rows(launch)}
        assert twice  # at least the slow one, which was under way
        assert not twice & before
        assert (told["state"], len(rows(launch)), len(kept)) == ("done", 10, 10)
        # What was under way when it was killed counts in full.
        assert len(wise.bodies) <= told["requests"] <= len(wise.bodies) + client.AT_ONCE
        assert told["outputTokens"] >= 10 * 100 + 1000
    assert replace(launch, home=home).project == launch.project


def test_most_input_is_an_upper_bound_of_prompt_tokens() -> None:
    """No tokenizer makes more tokens of a text than it has bytes; templates add a few to each message."""
    request = TeacherRequest("m", [{"role": "user", "content": "ä" * 100}], {}, 10, 0)
    assert request.most_input() >= 200 + 64


def test_ctrl_c_pauses_and_the_same_command_resumes(
    launch: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pages(launch, 8)
    monkeypatch.chdir(launch.project)
    home = tmp_path / "home"
    home.mkdir()
    argv = ["data", "make", "docs", "--project", str(launch.project)]
    started: SimpleQueue[int] = SimpleQueue()

    def script(number: int, body: dict[str, Any]) -> Said:
        answer = right(body)
        if number == 0:
            os.kill(started.get(timeout=60), signal.SIGINT)
        answer.slow = 1.0 if number < 4 else 0  # all that are under way at once
        return answer

    with scripted(script) as wise:
        argv += ["--teacher", wise.url, "--model", "wise", "--name", "pages", "--budget-requests", "7"]
        environ = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
        process = open_command(*argv, env=environ)
        started.put(process.pid)
        said = process.communicate()[0].decode()
        assert process.returncode == 4
        assert said.splitlines()[0].startswith("Finishing the requests under way.")
        assert said.splitlines()[-1].startswith("Paused. Run the same command again")
        assert len(rows(launch)) == len(wise.bodies) < 8
        process = open_command(*argv, env=environ)
        assert b"Stopped: the next request could exceed the budget." in process.communicate()[0]
        assert (process.returncode, len(rows(launch))) == (4, 7)
        assert len(set(wise.asked())) == len(wise.bodies) == 7
