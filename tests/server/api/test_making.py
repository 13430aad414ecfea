"""``/api/making``: documents dropped on the page become rows, and the teacher's key stays with Studio."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from tests.making.test_making import page
from tests.support.scripted_teacher import Said, right, scripted

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from arkor_dev.core.settings import Settings
    from tests.support.studio import Studio

KEY = "sk-of-the-teacher"


async def call(studio: Studio, method: str, path: str = "", body: object = None) -> tuple[int, Any]:
    async with studio.session.request(method, f"/api/making{path}", json=body) as answer:
        return answer.status, await answer.json()


async def ended(studio: Studio) -> Any:
    async with asyncio.timeout(60):
        while True:
            _, found = await call(studio, "GET")
            if found["current"]["state"] not in ("reading", "running", "pausing"):
                return found
            await asyncio.sleep(0.02)


async def test_uploaded_documents_become_rows_across_a_pause(
    studio: Studio, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", KEY)
    assert await call(studio, "GET") == (200, {"current": None, "known": [], "model": None})
    paths = []
    for number in range(4):
        data = page(number).encode()
        async with studio.session.post(f"/api/making/documents?name=Page {number}.md", data=data) as answer:
            paths.append((await answer.json())["path"])
    assert paths[0] == "documents/page-0.md"
    hold = asyncio.Event()
    loop = asyncio.get_running_loop()
    reached: list[Callable[[], object]] = [lambda: loop.call_soon_threadsafe(hold.set)]

    def script(number: int, body: dict[str, Any]) -> Said:
        if number == 0:
            reached[0]()
        answer = right(body)
        answer.slow = 0.3
        return answer

    with scripted(script) as wise:
        options: dict[str, Any] = {
            "kind": "qa",
            "teacher": wise.url,
            "model": "wise",
            "paths": paths,
            "name": "dropped",
        }
        options |= {"keyEnv": "SOME_API_KEY", "price": [1, 2], "budgetMoney": 5}
        _, estimate = await call(studio, "POST", "/estimate", options)
        assert (estimate["documents"], estimate["passages"], estimate["requests"]) == (4, 4, 4)
        assert 0 < estimate["money"] < 5
        assert not wise.bodies
        status, begun = await call(studio, "POST", "", options)
        assert (status, begun["file"]) == (200, "data/made/dropped.jsonl")
        await hold.wait()
        assert (await call(studio, "POST", "", options))[0] == 409
        await call(studio, "POST", "/pause")
        found = await ended(studio)
        assert found["current"]["state"] in ("paused", "done")  # all four may have been under way
        (known,) = found["known"]
        assert known["options"] == options
        await call(studio, "POST", "", known["options"])
        found = await ended(studio)
        assert (found["current"]["state"], found["current"]["rows"]) == ("done", 4)
        assert set(wise.keys) == {f"Bearer {KEY}"}
        assert KEY not in json.dumps(found)
        (settings.project / "own.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
        (settings.project / "arkor.toml").write_text(
            '[[trainer]]\nname = "a"\nmodel = "./m"\ndataset = "own.jsonl"\n'
        )
        async with studio.session.get("/api/manifest") as answer:
            revision = (await answer.json())["revision"]
        chosen = {"trainer": "a", "revision": revision, "file": begun["file"], "preview": True}
        _, written = await call(studio, "POST", "/dataset", chosen)
        assert "data/made/dropped.jsonl" in written.get("diff", ""), written
        assert (await call(studio, "POST", "/dataset", {**chosen, "file": "data/x.jsonl"}))[0] == 400
    assert len(wise.bodies) == 4
    reviews = (settings.project / "data" / "reviews.jsonl").read_text().splitlines()
    assert [json.loads(line)["made"]["by"] for line in reviews] == ["wise"] * 4


async def test_teacher_models_are_listed_without_the_api_key(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", KEY)
    with scripted(lambda _, body: right(body)) as wise:
        hostile = [{"id": f"x{KEY}"}, {"id": "a\x1bb"}, {"id": 7}, "text", {"id": "n" * 500}]
        wise.models = [{"id": "wise"}, *hostile, {"id": "wise"}, {"id": "small"}]
        asked = {"teacher": wise.url, "keyEnv": "SOME_API_KEY"}
        assert await call(studio, "POST", "/models", asked) == (200, {"models": ["wise", "small"]})
        assert wise.keys == [f"Bearer {KEY}"]
        wise.models = hostile[1:]
        status, answer = await call(studio, "POST", "/models", {"teacher": wise.url})
        assert (status, "lists no models. Name one." in answer["error"]) == (400, True)
    status, answer = await call(studio, "POST", "/models", {"teacher": wise.url})
    assert (status, "cannot be reached (connection refused)" in answer["error"]) == (400, True)
    status, answer = await call(studio, "POST", "/models", {**asked, "keyEnv": "HOME"})
    assert (status, "whose name ends with API_KEY" in answer["error"]) == (400, True)


async def test_making_errors_are_reported(
    studio: Studio, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_SECRET", KEY)
    (settings.project / "a.md").write_text("Too short.")
    given = {"kind": "qa", "teacher": "http://127.0.0.1:9/v1", "model": "wise", "paths": ["a.md"]}
    for wrong, why in (
        ({"kind": "poem"}, "not a kind"),
        ({"paths": ["/etc/hostname"]}, "outside the project"),
        ({"paths": ["../up.md"]}, "outside the project"),
        ({"keyEnv": "SOME_SECRET"}, "whose name ends with API_KEY"),
        ({"keyEnv": "SOME_API_KEY"}, "SOME_API_KEY is not set"),
        ({"teacher": "base"}, "no trainer"),
        ({"budgetTokens": 0}, "budgetTokens"),
    ):
        body = {**given, **wrong} if wrong != {"teacher": "base"} else {**given, **wrong, "model": ""}
        status, answer = await call(studio, "POST", "", body)
        assert (status, why in answer["error"]) == (400, True), answer
        assert KEY not in answer["error"]
    status, _ = await call(studio, "POST", "", {**given, "key": KEY})  # unknown: neither read nor kept
    assert status == 200
    found = await ended(studio)
    assert "no passage that is long enough" in found["current"]["error"]
    assert found["known"][0]["options"] == given
    for name in ("a.exe", "a.jsonl", ".md", "a.md.gz"):
        async with studio.session.post(f"/api/making/documents?name={name}", data=b"x") as answer:
            assert answer.status == 400
    assert not (settings.project / "documents").exists()
