"""A job that answers in a chat is not deleted; its files would be gone in the middle of an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp.test_utils import TestClient, TestServer

from arkor_dev.local.inference.messages import AnswerRequest
from arkor_dev.local.jobs.job_folder import checkpoint_folder, final_folder
from arkor_dev.local.jobs.store import Store
from arkor_dev.local.server.app import create_app
from arkor_dev.local.server.jobs import INFERENCE
from arkor_dev.local.server.requests import Setup

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = {"model": "m", "datasetSource": {"type": "file", "path": "d"}}
HEADERS = {"Host": "localhost", "Authorization": "Bearer secret"}
SCOPE = {"orgSlug": "local", "projectSlug": "tests"}


async def test_a_job_that_is_chatting_is_not_deleted(tmp_path: Path) -> None:
    hello = {"token": "secret", "orgSlug": "local", "projectSlug": "tests"}
    setup = Setup.open(tmp_path, tmp_path, tmp_path / "cache", hello)
    jobs = []
    for name in ("served", "other"):
        job_id = (await setup.store.write(Store.create, name, CONFIG))["id"]
        await setup.store.write(Store.finish, job_id, {"type": "training.completed"})
        final_folder(tmp_path, job_id).mkdir(parents=True)
        jobs.append(job_id)
    served, other = jobs
    app = create_app(setup)
    asked = app[INFERENCE]._active
    try:
        async with TestClient(TestServer(app), headers=HEADERS) as client:

            async def delete(job_id: str) -> int:
                async with client.delete(f"/v1/jobs/{job_id}", params=SCOPE) as answer:
                    if answer.status == 409:
                        assert (await answer.json())["error"].startswith("The job served is answering")
                    return answer.status

            asked.append(AnswerRequest("", "tiny"))
            adapter = str(checkpoint_folder(tmp_path, served, 10))
            asked.append(AnswerRequest("", "tiny", adapter))
            assert [await delete(served), await delete(other)] == [409, 204]
            assert final_folder(tmp_path, served).is_dir()
            assert not final_folder(tmp_path, other).exists()
            asked.clear()
            assert await delete(served) == 204
            assert not final_folder(tmp_path, served).exists()
    finally:
        setup.store.close()
