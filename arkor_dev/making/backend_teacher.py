"""The backend's own chat as a teacher."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import aiohttp

from arkor_dev.contract.errors import ArkorError, TemporaryError
from arkor_dev.contract.events import CHAT_ERROR
from arkor_dev.core.plain_text import one_line
from arkor_dev.jobs.follow import read_event
from arkor_dev.jobs.sse_frames import FrameSplitter, frames_in
from arkor_dev.teacher.answer import Decoder, Reply, TooLongError, text_of
from arkor_dev.teacher.client import LARGEST, SECONDS, TOO_LONG, AttemptError, TeacherError

if TYPE_CHECKING:
    from arkor_dev.backend.client import Backend
    from arkor_dev.teacher.request import TeacherRequest

BASE: Final = "base"
"""Instead of an address: the backend's own base model."""
LONGEST_TEXT: Final = 600


class BackendTeacher:
    """A base model of the backend, such as the one that is fine-tuned."""

    address = BASE
    host = "this project's backend"
    at_once = 1

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def ask(self, request: TeacherRequest) -> Reply:
        body = {
            "messages": list(request.messages),
            "baseModel": request.model,
            "maxTokens": request.max_tokens,
            "temperature": request.temperature,
            "stream": True,
            "responseFormat": {
                "type": "json_schema",
                "json_schema": {"name": "rows", "schema": _with_ends(request.schema)},
            },
        }
        try:
            async with asyncio.timeout(SECONDS), self._backend.chat(body) as answer:
                return await self._reply(answer, request.max_tokens)
        except TooLongError:
            raise AttemptError(TOO_LONG, cost=True) from None
        except TemporaryError as fault:
            raise AttemptError(fault.text, cost=True) from None
        except TimeoutError:
            raise AttemptError(f"no answer within {SECONDS:g} s", cost=True) from None
        except (aiohttp.ClientError, OSError):
            raise AttemptError("the backend broke off its answer", cost=True) from None
        except ArkorError as fault:
            raise TeacherError(fault.text) from None

    async def _reply(self, answer: aiohttp.ClientResponse, max_tokens: int) -> Reply:
        splitter, size, text, usage = FrameSplitter(), 0, list[str](), None
        while data := await answer.content.readany():
            size += len(data)
            if size > LARGEST:
                raise TooLongError
            for frame in frames_in(splitter.feed(data)):
                event = read_event(frame)
                if not isinstance(event.data, dict):
                    continue
                if event.name == CHAT_ERROR:
                    raise TeacherError(
                        one_line(event.data.get("error") or "The backend broke off its answer.")
                    )
                if event.name == "message":
                    usage = event.data.get("usage") or usage
                    text.append(text_of(event.data, "delta"))
        return Decoder(None).reply("".join(text), usage, max_tokens)


def _with_ends(schema: object) -> object:
    """Return the schema with a maximum length for every string: a small model may repeat itself forever.

    OpenAI's own server refuses such limits.
    """
    if isinstance(schema, list):
        return [_with_ends(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    limited = {"maxLength": LONGEST_TEXT} if schema.get("type") == "string" else {}
    return limited | {key: _with_ends(value) for key, value in schema.items()}
