"""Archives through the backend's calls: a job is imported whole, or not at all, and faults say why."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from arkor_dev.local.jobs.archive import writer
from arkor_dev.local.jobs.job_folder import job_folder, jobs_folder
from arkor_dev.local.jobs.store import Store
from arkor_dev.local.server.app import create_app
from arkor_dev.local.server.requests import Setup
from tests.local.jobs.test_archive import ID, built, whole

from .test_order import HEADERS, SCOPE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from aiohttp import web

    Client = TestClient[web.Request, web.Application]


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    hello = {"token": "secret", "orgSlug": "local", "projectSlug": "tests"}
    setup = Setup.open(tmp_path / "data", tmp_path, tmp_path / "cache", hello)
    async with TestClient(TestServer(create_app(setup)), headers=HEADERS) as client:
        yield client
    setup.store.close()


@pytest.fixture(autouse=True)
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


async def post(client: Client, call: str, path: Path | str) -> tuple[int, dict[str, Any]]:
    async with client.post(f"/v1/jobs/{call}", params=SCOPE, json={"path": str(path)}) as answer:
        return answer.status, await answer.json()


async def test_a_failed_import_leaves_nothing(
    client: Client, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "job.tar").write_bytes(whole(*built(events=b'["training.log", {"step": 1}]\n')))
    take_in = Store.import_job

    def fails(*_: object) -> None:
        raise RuntimeError("fault")

    monkeypatch.setattr(Store, "import_job", fails)
    assert (await post(client, "import", tmp_path / "job.tar"))[0] == 500
    assert list(jobs_folder(data).iterdir()) == []
    monkeypatch.setattr(Store, "import_job", take_in)
    status, answer = await post(client, "import", tmp_path / "job.tar")
    assert (status, answer["job"]["id"]) == (200, ID)
    assert [path.name for path in jobs_folder(data).iterdir()] == [ID]
    assert (await post(client, "import", tmp_path / "job.tar"))[0] == 409
    assert job_folder(data, ID).is_dir()


async def test_an_unwritable_archive_has_its_reason(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "job.tar").write_bytes(whole(*built()))
    await post(client, "import", tmp_path / "job.tar")
    status, answer = await post(client, f"{ID}/export", tmp_path / ("x" * 300))
    assert (status, os.strerror(errno.ENAMETOOLONG) in answer["error"]) == (400, True)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(writer, "_add_file", full)
    status, answer = await post(client, f"{ID}/export", tmp_path / "out.tar")
    assert (status, os.strerror(errno.ENOSPC) in answer["error"]) == (400, True)
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith("out.tar")]
