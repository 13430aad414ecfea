"""Sets up an empty project: writes the starter, or stores uploaded data.

Imports the code that reads and writes files on demand, since the page's first byte does not need it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from aiohttp import web

from arkor_dev.contract.errors import BadRequestError, SlowRequestError, TooLargeError
from arkor_dev.server.app_keys import SETTINGS

from .envelope import BODY_TIMEOUT

if TYPE_CHECKING:
    from arkor_dev.project.new_data import NewDataFile

UPLOAD_LIMIT: Final = 4 * 2**30
PIECE: Final = 2**20


async def starter(request: web.Request) -> web.Response:
    """``POST /api/project/starter``: write the starter project."""
    from arkor_dev.project.starter import initialize

    files = await asyncio.to_thread(initialize, request.app[SETTINGS].project)
    return web.json_response({"files": [path.as_posix() for path in files]})


async def data(request: web.Request) -> web.Response:
    """``POST /api/project/data?name=``: store the body as a data file, with a first trainer if needed.

    Of a log or a trace the rows are stored instead, and ``note`` says what became of it.
    """
    from arkor_dev.project.import_traces import rows_of_trace
    from arkor_dev.project.new_data import NewDataFile
    from arkor_dev.project.starter import start_from_data

    project = request.app[SETTINGS].project
    file = await asyncio.to_thread(NewDataFile, project, request.query.get("name", ""))
    try:
        await receive(request, file, UPLOAD_LIMIT)
        rows = await rows_of_trace(project, file.path)
        if rows is None:
            await asyncio.to_thread(file.keep)
    finally:
        await asyncio.to_thread(file.close)
    path, note = rows or (file.path, None)
    created = await asyncio.to_thread(start_from_data, project, path)
    return web.json_response({"path": path, "created": created, **({"note": note} if note else {})})


async def receive(request: web.Request, file: NewDataFile, limit: int) -> None:
    """Stream the body, of at most ``limit`` bytes, into ``file``: its size does not matter for memory."""
    size = 0
    while True:
        try:
            async with asyncio.timeout(BODY_TIMEOUT):
                piece = await request.content.read(PIECE)
        except TimeoutError:
            raise SlowRequestError("The file did not arrive in time.") from None
        if not piece:
            break
        size += len(piece)
        if size > limit:
            limit_text = f"{limit >> 30} GiB" if limit >> 30 else f"{limit >> 20} MiB"
            raise TooLargeError(
                f"The file is larger than {limit_text}. Copy it into the project's data folder."
            )
        await asyncio.to_thread(file.write, piece)
    if size == 0:
        raise BadRequestError("The file is empty.")


ROUTES = [
    web.post("/api/project/starter", starter),
    web.post("/api/project/data", data),
]
