"""The starter model is fetched while a page waits for an estimate, by a download that jobs share."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from arkor_dev.local.forecast.service import Forecasts
from arkor_dev.local.models import starter_download
from arkor_dev.local.models.catalog import STARTER, Model, Models, starter_folder
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from arkor_dev.contract.shapes import JobConfig, Progress

PROGRESS: Progress = {"label": "Fetching SmolLM2-135M-Instruct", "done": 40, "total": 100, "unit": "bytes"}
CONFIG: JobConfig = {"model": STARTER, "datasetSource": {"type": "file", "path": "rows.jsonl"}}


class ScriptedModels(Models):
    """Models whose download waits for ``done``, and then fills the folder or fails with ``failure``."""

    def __init__(self, root: Path, failure: str = "") -> None:
        super().__init__(root, root / "cache")
        (root / "rows.jsonl").write_text("{}\n")
        self.folder, self.failure = starter_folder(root / "cache"), failure
        self.started, self.done, self.ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.downloads: list[str] = []

    async def _fetch(self, name: str) -> Model:
        self.downloads.append("began")
        self.started.set()
        self._report(name, PROGRESS)
        try:
            await self.done.wait()
        except asyncio.CancelledError:
            self.downloads.append("cancelled")
            raise
        finally:
            self.ended.set()
        if self.failure:
            raise JobFailure(self.failure)
        self.folder.mkdir(parents=True)
        for file in ("config.json", "model.safetensors", "tokenizer.json"):
            (self.folder / file).touch()
        return Model(name, self.folder)


async def tasks_run() -> None:
    """Let every task run that is due."""
    for _ in range(9):
        await asyncio.sleep(0)


async def test_an_estimate_fetches_the_starter_model_first(tmp_path: Path) -> None:
    models = ScriptedModels(tmp_path)
    forecasts = Forecasts(models, tmp_path, tmp_path, lambda: True)
    async with forecasts.running():
        assert await forecasts.request(CONFIG) == {"state": "measuring"}
        await models.started.wait()
        assert await forecasts.request(CONFIG) == {"state": "measuring", "progress": PROGRESS}
        job = asyncio.create_task(models.ensure(STARTER, lambda _: None))
        await asyncio.sleep(0)
        models.done.set()
        assert (await job).path == models.folder
        assert (await forecasts.request(CONFIG))["state"] == "waiting"
    assert models.downloads == ["began"]


async def test_a_failed_fetch_is_the_estimates_error_and_not_repeated_at_once(tmp_path: Path) -> None:
    models = ScriptedModels(tmp_path, "no network")
    forecasts = Forecasts(models, tmp_path, tmp_path, lambda: False)
    models.done.set()
    async with forecasts.running():
        await forecasts.request(CONFIG)
        await models.ended.wait()
        await tasks_run()
        found = await forecasts.request(CONFIG)
        assert (found["state"], found["error"]) == ("failed", "no network")
        await forecasts.request(CONFIG)
    assert models.downloads == ["began"]


async def test_a_fetch_that_nobody_waits_for_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starter_download, "POLL_SECONDS", 0.05)
    models = ScriptedModels(tmp_path)
    forecasts = Forecasts(models, tmp_path, tmp_path, lambda: False)
    async with forecasts.running():
        await forecasts.request(CONFIG)
        await models.ended.wait()
        await tasks_run()
        await forecasts.request(CONFIG)
        await tasks_run()
        assert models.downloads == ["began", "cancelled", "began"]
    assert models.downloads[-1] == "cancelled"


async def test_other_models_are_fetched_by_a_run_alone(tmp_path: Path) -> None:
    models = ScriptedModels(tmp_path)
    forecasts = Forecasts(models, tmp_path, tmp_path, lambda: False)
    async with forecasts.running():
        found = await forecasts.request({**CONFIG, "model": "owner/model"})
    assert found["error"] == "The model owner/model is not downloaded yet: its first run does that"
    assert models.downloads == []
