"""``/api/corrections``: answers as they should have been, written into the project."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.support.studio import Studio

MESSAGES = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Where?"},
    {"role": "assistant", "content": "Here."},
]
TOML = '[[trainer]]\nname = "bot"\nmodel = "m"\ndataset = "data/a.jsonl"\n'


async def call(studio: Studio, method: str, path: str = "", body: object = None) -> tuple[int, Any]:
    async with studio.session.request(method, f"/api/corrections{path}", json=body) as answer:
        assert answer.content_type == "application/json"
        return answer.status, await answer.json()


async def test_a_correction_is_added_listed_and_undone(studio: Studio) -> None:
    project = studio.settings.project
    empty = {"file": "data/corrections.jsonl", "rows": [], "older": 0, "trainers": []}
    assert await call(studio, "GET") == (200, empty)
    (project / "data").mkdir()
    (project / "data" / "a.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    (project / "arkor.toml").write_text(TOML)
    status, added = await call(studio, "POST", "", {"messages": MESSAGES, "instead": "There.", "by": "bot"})
    assert (status, added["line"]) == (200, 1)
    (line,) = (project / "data" / "corrections.jsonl").read_text().splitlines()
    assert json.loads(line)["messages"] == MESSAGES
    _, found = await call(studio, "GET")
    assert found["trainers"] == [{"name": "bot", "listed": False}]
    assert found["rows"][0]["messages"] == MESSAGES
    assert found["rows"][0]["instead"] == "There."
    status, again = await call(studio, "POST", "", {"messages": MESSAGES})
    assert (status, again["line"]) == (409, 1)
    ask = {"trainer": "bot", "revision": found["revision"]}
    status, shown = await call(studio, "POST", "/dataset", {**ask, "preview": True})
    assert status == 200
    assert '+dataset = ["data/a.jsonl", "data/corrections.jsonl"]' in shown["diff"]
    assert (project / "arkor.toml").read_text() == TOML
    assert (await call(studio, "POST", "/dataset", ask))[0] == 200
    assert (await call(studio, "POST", "/dataset", ask))[0] == 409, "the revision is another by now"
    assert (await call(studio, "GET"))[1]["trainers"] == [{"name": "bot", "listed": True}]
    assert await call(studio, "POST", "/undo", {"undo": added["undo"]}) == (200, {})
    assert (await call(studio, "POST", "/undo", {"undo": added["undo"]}))[0] == 409


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"messages": []},
        {"messages": MESSAGES[-1:]},
        {"messages": MESSAGES[:2]},
        {"messages": [*MESSAGES[:2], {"role": "assistant", "content": " \n"}]},
        {"messages": [MESSAGES[0], MESSAGES[2]]},
        {"messages": [MESSAGES[1], {"role": "assistant"}]},
        {"messages": [MESSAGES[1], {"role": "assistant", "content": 5}]},
        {"messages": [{"role": "tool", "content": "x"}, *MESSAGES[1:]]},
        {"messages": MESSAGES[1:] * 101},
        {"messages": MESSAGES, "by": "x" * 301},
        {"messages": MESSAGES, "instead": 5},
        {"messages": [MESSAGES[1], {"role": "assistant", "content": "x" * 300_000}]},
    ],
    ids=lambda body: str(body)[:60],
)
async def test_invalid_corrections_are_refused(studio: Studio, body: dict[str, Any]) -> None:
    status, answer = await call(studio, "POST", "", body)
    assert status in (400, 413)
    assert answer["error"]
    assert not (studio.settings.project / "data" / "corrections.jsonl").exists()


async def test_a_lone_surrogate_in_a_body_is_refused(studio: Studio) -> None:
    body = b'{"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "\\ud800"}]}'
    async with studio.session.post("/api/corrections", data=body) as answer:
        assert answer.status == 400


async def test_corrections_work_with_an_unreadable_arkor_toml(studio: Studio) -> None:
    (studio.settings.project / "arkor.toml").write_text("[[[")
    assert (await call(studio, "POST", "", {"messages": MESSAGES}))[0] == 200
    _, found = await call(studio, "GET")
    assert (len(found["rows"]), found["trainers"]) == (1, [])
    status, answer = await call(studio, "POST", "/dataset", {"trainer": "x", "revision": "y"})
    assert (status, bool(answer["error"])) == (409, True)


async def test_corrections_need_the_studio_token(studio: Studio) -> None:
    for path in ("", "/undo", "/dataset"):
        async with studio.stranger.post(f"/api/corrections{path}", json={"messages": MESSAGES}) as answer:
            assert answer.status == 403
    assert not (studio.settings.project / "data").exists()
