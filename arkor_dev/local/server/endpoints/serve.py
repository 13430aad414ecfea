"""Serves requests of a deployment's callers in OpenAI's and Anthropic's formats (docs/contract.md#serving).

The response starts with the first text of the answer, so that earlier errors still have their own status.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from datetime import datetime
from typing import TYPE_CHECKING, Final

from aiohttp import web

from arkor_dev.contract import strict_json
from arkor_dev.contract.deployments import ENDPOINT_KEY_HEADER, IGNORED_HEADER
from arkor_dev.contract.errors import ArkorError, BadRequestError, NotFoundError, status_of
from arkor_dev.local.endpoints.answers import CHAT, COMPLETION, AnswerChoice, AnswerFormat, prompt_tokens
from arkor_dev.local.endpoints.anthropic import (
    MESSAGES_CALL,
    MessagesFormat,
    in_anthropics_words,
    read_messages,
)
from arkor_dev.local.endpoints.classify import CLASSIFY, answer_of, read_texts
from arkor_dev.local.endpoints.embeddings import EMBEDDINGS, embeddings_of, read_embeddings
from arkor_dev.local.endpoints.openai import OpenAIRequest, read_chat, read_completion
from arkor_dev.local.endpoints.requests import LoggedRequest
from arkor_dev.local.endpoints.rerank import RERANK, ranking_of, read_rerank
from arkor_dev.local.endpoints.responses import RESPONSES, ResponsesFormat, in_callers_names, read_response
from arkor_dev.local.endpoints.service import Caller, CallerFault
from arkor_dev.local.inference.chat_call import ASK
from arkor_dev.local.inference.messages import Done, Text
from arkor_dev.local.jobs.records import compact
from arkor_dev.local.server.event_stream import frame, open_stream, pinged
from arkor_dev.local.server.requests import check_scope

from . import ENDPOINTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from arkor_dev.local.endpoints.answers import Event

PING_SECONDS: Final = 5.0
PING: Final = b": ping\n\n"
"""An SSE comment rather than an event, since OpenAI's clients parse every event as a chunk."""
CLIENT_CLOSED: Final = 499
"""Nginx's status for a client that has disconnected; no one receives it."""
KNOWN: Final = frozenset(field.name for field in ASK.fields)
"""Fields of the chat call that a caller may set."""
READERS: Final = {
    CHAT: read_chat,
    COMPLETION: read_completion,
    MESSAGES_CALL: read_messages,
    RESPONSES: read_response,
}

Form = AnswerFormat | MessagesFormat | ResponsesFormat

routes = web.RouteTableDef()


async def _caller(request: web.Request) -> Caller:
    check_scope(request)
    key = request.headers.get(ENDPOINT_KEY_HEADER)
    return await request.app[ENDPOINTS].caller(request.match_info["slug"], key)


def _model(caller: Caller) -> dict[str, object]:
    created = int(datetime.fromisoformat(caller.deployment["createdAt"]).timestamp())
    return {"id": caller.deployment["slug"], "object": "model", "created": created, "owned_by": "arkor"}


@routes.get("/v1/serve/{slug}/models")
async def models(request: web.Request) -> web.Response:
    return web.json_response({"object": "list", "data": [_model(await _caller(request))]})


@routes.get("/v1/serve/{slug}/models/{model}")
async def model(request: web.Request) -> web.Response:
    description = _model(await _caller(request))
    if request.match_info["model"] != description["id"]:
        raise NotFoundError(
            f'This endpoint\'s model is "{description["id"]}"', code="model_not_found", param="model"
        )
    return web.json_response(description)


@routes.post("/v1/serve/{slug}/chat/completions")
async def chat(request: web.Request) -> web.StreamResponse:
    return await _answered(request, CHAT)


@routes.post("/v1/serve/{slug}/completions")
async def completions(request: web.Request) -> web.StreamResponse:
    return await _answered(request, COMPLETION)


@routes.post("/v1/serve/{slug}/messages")
async def messages(request: web.Request) -> web.StreamResponse:
    try:
        return await _answered(request, MESSAGES_CALL)
    except BadRequestError as fault:
        raise in_anthropics_words(fault) from None


@routes.post("/v1/serve/{slug}/messages/count_tokens")
async def message_tokens(request: web.Request) -> web.Response:
    try:
        return web.json_response(
            {"input_tokens": await _counted(request, MESSAGES_CALL, "messages/count_tokens")}
        )
    except BadRequestError as fault:
        raise in_anthropics_words(fault) from None


@routes.post("/v1/serve/{slug}/responses/input_tokens")
async def response_tokens(request: web.Request) -> web.Response:
    try:
        tokens = await _counted(request, RESPONSES, "responses/input_tokens")
    except BadRequestError as fault:
        raise in_callers_names(fault) from None
    return web.json_response({"object": "response.input_tokens", "input_tokens": tokens})


@routes.post("/v1/serve/{slug}/responses")
async def responses(request: web.Request) -> web.StreamResponse:
    try:
        return await _answered(request, RESPONSES)
    except BadRequestError as fault:
        raise in_callers_names(fault) from None


@routes.post("/v1/serve/{slug}/classify")
async def classify(request: web.Request) -> web.Response:
    caller = await _caller(request)
    async with _logged(request, caller, CLASSIFY) as record:
        texts = read_texts(await _json(request), caller.deployment["slug"])
        record.messages = [{"role": "user", "content": text} for text in texts]
        classified, done = await request.app[ENDPOINTS].classified(caller, texts)
        answer = answer_of(caller.deployment["slug"], classified, done)
        record.answers, record.prompt = [row["label"] for row in answer["data"]], done.prompt_tokens
        return web.json_response(answer)


@routes.post("/v1/serve/{slug}/embeddings")
async def embeddings(request: web.Request) -> web.Response:
    caller = await _caller(request)
    async with _logged(request, caller, EMBEDDINGS) as record:
        asked = read_embeddings(await _json(request), caller.deployment["slug"])
        record.messages = [{"role": "user", "content": text} for text in asked.texts]
        embedded, done = await request.app[ENDPOINTS].embedded(caller, asked)
        record.answers, record.prompt = ["(an embedding)"] * len(asked.texts), done.prompt_tokens
        return web.json_response(embeddings_of(caller.deployment["slug"], asked, embedded, done))


@routes.post("/v1/serve/{slug}/rerank")
async def rerank(request: web.Request) -> web.Response:
    caller = await _caller(request)
    async with _logged(request, caller, RERANK) as record:
        asked = read_rerank(await _json(request), caller.deployment["slug"])
        record.messages = [{"role": "user", "content": text} for text in (asked.query, *asked.documents)]
        reranked, done = await request.app[ENDPOINTS].ranked(caller, asked)
        answer = ranking_of(caller.deployment["slug"], asked, reranked, done)
        record.answers = [asked.documents[result["index"]] for result in answer["results"]]
        record.prompt = done.prompt_tokens
        return web.json_response(answer)


@contextlib.asynccontextmanager
async def _logged(request: web.Request, caller: Caller, call: str) -> AsyncIterator[LoggedRequest]:
    """Log a request, and how it ends."""
    record = LoggedRequest(caller.deployment["id"], call, caller.key and caller.key.prefix)
    began = time.monotonic()
    try:
        yield record
    except CallerFault as fault:
        record.status, record.error = status_of(fault.fault), fault.detail
        raise fault.fault from None
    except ArkorError as fault:
        record.status, record.error = status_of(fault), fault.text
        raise
    except (asyncio.CancelledError, ConnectionError):
        record.status = CLIENT_CLOSED
        raise
    finally:
        record.seconds = round(time.monotonic() - began, 4)
        request.app[ENDPOINTS].log_request(record)


async def _answered(request: web.Request, call: str) -> web.StreamResponse:
    caller, began = await _caller(request), time.monotonic()
    async with _logged(request, caller, call) as record:
        chat_request = await _read_request(request, call, caller)
        record.stream, record.messages = chat_request.stream, _logged_messages(chat_request)
        record.tools = chat_request.chat.get("tools") or ()
        choices = [AnswerChoice() for _ in range(chat_request.answers * len(chat_request.chats))]
        slug, answers = caller.deployment["slug"], chat_request.answers
        form: Form = AnswerFormat(call, slug, caller.deployment.get("answeredBy"), answers)
        if call == MESSAGES_CALL:
            form = MessagesFormat(slug)
        elif call == RESPONSES:
            form = ResponsesFormat(slug, chat_request)
        try:
            async with request.app[ENDPOINTS].answers(caller, chat_request) as messages:
                noted = _noted(messages, choices, record, began)
                if chat_request.stream:
                    return await _streamed(request, form, chat_request, choices, noted, record)
                async for _ in noted:
                    pass
                return web.json_response(form.complete(choices), headers=_said_ignored(chat_request))
        finally:
            ended = [(choice, choice.done) for choice in choices if choice.done]
            record.answers = [choice.text for choice, _ in ended]
            record.calls = [choice.calls for choice, _ in ended]
            record.reasons = [done.reason for _, done in ended]
            record.prompt = prompt_tokens(choices, answers)


async def _counted(request: web.Request, call: str, name: str) -> int:
    """Return the number of tokens of the conversation in a body of ``call``; the log has ``name``."""
    caller = await _caller(request)
    async with _logged(request, caller, name) as record:
        body = await _json(request)
        if call == MESSAGES_CALL and isinstance(body, dict):
            body.setdefault("max_tokens", 1)  # required in a request for an answer
        chat_request = _read_body(body, call, caller)
        record.messages, record.tools = _logged_messages(chat_request), chat_request.chat.get("tools") or ()
        record.prompt = await request.app[ENDPOINTS].prompt_tokens(caller, chat_request)
        return record.prompt


async def _read_request(request: web.Request, call: str, caller: Caller) -> OpenAIRequest:
    """Return the request in the body."""
    return _read_body(await _json(request), call, caller)


def _read_body(body: object, call: str, caller: Caller) -> OpenAIRequest:
    return READERS[call](body, caller.deployment["slug"], KNOWN)


async def _json(request: web.Request) -> object:
    """Return the parsed body. Raises BadRequestError."""
    try:
        return strict_json.parse(await request.read())
    except strict_json.StrictJSONError as fault:
        raise BadRequestError(f"The body {fault}", code="invalid_json") from None


def _said_ignored(chat_request: OpenAIRequest) -> dict[str, str]:
    return {IGNORED_HEADER: ", ".join(chat_request.ignored)} if chat_request.ignored else {}


def _logged_messages(chat_request: OpenAIRequest) -> list[dict[str, object]]:
    if chat_request.prompts:
        texts = [prompt if isinstance(prompt, str) else compact(prompt) for prompt in chat_request.prompts]
        return [{"role": "user", "content": text} for text in texts]
    return chat_request.chat.get("messages") or []


async def _noted(
    messages: AsyncIterator[tuple[int, Text | Done]],
    choices: list[AnswerChoice],
    record: LoggedRequest,
    began: float,
) -> AsyncIterator[tuple[int, Text | Done]]:
    """Yield the messages, and log the result."""
    async for number, message in messages:
        if record.first is None and isinstance(message, Text) and message.text:
            record.first = round(time.monotonic() - began, 4)
        choices[number].add(message)
        if isinstance(message, Done):
            record.completion += message.completion_tokens
        yield number, message


async def _streamed(
    request: web.Request,
    form: Form,
    chat_request: OpenAIRequest,
    choices: list[AnswerChoice],
    messages: AsyncIterator[tuple[int, Text | Done]],
    record: LoggedRequest,
) -> web.StreamResponse:
    response: web.StreamResponse | None = None
    begun: set[int] = set()
    async with contextlib.AsyncExitStack() as stack:
        try:
            async for number, message in messages:
                if response is None:
                    response = await open_stream(request, _said_ignored(chat_request))
                    await stack.enter_async_context(pinged(response, PING, PING_SECONDS))
                if number not in begun:
                    begun.add(number)
                    await _write(response, form.starting(number))
                await _write(response, form.events(number, message))
        except CallerFault as fault:
            if response is None:
                raise
            record.status, record.error = status_of(fault.fault), fault.detail
            text, code = fault.fault.text, fault.fault.extra.get("code")
            await _write(response, form.fault(record.status, text, code))
        else:
            assert response is not None  # every answer has a final message
            await _write(response, form.ending(choices, usage=chat_request.usage))
    await response.write_eof()
    return response


async def _write(response: web.StreamResponse, events: Iterable[Event]) -> None:
    for name, data in events:
        await response.write(frame(name, data))
