"""``/e/<slug>/v1``: passed on to the backend, and answered in OpenAI's form whatever happens."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from arkor_dev.server.endpoints import routes
from tests.support.fake_backend import TOKEN
from tests.support.fake_serving import KEY_HEADER
from tests.support.waiting import until

from .conftest import ASK

if TYPE_CHECKING:
    from .conftest import Served

CHAT = "POST /v1/serve/{slug}/chat/completions"


def keyed(served: Served) -> dict[str, str]:
    return {"Authorization": f"Bearer {served.key}"}


async def error_of(answer: aiohttp.ClientResponse) -> dict[str, Any]:
    """The error in an answer, which has OpenAI's form."""
    assert answer.content_type == "application/json"
    body = await answer.json()
    assert set(body) == {"error"}
    error: dict[str, Any] = body["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    return error


async def test_a_completion_is_forwarded_with_its_caller(served: Served) -> None:
    body = {**ASK, "temperature": 0.5, "someday": [1]}
    url = f"{served.url()}/chat/completions"
    async with served.studio.stranger.post(url, json=body, headers=keyed(served)) as answer:
        assert answer.status == 200
        told = await answer.json()
        assert answer.headers["Cache-Control"] == "no-store"
    assert told["choices"][0]["message"]["content"] == "Hello, world"
    seen = served.fake.last(CHAT)
    assert seen.json() == body
    assert seen.headers[KEY_HEADER] == served.key
    assert seen.headers["Authorization"] == f"Bearer {TOKEN}"
    assert seen.url.query["projectSlug"]


async def test_a_completion_is_streamed(served: Served) -> None:
    served.fake.serving.delay = 0.1
    url = f"{served.url()}/chat/completions"
    async with served.studio.stranger.post(
        url, json={**ASK, "stream": True}, headers=keyed(served)
    ) as answer:
        assert answer.headers["Content-Type"] == "text/event-stream"
        pieces = [piece async for piece in answer.content.iter_any()]
    assert len(pieces) > 2
    assert pieces[-1].endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("stream", [False, True])
async def test_the_options_without_effect_are_named_to_the_caller(served: Served, stream: bool) -> None:
    body = {**ASK, "stream": stream, "user": "me"}
    url = f"{served.url()}/chat/completions"
    async with served.studio.stranger.post(url, json=body, headers=keyed(served)) as answer:
        assert answer.headers["X-Arkor-Ignored"] == "user"


@pytest.mark.parametrize("value", ["user, <b>", "x" * 41, ", ".join(["user"] * 17), "user;a=b"])
def test_another_text_in_that_header_is_not_passed_on(value: str) -> None:
    assert routes._NAMES.fullmatch(value) is None


async def test_anthropics_call_has_its_own_header_for_the_key_and_its_own_errors(served: Served) -> None:
    url, body = f"{served.url()}/messages", {**ASK, "max_tokens": 5}
    for headers in ({"X-Api-Key": served.key}, keyed(served)):
        async with served.studio.stranger.post(url, json=body, headers=headers) as answer:
            assert (answer.status, (await answer.json())["type"]) == (200, "message")
    for headers, kind in (({"X-Api-Key": "ak-wrong"}, "authentication_error"), ({}, "authentication_error")):
        async with served.studio.stranger.post(url, json=body, headers=headers) as answer:
            assert answer.status == 401
            error = await answer.json()
        assert error["type"] == "error"
        assert error["error"]["type"] == kind
        assert set(error["error"]) == {"type", "message"}
    async with served.studio.stranger.post(url, data="x", headers={"X-Api-Key": served.key}) as answer:
        assert (answer.status, (await answer.json())["error"]["type"]) == (415, "invalid_request_error")


@pytest.mark.parametrize(
    ("path", "has_code"), [("messages/count_tokens", False), ("responses/input_tokens", True)]
)
async def test_tokens_are_counted_and_errors_have_the_form_of_the_callers_api(
    served: Served, path: str, has_code: bool
) -> None:
    url = f"{served.url()}/{path}"
    async with served.studio.stranger.post(url, json=ASK, headers=keyed(served)) as answer:
        assert (await answer.json())["input_tokens"] == 5
    async with served.studio.stranger.post(url, json=ASK, headers={"X-Api-Key": "ak-wrong"}) as answer:
        assert answer.status == 401
        body = await answer.json()
    assert ("type" not in body, "code" in body["error"]) == (has_code, has_code)


@pytest.mark.parametrize("path", ["models", "models/bot"])
async def test_models_are_listed(served: Served, path: str) -> None:
    async with served.studio.stranger.get(f"{served.url()}/{path}", headers=keyed(served)) as answer:
        assert answer.status == 200
        assert '"bot"' in await answer.text()


async def test_a_model_may_be_called_stream(served: Served) -> None:
    async with served.studio.stranger.get(f"{served.url('open')}/models/stream") as answer:
        assert answer.status == 200


async def test_an_open_endpoint_needs_no_key(served: Served) -> None:
    async with served.studio.stranger.post(f"{served.url('open')}/chat/completions", json=ASK) as answer:
        assert answer.status == 200
    assert KEY_HEADER not in served.fake.last(CHAT).headers


async def test_an_invalid_key_is_401(served: Served) -> None:
    empty = {"Authorization": "Bearer "}  # a shell without the variable that the examples read
    async with served.studio.stranger.get(f"{served.url()}/models", headers=empty) as answer:
        assert answer.status == 401
        assert (await error_of(answer))["message"].startswith("The API key is empty: set ARKOR_API_KEY")
    for headers in ({}, {"Authorization": "Bearer ak-wrong"}, {"Authorization": f"Basic {served.key}"}):
        url = f"{served.url()}/chat/completions"
        async with served.studio.stranger.post(url, json=ASK, headers=headers) as answer:
            assert answer.status == 401
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert (await error_of(answer))["code"] == "invalid_api_key"
    assert served.fake.serving.asked == []
    assert {seen.headers["Authorization"] for seen in served.fake.requests} == {f"Bearer {TOKEN}"}


async def test_endpoints_need_the_feature(served: Served) -> None:
    served.fake.features = None
    for method, path in (("GET", "models"), ("POST", "chat/completions")):
        body = None if method == "GET" else ASK
        async with served.studio.stranger.request(method, f"{served.url()}/{path}", json=body) as answer:
            assert answer.status == 404
            assert (await error_of(answer))["message"] == "This endpoint does not exist."


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/e", 404),
        ("GET", "/e/", 404),
        ("GET", "/e/bot", 404),
        ("GET", "/e/bot/v1", 404),
        ("GET", "/e/bot/v1/files", 404),
        ("POST", "/e/bot/v1/responses", 404),
        ("POST", "/e/bot/v1/models", 405),
        ("GET", "/e/bot/v1/chat/completions", 405),
        ("DELETE", "/e/bot/v1/models/bot", 405),
        ("OPTIONS", "/e/bot/v1/chat/completions", 405),
        ("POST", "/e/bot/v1/embeddings", 400),
        ("POST", "/e/bot/v1/rerank", 400),
        ("POST", "/e/bot/v1/classify", 400),
        ("GET", "/e/nobody/v1/models", 404),
    ],
)
async def test_unknown_routes_have_openai_errors(served: Served, method: str, path: str, status: int) -> None:
    body = ASK if method == "POST" else None
    async with served.studio.stranger.request(method, path, headers=keyed(served), json=body) as answer:
        assert answer.status == status
        await error_of(answer)


@pytest.mark.parametrize(
    ("status", "body", "sent"),
    [
        (400, {"error": "messages is wrong", "code": "invalid_value", "param": "messages"}, 400),
        (400, {"error": "/home/ann/models/tiny is broken"}, 400),
        (401, {"error": f"token {TOKEN} is unknown"}, 502),
        (403, {"error": "Not your organisation: /home/ann"}, 403),
        (404, {"error": "No project /home/ann"}, 404),
        (409, {"error": "/home/ann is there"}, 409),
        (429, {"error": "slow down /home/ann"}, 429),
        (500, {"error": "/home/ann: boom"}, 500),
        (503, {"error": "Not now.", "code": "model_unavailable"}, 503),
    ],
)
async def test_internal_error_messages_are_replaced(
    served: Served, status: int, body: dict[str, Any], sent: int
) -> None:
    served.fake.fault(CHAT, status=status, body=json.dumps(body).encode())
    async with served.studio.stranger.post(
        f"{served.url()}/chat/completions", json=ASK, headers=keyed(served)
    ) as answer:
        assert answer.status == sent
        error = await error_of(answer)
        assert "/home" not in await answer.text()
        assert TOKEN not in await answer.text()
        assert "Retry-After" in answer.headers if sent == 429 else "Retry-After" not in answer.headers
    if "code" in body:
        assert (error["message"], error["code"]) == (body["error"], body["code"])
        assert error["param"] == body.get("param")


async def test_retry_after_is_forwarded(served: Served) -> None:
    body = b'{"error": "Too many.", "code": "rate_limit_exceeded", "retryAfter": 7}'
    served.fake.fault(CHAT, status=429, body=body)
    async with served.studio.stranger.post(
        f"{served.url()}/chat/completions", json=ASK, headers=keyed(served)
    ) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (429, "7")
        assert (await error_of(answer))["type"] == "rate_limit_error"


async def test_an_unreachable_backend_is_an_openai_error(served: Served) -> None:
    await served.fake.stop()
    async with served.studio.stranger.post(
        f"{served.url()}/chat/completions", json=ASK, headers=keyed(served)
    ) as answer:
        assert answer.status == 502
        error = await error_of(answer)
    assert error["type"] == "server_error"
    assert str(served.fake.port) not in error["message"]


async def test_a_truncated_stream_breaks_off(served: Served) -> None:
    served.fake.serving.endless = True
    async with served.studio.stranger.post(
        f"{served.url()}/chat/completions", json={**ASK, "stream": True}, headers=keyed(served)
    ) as answer:
        await answer.content.readany()
        served.fake.cut()
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


async def test_answers_are_limited_in_size(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "ANSWER_LIMIT", 10_000)
    served.fake.serving.endless = True
    async with served.studio.stranger.post(
        f"{served.url()}/chat/completions", json={**ASK, "stream": True}, headers=keyed(served)
    ) as answer:
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()
    await until(lambda: served.fake.serving.left == 1)


async def test_a_slow_request_body_times_out(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "BODY_TIMEOUT", 0.05)

    async def never() -> Any:
        yield b'{"model"'
        await asyncio.Event().wait()

    async with served.studio.stranger.post(
        f"{served.url()}/chat/completions",
        data=never(),
        headers={**keyed(served), "Content-Type": "application/json"},
    ) as answer:
        assert answer.status == 408
        await error_of(answer)


async def test_the_request_log_is_paged_through_the_api(served: Served) -> None:
    served.fake.deployments[served.ids["bot"]]["runRetentionMode"] = "unlimited"
    log: list[dict[str, Any]] = [{"id": str(number)} for number in range(60, 0, -1)]
    log[-2] |= {"messages": [{"role": "user", "content": "Hi"}], "answers": ["Ho"]}
    served.fake.serving.log[served.ids["bot"]] = log
    path = f"/api/deployments/{served.ids['bot']}/requests"
    async with served.studio.session.get(path) as answer:
        first = await answer.json()
    assert [each["id"] for each in first["requests"]] == [str(number) for number in range(60, 10, -1)]
    assert first["more"]
    async with served.studio.session.get(path, params={"before": "11"}) as answer:
        rest = await answer.json()
    assert (len(rest["requests"]), rest["more"]) == (10, False)
    async with served.studio.session.get(f"{path}/2") as answer:
        assert (await answer.json())["request"]["answers"] == ["Ho"]
    async with served.studio.stranger.get(path) as answer:
        assert answer.status == 403
