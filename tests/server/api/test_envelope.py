"""Faults become answers in one place: expected ones in words, bugs without details, streams broken off."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp import web

from arkor_dev.contract.errors import MAKE_ROOM, ArkorError, ConflictError, InternalError, fault_of, status_of
from arkor_dev.contract.schema import Schema
from arkor_dev.processes.training_runs import Launch
from arkor_dev.server.api.envelope import error_envelope, parse_object, read_object
from arkor_dev.server.app_keys import RUNS

if TYPE_CHECKING:
    from aiohttp.pytest_plugin import AiohttpClient
    from aiohttp.test_utils import TestClient

    from tests.support.studio import Studio

    Client = TestClient[web.Request, web.Application]


FAULTS: dict[str, Exception] = {
    "known": ConflictError("It runs already.", run="run-1"),
    "upstream": fault_of(426, "Update it.", {"Deprecation": "true"}),
    "missing": web.HTTPNotFound(),
    "method": web.HTTPMethodNotAllowed("PUT", ["GET", "POST"]),
    "bug": ZeroDivisionError("with details"),
    "timeout": TimeoutError(),
    "full": OSError(errno.ENOSPC, "details"),
    "broken": OSError(errno.EIO, "details"),
    "elsewhere": web.HTTPFound("/somewhere"),
}


async def fail(request: web.Request) -> web.StreamResponse:
    """The fault by its name."""
    raise FAULTS[request.match_info["name"]]


async def fail_midway(request: web.Request) -> web.StreamResponse:
    """The fault after the head has gone out."""
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"begun ")
    raise FAULTS[request.match_info["name"]]


async def echo(request: web.Request) -> web.Response:
    """The body, as an object."""
    return web.json_response(await read_object(request, Schema()))


@pytest.fixture
async def client(aiohttp_client: AiohttpClient) -> Client:
    """The envelope alone."""
    app = web.Application(middlewares=[error_envelope])
    app.router.add_get("/api/midway/{name}", fail_midway)
    app.router.add_get("/api/{name}", fail)
    app.router.add_get("/{name}", fail)
    app.router.add_post("/api/echo", echo)
    return await aiohttp_client(app)


@pytest.mark.parametrize(
    ("name", "status", "body"),
    [
        ("known", 409, {"error": "It runs already.", "run": "run-1"}),
        ("upstream", 426, {"error": "Update it."}),
        ("missing", 404, {"error": "GET /api/missing: not found."}),
        ("method", 405, {"error": "GET /api/method: method not allowed."}),
        ("bug", 500, {"error": "Unexpected error in Studio. Its terminal has the details."}),
        ("timeout", 500, {"error": "Unexpected error in Studio. Its terminal has the details."}),
        ("full", 507, {"error": f"The disk is full. {MAKE_ROOM}."}),
        ("broken", 500, {"error": "Unexpected error in Studio. Its terminal has the details."}),
    ],
)
async def test_api_errors_are_json(
    name: str, status: int, body: dict[str, str], client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await client.get(f"/api/{name}")
    assert answer.status == status
    assert answer.content_type == "application/json"
    assert await answer.json() == body
    assert bool(caplog.records) == (status == 500)
    if name == "bug":
        assert "ZeroDivisionError: with details" in caplog.text
    if name == "upstream":
        assert answer.headers["Deprecation"] == "true"
    if name == "method":
        assert set(answer.headers["Allow"].split(",")) == {"GET", "POST"}


@pytest.mark.parametrize(("name", "status"), [("missing", 404), ("method", 405), ("bug", 500)])
async def test_errors_outside_the_api_are_plain_text(name: str, status: int, client: Client) -> None:
    answer = await client.get(f"/{name}")
    assert (answer.status, answer.content_type) == (status, "text/plain")
    assert "details" not in (await answer.text()).replace("has the details", "")


async def test_a_redirect_is_not_an_error(client: Client) -> None:
    answer = await client.get("/api/elsewhere", allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (302, "/somewhere")


@pytest.mark.parametrize(("name", "level"), [("known", "WARNING"), ("bug", "ERROR")])
async def test_an_error_within_a_stream_breaks_the_connection(
    name: str, level: str, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """No second answer inside the first: the reader sees that this was not the end."""
    answer = await client.get(f"/api/midway/{name}")
    assert answer.status == 200
    with pytest.raises(aiohttp.ClientPayloadError):
        await answer.read()
    ours = [record for record in caplog.records if record.name.startswith("arkor_dev")]
    assert [record.levelname for record in ours] == [level]
    assert "broke off" in ours[0].getMessage()


async def test_an_error_within_a_stream_logs_one_line(
    studio: Studio, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line for a person, and aiohttp's own traceback stays away."""
    run = await studio.app[RUNS].start(Launch(["/bin/echo", "begun"], "k", None, None, dry_run=False))
    await run.finished.wait()
    real = run.output.read

    async def breaks(offset: int) -> tuple[bytes, int]:
        if offset:
            raise InternalError("The log cannot be read.")
        return await real(offset)

    monkeypatch.setattr(run.output, "read", breaks)
    async with studio.session.get(f"/api/train/{run.id}/output") as answer:
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()
    assert [record.getMessage() for record in caplog.records] == [
        f"GET /api/train/{run.id}/output broke off: The log cannot be read."
    ]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b"[" * 100_000, b'{"a": NaN'])
def test_bodies_other_than_json_objects_are_refused(body: bytes) -> None:
    with pytest.raises(ArkorError) as fault:
        parse_object(body, Schema())
    assert status_of(fault.value) == 400


async def test_json_objects_are_parsed(client: Client) -> None:
    answer = await client.post("/api/echo", json={"a": [1, None]})
    assert await answer.json() == {"a": [1, None]}
    answer = await client.post("/api/echo", data=b"")
    assert answer.status == 400
