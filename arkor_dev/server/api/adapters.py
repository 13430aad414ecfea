"""Adapters that other programs have trained: received from the page, and judged by the backend."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Final, TypeVar

from aiohttp import BodyPartReader, web

from arkor_dev.contract.errors import BackendError, BadRequestError, SlowRequestError
from arkor_dev.server.app_keys import BACKEND, JOBS, SETTINGS

from .envelope import BODY_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from arkor_dev.project.dropped_adapter import DroppedAdapter

_T = TypeVar("_T")

PIECE: Final = 1 << 20


async def judge(request: web.Request) -> web.Response:
    """``POST /api/adapters?name=&data=&model=``: import the two files of the form, and evaluate them.

    ``name`` is the folder's, ``data`` a file of the project with rows that are new to the adapter, ``model``
    its base unless it names one. Returns the backend's ``{job}``, which is being evaluated.
    """
    from arkor_dev.project.dropped_adapter import DroppedAdapter

    query, backend = request.query, request.app[BACKEND]
    if not query.get("data"):
        raise BadRequestError("Name a file of the project with rows that the adapter was not trained on.")
    adapter = DroppedAdapter(request.app[SETTINGS].data, query.get("name", ""))
    await asyncio.to_thread(adapter.open)
    try:
        await _receive(request, adapter)
        body = {"path": str(adapter.path), "data": query["data"]}
        answered = await backend.import_adapter(
            {**body, **({"model": model} if (model := query.get("model")) else {})}
        )
        answer = await backend.evaluate_job(_job_id(answered.body), {"data": query["data"]})
    finally:
        await asyncio.to_thread(adapter.close)
    request.app[JOBS].refresh()
    return web.json_response(json.loads(answer.body))


async def _receive(request: web.Request, adapter: DroppedAdapter) -> None:
    """Write the form's files as they arrive. Raises BadRequestError for another body."""
    if not request.content_type.startswith("multipart/"):
        raise BadRequestError("The request's body is not a form with an adapter's files.")
    try:
        form = await request.multipart()
        while (part := await _in_time(form.next())) is not None:
            if not isinstance(part, BodyPartReader):
                raise BadRequestError("The request's body is not a form with an adapter's files.")
            name = adapter.begin(part.name)
            while piece := await _in_time(part.read_chunk(PIECE)):
                await asyncio.to_thread(adapter.write, name, piece)
    except ValueError:
        raise BadRequestError("The request's body is not a form with an adapter's files.") from None
    adapter.check()


async def _in_time(reading: Awaitable[_T]) -> _T:
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            return await reading
    except TimeoutError:
        raise SlowRequestError("The adapter did not arrive in time.") from None


def _job_id(body: bytes) -> str:
    try:
        return str(json.loads(body)["job"]["id"])
    except (ValueError, KeyError, TypeError):
        raise BackendError("The backend's answer is unreadable. Try again later.") from None


ROUTES = [web.post("/api/adapters", judge)]
