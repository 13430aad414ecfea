"""The files of an export (docs/contract.md#exports)."""

from __future__ import annotations

from typing import Final

from aiohttp import hdrs, web

from arkor_dev.server.app_keys import BACKEND

PASSED: Final = ("Content-Length", "Content-Range", "Accept-Ranges", "ETag", "Last-Modified")
CHUNK: Final = 2**18


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


ROUTES = [web.get("/api/jobs/{id}/exports/{export}/files/{name}", file)]
