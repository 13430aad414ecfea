"""``/api/manifest``: what can be trained, and settings that are written into its file."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.server.app_keys import WATCH
from tests.project.test_training_command import TOML

if TYPE_CHECKING:
    from tests.support.studio import Studio


async def test_the_manifest_reflects_arkor_toml(studio: Studio) -> None:
    async with studio.session.get("/api/manifest") as answer:
        assert await answer.json() == {"trainer": None, "trainers": []}
    toml = studio.settings.project / "arkor.toml"
    toml.write_text(TOML)
    async with studio.session.get("/api/manifest") as answer:
        manifest = await answer.json()
    assert manifest["trainer"] == {"name": "first"}
    assert [trainer["name"] for trainer in manifest["trainers"]] == ["first"]
    toml.write_text(TOML + "steps = ")
    async with studio.session.get("/api/manifest") as answer:
        assert answer.status == 400
        assert "arkor.toml:5" in (await answer.json())["error"]


async def test_a_file_that_an_editor_has_emptied_is_read_once_it_is_written(studio: Studio) -> None:
    toml = studio.settings.project / "arkor.toml"
    toml.write_text("")
    reading = asyncio.create_task(studio.session.get("/api/manifest").__aenter__())
    await asyncio.sleep(0.05)
    toml.write_text(TOML)
    answer = await reading
    assert (answer.status, (await answer.json())["trainer"]) == (200, {"name": "first"})
    answer.release()


async def test_an_invalid_trainer_does_not_affect_the_others(studio: Studio) -> None:
    project = studio.settings.project
    (project / "empty.jsonl").write_text("\n")
    text = TOML + TOML.replace("first", "second") + "steps = 0\n"
    text += '[[trainer]]\nname = "third"\nmodel = "m"\ndataset = "empty.jsonl"\n'
    (project / "arkor.toml").write_text(text)
    async with studio.session.get("/api/manifest") as answer:
        assert answer.status == 200
        first, second, third = (await answer.json())["trainers"]
    assert "problem" not in first
    assert set(second) == {"name", "problem"}
    assert (second["name"], third["name"]) == ("second", "third")
    assert second["problem"].startswith("arkor.toml:9: steps = 0 is invalid;")
    assert third["problem"].startswith("empty.jsonl is empty: write one JSON object per line")
    for wrong in (second, third):
        async with studio.session.post("/api/train", json={"trainer": wrong["name"]}) as answer:
            assert (answer.status, await answer.json()) == (400, {"error": wrong["problem"]})
    async with studio.session.get("/api/train") as answer:
        assert await answer.json() == {"runs": []}


async def test_invalid_rows_are_named_before_a_start(studio: Studio) -> None:
    project = studio.settings.project
    (project / "data.jsonl").write_text('{"prompt": "a", "completion": "b"}\n{"prompt": "a"}\n')
    text = '[[trainer]]\nname = "-x y"\nmodel = "m"\ndataset = "data.jsonl"\n'
    (project / "arkor.toml").write_text(text)
    async with studio.session.get("/api/manifest") as answer:
        (trainer,) = (await answer.json())["trainers"]
    assert "problem" not in trainer
    assert trainer["flaw"].startswith("data.jsonl, line 2: has the keys prompt; expected messages")
    assert (trainer["rows"], trainer["unreadable"]) == (1, 1)
    # Only a file of which no row has the right columns is to be mapped.
    assert "unmapped" not in trainer
    async with studio.session.get("/api/manifest/data", params={"trainer": "-x y"}) as answer:
        assert answer.status == 200
        report = await answer.json()
    (finding,) = report["findings"]
    assert (report["rows"], finding["code"], finding["level"]) == (2, "wrong-keys", "error")
    for asked in ("gone", ""):
        async with studio.session.get("/api/manifest/data", params={"trainer": asked}) as answer:
            assert answer.status == 400
            assert "arkor.toml has no trainer" in (await answer.json())["error"]


async def test_a_slow_data_check_times_out(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    project = studio.settings.project
    (project / "data.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    (project / "arkor.toml").write_text(TOML)
    monkeypatch.setattr("arkor_dev.project.data_check.SECONDS", 0)
    async with studio.session.get("/api/manifest/data", params={"trainer": "first"}) as answer:
        assert (answer.status, await answer.json()) == (
            400,
            {"error": "The data cannot be checked: it takes too long"},
        )


async def test_an_unchanged_manifest_is_a_304(studio: Studio) -> None:
    toml = studio.settings.project / "arkor.toml"
    seen: set[str] = set()
    for text, status in ((TOML, 200), (TOML + "steps = ", 400), (TOML + "steps = 2", 200)):
        toml.write_text(text)
        async with studio.session.get("/api/manifest") as answer:
            assert answer.status == status
            etag = answer.headers["ETag"]
        for known in seen:
            async with studio.session.get("/api/manifest", headers={"If-None-Match": known}) as answer:
                assert answer.status == status
        async with studio.session.get("/api/manifest", headers={"If-None-Match": etag}) as answer:
            assert (answer.status, await answer.read()) == (304, b"")
        seen.add(etag)


async def post(studio: Studio, **body: object) -> tuple[int, dict[str, Any]]:
    """``POST /api/manifest/settings``: the status and the answer."""
    async with studio.session.post("/api/manifest/settings", json=body) as answer:
        return answer.status, await answer.json()


async def test_settings_are_previewed_then_written(studio: Studio) -> None:
    toml = studio.settings.project / "arkor.toml"
    toml.write_text(TOML + "steps = 4 # few\n")
    async with studio.session.get("/api/manifest") as answer:
        shown = (await answer.json())["revision"]
    asked = {"trainer": "first", "revision": shown, "settings": {"maxSteps": 9, "loraR": 2}}
    status, preview = await post(studio, **asked, preview=True)
    assert (status, preview["revision"]) == (200, shown)
    assert "-steps = 4 # few\n+steps = 9 # few\n+lora.r = 2\n" in preview["diff"]
    assert toml.read_text() == TOML + "steps = 4 # few\n"
    status, done = await post(studio, **asked)
    assert (status, done["diff"]) == (200, preview["diff"])
    assert toml.read_text() == TOML + "steps = 9 # few\nlora.r = 2\n"
    async with studio.session.get("/api/manifest") as answer:
        manifest = await answer.json()
    assert manifest["revision"] == done["revision"]
    assert manifest["trainers"][0]["config"]["loraR"] == 2
    # The shown revision has been replaced.
    status, refused = await post(studio, **asked)
    assert (status, "changed on disk" in refused["error"]) == (409, True)


async def test_undo_restores_an_unchanged_file_only(studio: Studio) -> None:
    toml = studio.settings.project / "arkor.toml"
    before = TOML + "steps = 4 # few\n"
    toml.write_text(before)

    async def undo(revision: str) -> int:
        async with studio.session.post("/api/manifest/undo", json={"revision": revision}) as answer:
            return answer.status

    async def write(steps: int) -> Any:
        async with studio.session.get("/api/manifest") as answer:
            revision = (await answer.json())["revision"]
        asked = {"trainer": "first", "revision": revision, "settings": {"maxSteps": steps}}
        await post(studio, **asked, preview=True)
        return (await post(studio, **asked))[1]["revision"]

    written = await write(9)
    assert [await undo("another"), await undo(written)] == [409, 200]
    assert toml.read_text() == before
    written = await write(8)
    toml.write_text(before + "# mine\n")
    assert await undo(written) == 409
    assert toml.read_text() == before + "# mine\n"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "trainer is missing"),
        ({"trainer": "first", "revision": "r"}, "settings is missing: it must be a JSON object"),
        ({"settings": {"loraR": 2000}}, "settings.loraR must be a whole number from 1 to 1,024, not 2000."),
        ({"settings": {"name": "x"}}, 'settings."name" is not a trainer setting.'),
        ({"settings": {"model": None}}, "settings.model must be a model's name"),
        ({"settings": {}, "preview": 1}, "preview must be true or false, not 1."),
    ],
)
async def test_an_invalid_body_writes_nothing(studio: Studio, body: dict[str, object], said: str) -> None:
    toml = studio.settings.project / "arkor.toml"
    toml.write_text(TOML)
    known = {"trainer": "first", "revision": "r"} if "settings" in body else {}
    status, answer = await post(studio, **known, **body)
    assert (status, said in answer["error"]) == (400, True), answer
    assert toml.read_text() == TOML


async def test_writing_settings_needs_arkor_toml(studio: Studio) -> None:
    status, answer = await post(studio, trainer="a", revision="r", settings={})
    assert (status, answer) == (400, {"error": "This project has no arkor.toml to write settings into."})


async def test_a_request_that_prefers_to_wait_is_answered_once_the_project_is_edited(studio: Studio) -> None:
    project = studio.settings.project
    (project / "data.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    (project / "arkor.toml").write_text('[[trainer]]\nname = "t"\nmodel = "m"\ndataset = "data.jsonl"\n')
    async with studio.session.get("/api/manifest") as answer:
        seen = answer.headers["ETag"]
    headers = {"If-None-Match": seen, "Prefer": "wait=20"}

    async def edited() -> None:
        await asyncio.sleep(0.1)
        # As many rows as before: only the file's state tells that its rows are others.
        (project / "data.jsonl").write_text('{"prompt": "c", "completion": "d"}\n')

    async with asyncio.TaskGroup() as group:
        group.create_task(edited())
        async with studio.session.get("/api/manifest", headers=headers) as answer:
            assert answer.status == 200
            assert answer.headers["ETag"] != seen
            headers["If-None-Match"] = answer.headers["ETag"]
    headers["Prefer"] = "wait=0"
    async with studio.session.get("/api/manifest", headers=headers) as answer:
        assert answer.status == 304


async def test_a_request_that_waits_for_an_edit_does_not_delay_the_end_of_studio(studio: Studio) -> None:
    async with studio.session.get("/api/manifest") as answer:
        headers = {"If-None-Match": answer.headers["ETag"], "Prefer": "wait=20"}
    studio.app[WATCH].close()
    async with asyncio.timeout(5), studio.session.get("/api/manifest", headers=headers) as answer:
        assert answer.status == 304
