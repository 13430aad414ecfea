"""Exports of a job's result for other programs (docs/contract.md#exports)."""

from __future__ import annotations

from typing import Final

from aiohttp import hdrs, web

from arkor_dev.contract.bodies import EXPORT
from arkor_dev.server.app_keys import BACKEND

from .envelope import answered, read_object

PASSED: Final = ("Content-Length", "Content-Range", "Accept-Ranges", "ETag", "Last-Modified")
CHUNK: Final = 2**18


async def create(request: web.Request) -> web.Response:
    """``POST /api/jobs/:id/exports`` ``{format, step?}``: the backend's ``{export}``."""
    body = await read_object(request, EXPORT)
    return answered(await request.app[BACKEND].create_export(request.match_info["id"], body))


async def listed(request: web.Request) -> web.Response:
    """``GET /api/jobs/:id/exports``: the backend's ``{exports}``."""
    return answered(await request.app[BACKEND].list_exports(request.match_info["id"]))


async def one(request: web.Request) -> web.Response:
    """``GET /api/jobs/:id/exports/:export``: the backend's ``{export}``."""
    names = request.match_info
    return answered(await request.app[BACKEND].get_export(names["id"], names["export"]))


async def remove(request: web.Request) -> web.Response:
    """``DELETE /api/jobs/:id/exports/:export``: stop it and delete its files."""
    names = request.match_info
    return answered(await request.app[BACKEND].delete_export(names["id"], names["export"]))


async def file(request: web.Request) -> web.StreamResponse:
    """``GET /api/jobs/:id/exports/:export/files/:name``: a download, possibly a byte range."""
    names = request.match_info
    opened = request.app[BACKEND].export_file(
        names["id"], names["export"], names["name"], request.headers.get("Range")
    )
    async with opened as source:
        answer = web.StreamResponse(status=source.status, headers={"Content-Disposition": "attachment"})
        for header in PASSED:
            if header in source.headers:
                answer.headers[header] = source.headers[header]
        answer.content_type = "application/octet-stream"
        await answer.prepare(request)
        if request.method != hdrs.METH_HEAD:
            async for chunk in source.content.iter_chunked(CHUNK):
                await answer.write(chunk)
    return answer


ROUTES = [
    web.post("/api/jobs/{id}/exports", create),
    web.get("/api/jobs/{id}/exports", listed),
    web.get("/api/jobs/{id}/exports/{export}", one),
    web.delete("/api/jobs/{id}/exports/{export}", remove),
    web.get("/api/jobs/{id}/exports/{export}/files/{name}", file),
]
