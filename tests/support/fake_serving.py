"""The fake backend's callers: what deployments are asked through Studio, answered from a script."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from aiohttp import web

from .fake_checks import RefusedError, parsed

if TYPE_CHECKING:
    from .fake_backend import FakeBackend

KEY_HEADER = "X-Arkor-Endpoint-Key"


class FakeServing:
    """``chunks`` are what the model says; ``asked`` the bodies that were answered, ``left`` who went early.

    ``trouble`` is why a job has nothing to be served, by its id. ``keys`` has the id of the key for each
    plaintext, ``log`` what each deployment's callers asked.
    """

    def __init__(self, fake: FakeBackend) -> None:
        self._fake = fake
        self.keys: dict[str, str] = {}
        self.chunks = ["Hello", ", ", "world"]
        self.delay = 0.0
        self.endless = False
        self.asked: list[dict[str, Any]] = []
        self.left = 0
        self.trouble: dict[str, str] = {}
        self.log: dict[str, list[dict[str, Any]]] = {}
        self.totals: dict[str, Any] = {}

    def routes(self) -> list[web.RouteDef]:
        one = "/v1/serve/{slug}"
        return [
            web.get(f"{one}/models", self._models),
            web.get(f"{one}/models/{{model}}", self._models),
            web.post(f"{one}/chat/completions", self._chat),
            web.post(f"{one}/completions", self._chat),
            web.post(f"{one}/messages", self._messages),
            web.post(f"{one}/messages/count_tokens", self._counted),
            web.post(f"{one}/responses/input_tokens", self._counted),
            web.post(f"{one}/classify", self._classify),
            web.post(f"{one}/embeddings", self._embeddings),
            web.post(f"{one}/rerank", self._rerank),
            web.get("/v1/endpoints/{id}/requests", self._requests),
            web.get("/v1/endpoints/{id}/requests/{request}", self._request),
        ]

    def trouble_of(self, target: dict[str, Any]) -> str | None:
        """Why ``target`` cannot be served."""
        return self.trouble.get((target.get("adapter") or {}).get("jobId", ""))

    def _caller(self, request: web.Request) -> dict[str, Any]:
        slug = request.match_info["slug"]
        found = next((each for each in self._fake.deployments.values() if each["slug"] == slug), None)
        if found is None or not found["enabled"]:
            raise RefusedError(404, "This endpoint does not exist.", code="endpoint_not_found")
        given = self.keys.get(request.headers.get(KEY_HEADER, ""))
        if found["authMode"] != "none" and given not in self._fake.keys[found["id"]]:
            raise RefusedError(403, "The key is missing or wrong.", code="invalid_api_key")
        return found

    async def _models(self, request: web.Request) -> web.Response:
        model = {"id": self._caller(request)["slug"], "object": "model", "created": 1, "owned_by": "fake"}
        if "model" in request.match_info:
            return web.json_response(model)
        return web.json_response({"object": "list", "data": [model]})

    async def _embeddings(self, request: web.Request) -> web.Response:
        self._caller(request)
        raise RefusedError(400, "This model is not an embedder.", code="unsupported_endpoint")

    async def _rerank(self, request: web.Request) -> web.Response:
        self._caller(request)
        raise RefusedError(400, "This model is not a reranker.", code="unsupported_endpoint")

    async def _classify(self, request: web.Request) -> web.Response:
        self._caller(request)
        raise RefusedError(400, "This model is not a classifier.", code="unsupported_endpoint")

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        deployment = self._caller(request)
        slug, body = deployment["slug"], parsed(await request.read())
        messages = body.get("messages")
        if not (isinstance(messages, list) and messages) and not body.get("prompt"):
            raise RefusedError(400, "messages is missing.", code="invalid_value", param="messages")
        self.asked.append(body)
        self._note(deployment, body)
        without_effect = [name for name in ("metadata", "user") if name in body]
        ignored = {"X-Arkor-Ignored": ", ".join(without_effect)} if without_effect else {}
        envelope = {"id": "chatcmpl-1", "created": 1, "model": slug}
        usage = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
        if not body.get("stream"):
            await asyncio.sleep(self.delay)
            message = {"role": "assistant", "content": "".join(self.chunks)}
            choices = [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}]
            told = {**envelope, "object": "chat.completion", "choices": choices, "usage": usage}
            return web.json_response(told, headers=ignored)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", **ignored})
        await response.prepare(request)

        async def send(delta: dict[str, Any], reason: str | None = None) -> None:
            choices = [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]
            chunk = {**envelope, "object": "chat.completion.chunk", "choices": choices}
            await response.write(f"data: {json.dumps(chunk)}\n\n".encode())

        try:
            while True:
                for text in self.chunks:
                    await send({"content": text})
                    await asyncio.sleep(self.delay)
                if not self.endless:
                    break
        except (asyncio.CancelledError, ConnectionError):
            self.left += 1
            raise
        await send({}, "stop")
        await response.write(b"data: [DONE]\n\n")
        await response.write_eof()
        return response

    async def _messages(self, request: web.Request) -> web.Response:
        slug, body = self._caller(request)["slug"], parsed(await request.read())
        self.asked.append(body)
        content = [{"type": "text", "text": "".join(self.chunks)}]
        return web.json_response({"type": "message", "role": "assistant", "model": slug, "content": content})

    async def _counted(self, request: web.Request) -> web.Response:
        self._caller(request)
        return web.json_response({"input_tokens": 5})

    def _note(self, deployment: dict[str, Any], body: dict[str, Any]) -> None:
        log = self.log.setdefault(deployment["id"], [])
        figures = {"status": 200, "key": None, "promptTokens": 5, "completionTokens": 3, "seconds": 0.1}
        said = {"messages": body.get("messages", []), "answers": ["".join(self.chunks)]}
        more = {"call": "chat/completions", "stream": bool(body.get("stream")), "firstTokenSeconds": 0.05}
        log.insert(0, {"id": str(len(log) + 1), "at": "2026-06-01T00:00:00Z", **figures, **more, **said})

    def _shown(self, request: web.Request, logged: dict[str, Any]) -> dict[str, Any]:
        """A request as it is told: without its text where the deployment keeps none."""
        mode = self._fake.deployments[request.match_info["id"]].get("runRetentionMode")
        kept = mode in ("days", "unlimited") and "answers" in logged
        left_out = () if kept else ("messages", "answers")
        return {"kept": kept, **{name: value for name, value in logged.items() if name not in left_out}}

    def _log_of(self, request: web.Request) -> list[dict[str, Any]]:
        if request.match_info["id"] not in self._fake.deployments:
            raise RefusedError(404, "No such deployment.")
        return self.log.get(request.match_info["id"], [])

    async def _requests(self, request: web.Request) -> web.Response:
        log = self._log_of(request)
        if (before := request.query.get("before")) is not None:
            if not before.isdecimal():
                raise RefusedError(400, "before must be the id of a request.")
            log = [each for each in log if int(each["id"]) < int(before)]
        shown = [self._shown(request, each) for each in log[:50]]
        for each in shown:
            each.pop("messages", None)
            each.pop("answers", None)
        none = dict.fromkeys(("tokensPerSecond", "medianSeconds", "slowSeconds"))
        counts = dict.fromkeys(("requests", "errors", "promptTokens", "completionTokens"), 0)
        totals = {**counts, "requests": len(log), **none, **self.totals}
        return web.json_response({"requests": shown, "totals": totals, "more": len(log) > 50})

    async def _request(self, request: web.Request) -> web.Response:
        wanted = request.match_info["request"]
        found = next((each for each in self._log_of(request) if each["id"] == wanted), None)
        if found is None:
            raise RefusedError(404, "No such request.")
        return web.json_response({"request": self._shown(request, found)})
