"""The process behind the views: how many there are, and how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract.errors import ConflictError, NotFoundError, UnavailableError
from arkor_dev.contract.settings import SETTINGS
from arkor_dev.local.datasets import client
from arkor_dev.local.datasets.client import Datasets
from arkor_dev.local.models.catalog import Models
from arkor_dev.local.workers.process import Child
from tests.local.conftest import CONFIG
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from arkor_dev.contract.dataset_shapes import DatasetView
    from arkor_dev.contract.shapes import JobConfig

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("forked_workers")]

TRAINS: dict[str, bool] = {"now": False}


def config(**more: Any) -> JobConfig:
    """The usual config with other settings."""
    whole: Any = {**CONFIG, **more}
    changed: JobConfig = whole
    return changed


@asynccontextmanager
async def opened(tmp_path: Path, project: Path, **more: Any) -> AsyncIterator[Datasets]:
    """Data sets of a project, with a process that ends with the block."""
    models = Models(project, tmp_path / "cache")
    datasets = Datasets(models, tmp_path / "data", project, lambda: TRAINS["now"], **more)
    try:
        yield datasets
    finally:
        await datasets.close()


async def ready(datasets: Datasets, view: DatasetView) -> DatasetView:
    """The view once it is read, or has failed."""
    async with asyncio.timeout(60):
        while view["state"] in ("opening", "reading"):
            await asyncio.sleep(0.02)
            view = await datasets.status(view["id"])
    return view


def pid_of(datasets: Datasets) -> int:
    assert datasets._child is not None
    return datasets._child.pid


async def test_a_view_is_opened_read_and_closed(tmp_path: Path, shared_project: Path) -> None:
    async with opened(tmp_path, shared_project) as datasets:
        view = await ready(datasets, await datasets.open(config()))
        assert (view["state"], view["rows"], view["source"]) == ("ready", 60, "data/chats.jsonl")
        # Neither torch nor what it takes in memory.
        folder = Path(f"/proc/{pid_of(datasets)}")
        assert "torch" not in (folder / "maps").read_text()
        status = (folder / "status").read_text()
        assert int(status.partition("VmHWM:")[2].split()[0]) < 400 * 1024
        own = os.getpriority(os.PRIO_PROCESS, 0)
        assert os.getpriority(os.PRIO_PROCESS, pid_of(datasets)) == max(10, own)
        others = [await datasets.open(config(maxLength=16 + n)) for n in range(client.VIEWS)]
        assert len({view["id"], *(other["id"] for other in others)}) == client.VIEWS + 1
        with pytest.raises(NotFoundError):
            await datasets.status(view["id"])
        assert (await ready(datasets, others[0]))["maxLength"] == 16


async def test_a_list_has_its_sources_with_their_weights(tmp_path: Path, shared_project: Path) -> None:
    (shared_project / "two.jsonl").write_text('{"text": "a"}\n{"text": "b"}\n')
    parts = [CONFIG["datasetSource"], {"type": "file", "path": "two.jsonl", "weight": 0.5}]
    async with opened(tmp_path, shared_project) as datasets:
        mixture = config(datasetSource={"type": "list", "sources": parts})
        view = await ready(datasets, await datasets.open(mixture))
        assert view["sources"] == [
            {"name": "data/chats.jsonl", "rows": 60, "weight": 1},
            {"name": "two.jsonl", "rows": 2, "weight": 0.5},
        ]
        assert "sources" not in await datasets.open(config())


async def test_settings_that_change_no_token_share_a_view(tmp_path: Path, shared_project: Path) -> None:
    """Every setting there is, but for those that a view is made of."""
    async with opened(tmp_path, shared_project) as datasets:
        view = await datasets.open(config())
        others: dict[str, Any] = {
            setting.field: setting.default for setting in SETTINGS if setting.field not in client.SHAPING
        }
        assert (await datasets.open(config(**{**others, "loraR": 64})))["id"] == view["id"]
        assert (await datasets.open(config(trainOnResponsesOnly=None)))["id"] == view["id"]
        for field, value in (
            ("trainOnResponsesOnly", False),
            ("completionOnlyLoss", True),
            ("enableThinking", False),
            ("thoughtWeight", 0),
            ("answerWeight", 0.5),
            ("trainOnEmptyThoughts", False),
            ("maxLength", 9),
        ):
            assert (await datasets.open(config(**{field: value})))["id"] != view["id"]


async def test_the_worker_can_be_started_in_advance(
    tmp_path: Path, shared_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []
    start = Child.start

    async def noted(*how: Any, **more: Any) -> Child:
        child = await start(*how, **more)
        started.append(child.pid)
        return child

    monkeypatch.setattr(Child, "start", noted)
    async with opened(tmp_path, shared_project) as datasets:
        datasets.prepare()
        datasets.prepare()
        await until(lambda: datasets._child, 60)
        await ready(datasets, await datasets.open(config()))
        assert [pid_of(datasets)] == started
    async with opened(tmp_path, shared_project, idle_seconds=0.1) as datasets:
        datasets.prepare()
        # It may be gone again before anybody sees it.
        await until(lambda: len(started) == 2 and not Path(f"/proc/{started[1]}").exists(), 60)
        assert datasets._child is None


async def test_idle_views_are_closed(tmp_path: Path, shared_project: Path) -> None:
    async with opened(tmp_path, shared_project, idle_seconds=0.2) as datasets:
        view = await datasets.open(config())
        pid = pid_of(datasets)
        await until(lambda: not Path(f"/proc/{pid}").exists(), 60)
        with pytest.raises(NotFoundError, match="no longer open"):
            await datasets.status(view["id"])
        again = await datasets.open(config())
        assert again["id"] != view["id"]


async def test_a_killed_worker_is_reported_and_restarted(tmp_path: Path, shared_project: Path) -> None:
    async with opened(tmp_path, shared_project) as datasets:
        view = await ready(datasets, await datasets.open(config()))
        os.kill(pid_of(datasets), signal.SIGKILL)
        async with asyncio.timeout(60):
            while view["state"] != "failed":
                view = await datasets.status(view["id"])
        assert "killed (signal 9)" in view["error"]
        with pytest.raises(ConflictError):
            await datasets.ask(view["id"], "lengths")
        assert (await ready(datasets, await datasets.open(config())))["state"] == "ready"


async def test_a_hanging_worker_is_killed(tmp_path: Path, shared_project: Path) -> None:
    async with opened(tmp_path, shared_project) as datasets:
        view = await ready(datasets, await datasets.open(config()))
        os.kill(pid_of(datasets), signal.SIGSTOP)
        datasets._ask_seconds = 0.5  # not before: on a busy machine its start takes longer
        with pytest.raises(UnavailableError):
            await datasets.ask(view["id"], "lengths")
        datasets._ask_seconds = client.ASK_SECONDS
        assert (await ready(datasets, await datasets.open(config())))["state"] == "ready"


async def test_a_missing_model_is_reported(tmp_path: Path, shared_project: Path) -> None:
    async with opened(tmp_path, shared_project) as datasets:
        view = await ready(datasets, await datasets.open(config(model="./models/none")))
        assert "Model folder not found: ./models/none" in view["error"]


async def test_reading_is_throttled_while_a_job_trains(
    tmp_path: Path, shared_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TRAINS, "now", True)
    async with opened(tmp_path, shared_project) as datasets:
        view = await datasets.open(config())
        while view["state"] == "opening":
            view = await datasets.status(view["id"])
        assert (await ready(datasets, view))["read"] == 60
