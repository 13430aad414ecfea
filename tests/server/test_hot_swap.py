"""Edits of TypeScript sources reach the trainer that runs: a real Node that handles signals as the SDK."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.project import watch
from arkor_dev.server.app_keys import RUNS, WATCH
from tests.support.studio import running_studio
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from arkor_dev.core.settings import Settings
    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio
    from tests.support.typescript_projects import TypeScriptProject

# The first SIGTERM stops at the next checkpoint (the file `checkpoint`), the second one at once; SIGUSR2
# loads the bundle again, under another address, and takes its callbacks.
SOURCE = """
import {{ existsSync, readFileSync, statSync }} from "node:fs";
import {{ setTimeout as pause }} from "node:timers/promises";
import {{ pathToFileURL }} from "node:url";
const INSPECT = Symbol.for("arkor.trainer.inspect");
let callbacks: any = {{ onLog: () => console.log("says {word}") }};
let stopping = 0;
const out = process.cwd() + "/.arkor/build/index.mjs";
export const trainer: any = {{
  name: "one",
  async start() {{
    process.on("SIGTERM", () => {{
      stopping += 1;
      console.log("early-stopping");
      if (stopping > 1) process.exit(143);
    }});
    process.on("SIGUSR2", async () => {{
      const again = await import(pathToFileURL(out).href + "?at=" + statSync(out).mtimeMs);
      callbacks = again.trainer[INSPECT]().callbacks;
      console.log("reloaded");
    }});
    return {{ jobId: "job-one" }};
  }},
  async wait() {{
    while (!(stopping && existsSync("checkpoint")) && !existsSync("end")) {{
      callbacks.onLog();
      await pause(50);
    }}
    if (stopping) process.exit(0);
    return {{ job: {{ id: "job-one", status: "completed" }} }};
  }},
  async cancel() {{}},
}};
const config = {{ b: 1, maxSteps: {steps} }};
if ({inspectable}) trainer[INSPECT] = () => ({{ name: "one", config, callbacks }});
"""


def source(word: str, steps: int = 10, *, inspectable: bool = True) -> str:
    return SOURCE.format(word=word, steps=steps, inspectable=json.dumps(inspectable))


@pytest.fixture
async def studio(
    settings: Settings,
    typescript_project: TypeScriptProject,
    fake_backend: FakeBackend,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Studio]:
    monkeypatch.setattr(watch, "QUIET", 0.12)
    fake_backend.sign_in(settings.arkor_home, typescript_project.path)
    async with running_studio(replace(settings, project=typescript_project.path)) as studio:
        yield studio


async def runs(studio: Studio) -> list[dict[str, Any]]:
    async with studio.session.get("/api/train") as answer:
        return list((await answer.json())["runs"])


async def output_of(studio: Studio, run: str, words: str) -> None:
    """Read a run's output until it has printed ``words``."""
    read = b""
    async with asyncio.timeout(30), studio.session.get(f"/api/train/{run}/output") as answer:
        while words.encode() not in read:
            read += await answer.content.readany()
            assert not answer.content.at_eof() or words.encode() in read, read


async def started(studio: Studio) -> str:
    async with studio.session.post("/api/train", json={}) as answer:
        assert answer.status == 200, await answer.text()
        return str(answer.headers["X-Arkor-Run"])


async def test_edited_callbacks_are_loaded_by_the_running_trainer_whose_job_continues(
    studio: Studio, typescript_project: TypeScriptProject
) -> None:
    typescript_project.write(source("before"))
    run = await started(studio)
    await output_of(studio, run, "says before")
    typescript_project.write(source("after"))
    await output_of(studio, run, "says after")
    (only,) = await runs(studio)
    assert (only["state"], only["jobId"]) == ("running", "job-one")
    (typescript_project.path / "end").touch()
    await output_of(studio, run, "exit=0")


async def test_an_edited_config_stops_the_trainer_at_its_checkpoint_and_starts_it_again(
    studio: Studio, typescript_project: TypeScriptProject
) -> None:
    typescript_project.write(source("before"))
    run = await started(studio)
    await output_of(studio, run, "says before")
    typescript_project.write(source("after", steps=20))
    await output_of(studio, run, "early-stopping")
    # Another edit meanwhile is no second signal, which would end it without its checkpoint.
    typescript_project.write(source("last", steps=30))
    await asyncio.sleep(0.6)
    assert len(await runs(studio)) == 1
    (typescript_project.path / "checkpoint").touch()
    await output_of(studio, run, "exit=0")
    await until(lambda: len(studio.app[RUNS].views()) == 2)
    again = studio.app[RUNS].views()[0]["id"]
    await output_of(studio, again, "says last")
    (typescript_project.path / "end").touch()
    await output_of(studio, again, "exit=0")


async def test_a_trainer_whose_sdk_shows_no_config_gets_no_signal(
    studio: Studio, typescript_project: TypeScriptProject
) -> None:
    typescript_project.write(source("before", inspectable=False))
    run = await started(studio)
    await output_of(studio, run, "says before")
    typescript_project.write(source("after", steps=20, inspectable=False))
    await asyncio.sleep(0.6)
    (only,) = await runs(studio)
    assert only["state"] == "running"
    (typescript_project.path / "end").touch()
    await output_of(studio, run, "exit=0")


async def test_nothing_is_busy_once_studio_ends(settings: Settings) -> None:
    async with running_studio(settings) as studio:
        studio.app[WATCH].close()
        async with asyncio.timeout(5):
            await asyncio.sleep(0.05)
