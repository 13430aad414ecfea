"""``/api/data``: rows of the project's files, edited in place."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.studio import Studio

TOML = '[[trainer]]\nname = "bot"\nmodel = "m"\ndataset = "d.jsonl"\n'
LINES = '{"prompt": "a", "completion": "b"}\n{"prompt": "c", "completion": "d"}\n'


async def call(studio: Studio, method: str, path: str, body: object = None) -> tuple[int, Any]:
    async with studio.session.request(method, f"/api/data{path}", json=body) as answer:
        return answer.status, await answer.json()


async def test_a_row_is_read_changed_and_undone(studio: Studio) -> None:
    project = studio.settings.project
    (project / "arkor.toml").write_text(TOML)
    (project / "d.jsonl").write_text(LINES)
    status, row = await call(studio, "GET", "/row?trainer=bot&row=2")
    assert (status, row["record"]) == (200, {"prompt": "c", "completion": "d"})
    change = {"source": row["source"], "entry": row["entry"], "record": {"prompt": "c", "completion": "e"}}
    ask = {"trainer": "bot", "changes": [change]}
    status, done = await call(studio, "POST", "/rows", ask)
    assert (status, done["rows"], done["files"]) == (200, 1, ["d.jsonl"])
    assert (project / "d.jsonl").read_text() == LINES.replace('"d"', '"e"')
    status, answer = await call(studio, "POST", "/rows", ask)
    assert status == 409
    assert "changed on disk" in answer["error"]
    assert (await call(studio, "POST", "/undo", {"undo": done["undo"]}))[0] == 200
    assert (project / "d.jsonl").read_text() == LINES
    assert (await call(studio, "POST", "/undo", {"undo": done["undo"]}))[0] == 409
    parts = {
        **change,
        "record": {"prompt": "c", "completion": ""},
        "after": [{"prompt": "", "completion": "d"}],
    }
    assert (await call(studio, "POST", "/rows", {"trainer": "bot", "changes": [parts]}))[0] == 200
    assert (project / "d.jsonl").read_text().count("\n") == 3
    for wrong in ({"after": [{}], "text": "{}"}, {"record": {}, "into": row["entry"]}):
        ask = {"trainer": "bot", "changes": [{"source": 0, "entry": row["entry"], **wrong}]}
        assert (await call(studio, "POST", "/rows", ask))[0] == 400


async def test_a_gzip_file_is_copied_before_editing(studio: Studio) -> None:
    project = studio.settings.project
    (project / "arkor.toml").write_text(TOML.replace("d.jsonl", "d.jsonl.gz") + "# kept\n")
    packed = gzip.compress(LINES.encode())
    (project / "d.jsonl.gz").write_bytes(packed)
    _, row = await call(studio, "GET", "/row?trainer=bot&row=2")
    assert (row["packed"], row["record"], row["entry"]) == ("gzip", None, "")
    async with studio.session.get("/api/manifest") as answer:
        ask = {"trainer": "bot", "revision": (await answer.json())["revision"], "source": 0}
    assert (await call(studio, "POST", "/unpack", {**ask, "revision": "x"}))[0] == 409
    assert list((project / "data").iterdir()) == []
    status, done = await call(studio, "POST", "/unpack", ask)
    assert status == 200
    assert '+dataset = "data/d.jsonl"' in done["diff"]
    assert (project / "arkor.toml").read_text() == TOML.replace("d.jsonl", "data/d.jsonl") + "# kept\n"
    assert ((project / "data" / "d.jsonl").read_text(), (project / "d.jsonl.gz").read_bytes()) == (
        LINES,
        packed,
    )
    _, row = await call(studio, "GET", "/row?trainer=bot&row=2")
    assert row["record"] == {"prompt": "c", "completion": "d"}
    again = {**ask, "revision": done["revision"]}
    assert (await call(studio, "POST", "/unpack", again))[0] == 400, "it is not packed"


async def test_invalid_row_requests_are_refused(studio: Studio) -> None:
    (studio.settings.project / "arkor.toml").write_text(TOML)
    (studio.settings.project / "d.jsonl").write_text(LINES)
    for query in ("", "?row=0", "?row=x&trainer=bot", "?row=1&trainer=other"):
        assert (await call(studio, "GET", f"/row{query}"))[0] in (400, 409)
    assert (await call(studio, "GET", "/row?trainer=bot&row=3"))[0] == 404
    good = {"source": 0, "entry": "0" * 16, "delete": True}
    bad: list[dict[str, Any]] = [
        {"source": -1}, {"entry": "x"}, {"delete": False}, {"text": "{}"}, {"insert": True}, {"record": []},
    ]  # fmt: skip
    for change in bad:
        body = {"trainer": "bot", "changes": [{**good, **change}]}
        status, answer = await call(studio, "POST", "/rows", body)
        assert (status, bool(answer["error"])) == (400, True), change
    for path in ("/rows", "/undo"):
        async with studio.stranger.post(f"/api/data{path}", json={}) as refused:
            assert refused.status == 403
    assert (studio.settings.project / "d.jsonl").read_text() == LINES


async def test_a_hub_row_names_the_copy_command(studio: Studio) -> None:
    source = '{ huggingface = "acme/chats", split = "test" }'
    (studio.settings.project / "arkor.toml").write_text(TOML.replace('"d.jsonl"', source))
    script = (
        'from datasets import load_dataset; load_dataset("acme/chats", split="test")'
        '.to_json("data/chats.jsonl")'
    )
    for path in ("/row", "/reviews/row"):
        status, answer = await call(studio, "GET", f"{path}?trainer=bot&row=1")
        assert status == 404
        assert f"python -c '{script}'" in answer["error"]
    # It can be judged as it is: the page knows its hash from the backend.
    entry = f"{7:016x}"
    judged = {"row": entry, "file": "acme/chats", "by": "Ann", "verdict": "accepted"}
    assert await call(studio, "POST", "/reviews", judged) == (200, {})
    status, answer = await call(studio, "GET", f"/reviews/row?trainer=bot&row=1&entry={entry}%232")
    assert (status, answer["hash"], answer["verdict"], answer["file"]) == (
        200,
        entry,
        "accepted",
        "acme/chats",
    )
    assert (await call(studio, "GET", "/reviews/row?trainer=bot&row=1&entry=x"))[0] == 400


async def test_an_invalid_trainer_name_is_refused(studio: Studio) -> None:
    (studio.settings.project / "arkor.toml").write_text(TOML)
    (studio.settings.project / "d.jsonl").write_text(LINES)
    async with studio.session.get("/api/manifest/data?trainer=%00") as answer:
        assert (answer.status, "not valid text" in (await answer.json())["error"]) == (400, True)
    status, refused = await call(studio, "POST", "/fixes", {"trainer": "\0"})
    assert (status, "not valid text" in refused["error"]) == (400, True)
