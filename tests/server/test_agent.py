"""``--agent``: the status that coding assistants read with the secret of the session file."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import aiohttp
import pytest

from arkor_dev.cli.commands.status import run_status
from arkor_dev.contract.errors import BackendError
from arkor_dev.server.agent import running
from arkor_dev.server.open_studios import FOLDER, PATH, claimed, session_of
from tests.support.studio import running_studio

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.core.settings import Settings
    from tests.support.fake_backend import FakeBackend


def session_file(settings: Settings) -> Path:
    (path,) = (settings.data / FOLDER).iterdir()
    return path


async def test_the_session_file_leads_to_a_status_that_has_only_the_running_jobs_progress(
    settings: Settings, fake_backend: FakeBackend, signed_in: None, capsys: pytest.CaptureFixture[str]
) -> None:
    job = fake_backend.add_job(name="secret project", metrics={"step": 3, "totalSteps": 9, "loss": 1.5})
    fake_backend.add_job("completed")
    settings = replace(settings, agent=True)
    async with running_studio(settings) as studio:
        with claimed(settings) as entry:
            assert entry.publish(studio.port, settings.agent_secret)
            assert session_file(settings).stat().st_mode & 0o777 == 0o600
            written = json.loads(session_file(settings).read_text())
            assert settings.studio_token not in session_file(settings).read_text()
            headers = {"Authorization": f"Bearer {written['secret']}"}
            async with (
                aiohttp.ClientSession() as http,
                http.get(written["status"], headers=headers) as answer,
            ):
                assert answer.status == 200
                status = await answer.json()
            assert status["jobs"] == [{"id": job, "status": "running", "step": 3, "totalSteps": 9}]
            assert set(status) == {"version", "project", "port", "jobs"}
            assert (status["project"], status["port"]) == (str(settings.project), studio.port)
            assert await run_status(settings, as_json=True) == 0
            assert json.loads(capsys.readouterr().out) == {"open": True, **status}
            assert await run_status(settings, as_json=False) == 0
            assert f"{job} is running: step 3 of 9" in capsys.readouterr().out
    assert session_file(settings).read_text() == ""


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": "Bearer é"}, 401),
        ({"Authorization": "Bearer SECRET", "Host": "evil.example"}, 403),
        ({"Authorization": "Bearer SECRET", "Origin": "http://evil.example"}, 403),
        ({"Authorization": "Bearer SECRET", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"X-Arkor-Studio-Token": "TOKEN"}, 401),
    ],
)
async def test_nobody_else_reads_the_status(settings: Settings, headers: dict[str, str], status: int) -> None:
    settings = replace(settings, agent=True)
    words = {"SECRET": settings.agent_secret, "TOKEN": settings.studio_token}
    async with running_studio(settings) as studio, aiohttp.ClientSession() as http:
        for name, value in headers.items():
            for word, secret in words.items():
                headers = {**headers, name: value.replace(word, secret)} if word in value else headers
        async with http.get(f"http://127.0.0.1:{studio.port}{PATH}", headers=headers) as answer:
            assert answer.status == status
            assert "project" not in await answer.text()


async def test_the_secret_opens_nothing_else(settings: Settings) -> None:
    settings = replace(settings, agent=True)
    headers = {
        "Authorization": f"Bearer {settings.agent_secret}",
        "X-Arkor-Studio-Token": settings.agent_secret,
    }
    async with running_studio(settings) as studio, aiohttp.ClientSession() as http:
        address = f"http://127.0.0.1:{studio.port}"
        async with http.get(f"{address}/api/jobs", headers=headers) as answer:
            assert answer.status == 403
        async with http.post(f"{address}{PATH}", headers=headers) as answer:
            assert answer.status in (404, 405)


async def test_without_agent_there_is_no_status(settings: Settings) -> None:
    headers = {"Authorization": f"Bearer {settings.agent_secret}"}
    async with (
        running_studio(settings) as studio,
        aiohttp.ClientSession() as http,
        http.get(f"http://127.0.0.1:{studio.port}{PATH}", headers=headers) as answer,
    ):
        assert answer.status == 404


async def test_a_session_file_left_by_a_killed_studio_is_recognised(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    with claimed(settings) as entry:
        entry.publish(4711, "s" * 43)
        left = session_file(settings).read_text()
        assert session_of(settings) == (4711, "s" * 43)
        with pytest.raises(BackendError, match="does not answer"):
            await run_status(settings, as_json=False)
    session_file(settings).write_text(left)  # a kill -9 leaves it, but releases the lock
    assert session_of(settings) is None
    assert await run_status(settings, as_json=False) == 1
    assert capsys.readouterr().out == "No Studio is open on this project.\n"
    with claimed(settings):
        assert session_file(settings).read_text() == ""


async def test_a_studio_without_agent_is_found_but_says_no_more(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    with claimed(settings) as entry:
        entry.publish(4711)
        assert await run_status(settings, as_json=True) == 0
    assert json.loads(capsys.readouterr().out) == {"open": True, "port": 4711}


@pytest.mark.parametrize(
    ("listing", "shown"),
    [
        (b"no JSON", None),
        (b"[]", None),
        (b'{"jobs": 3}', None),
        (b'{"jobs": [3, {"status": "running", "id": 7, "metrics": []}]}', [{"id": "7", "status": "running"}]),
        (b'{"jobs": [{"status": "running", "id": "a", "metrics": {"step": "1e9", "totalSteps": 2}}]}',
         [{"id": "a", "status": "running", "totalSteps": 2}]),
    ],
)  # fmt: skip
def test_a_list_of_any_content_is_read(listing: bytes, shown: object) -> None:
    assert running(listing) == shown
