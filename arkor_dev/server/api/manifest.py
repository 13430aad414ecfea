"""The project's trainers, and changes of settings that are written into its file."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

from aiohttp import web

from arkor_dev.contract.bodies import changes_fault
from arkor_dev.contract.errors import ArkorError
from arkor_dev.contract.rules import FILLED, FLAG, WEIGHT, Rule, text_line
from arkor_dev.contract.schema import Field, Schema
from arkor_dev.data.exclusions import are_entries
from arkor_dev.data.forms import COLUMNS as OURS
from arkor_dev.server.app_keys import MANIFEST, SETTINGS, WATCH
from arkor_dev.server.negotiation import has

from .envelope import fault_answer, read_object

if TYPE_CHECKING:
    from arkor_dev.project.write_settings import DatasetChange

NOT_MODIFIED: Final = 304
WAIT: Final = re.compile(r"wait=([0-9]{1,4})")
LONGEST_WAIT: Final = 25
"""Seconds: an edit that goes unnoticed, on a network file system for example, shows after so long at most."""

WRITE = Schema(
    Field("trainer", FILLED, needed=True),
    Field("revision", FILLED, needed=True),
    Field("settings", Rule("object"), needed=True),
    Field("preview", FLAG, null=True),
    also=lambda body: changes_fault(body["settings"]),
)

UNDO = Schema(Field("revision", FILLED, needed=True))
COLUMNS = Rule("object", test=lambda value: is_columns(value), noun="an object with a name for each column")
ENTRIES = Rule(
    "other", test=lambda value: bool(value) and are_entries(value), noun="a list of rows by their hashes"
)
WEIGHTS = Rule(
    "other",
    noun=f"a list of weights, each {WEIGHT.words}",
    test=lambda value: isinstance(value, list) and bool(value) and all(map(WEIGHT.fits, value)),
)
DATASET_CHANGES = ("path", "columns", "exclude", "include", "weights")
DATASET = Schema(
    Field("trainer", FILLED, needed=True),
    Field("revision", FILLED, needed=True),
    Field("path", FILLED, null=True),
    Field("part", Rule("whole", 0, 99), null=True),
    Field("columns", COLUMNS, null=True),
    Field("exclude", ENTRIES, null=True),
    Field("include", ENTRIES, null=True),
    Field("weights", WEIGHTS, null=True),
    Field("preview", FLAG, null=True),
    also=lambda body: (
        None
        if sum(body.get(key) is not None for key in DATASET_CHANGES) == 1
        else f"needs exactly one of {', '.join(DATASET_CHANGES)}"
    ),
)


def is_columns(value: object) -> bool:
    """Return whether ``value`` maps some of our columns to names."""
    return (
        isinstance(value, dict)
        and bool(value)
        and value.keys() <= set(OURS)
        and all(text_line(200).fits(name) for name in value.values())
    )


async def manifest(request: web.Request) -> web.Response:
    """``GET /api/manifest``: the project's trainers.

    The ETag also covers the files that ``arkor.toml`` names. With ``Prefer: wait=SECONDS`` (RFC 7240) a
    response that the page has is held until the project is edited. An error has an ETag, too, since browsers
    log each 400 to the console.
    """
    since = request.app[WATCH].edits
    answer = await _manifest(request)
    if answer.status == NOT_MODIFIED and (wait := WAIT.fullmatch(request.headers.get("Prefer", ""))):
        await request.app[WATCH].changed(since, min(int(wait[1]), LONGEST_WAIT))
        answer = await _manifest(request)
    return answer


async def _manifest(request: web.Request) -> web.Response:
    state = await request.app[WATCH].files_state()
    try:
        try:
            read = await request.app[MANIFEST].read()
        except ArkorError:
            if await request.app[WATCH].settled():
                raise
            read = await request.app[MANIFEST].read()  # an editor empties a file before it writes it
        answer = web.json_response(read)
    except ArkorError as error:
        answer = fault_answer(error)
    tag = hashlib.sha256((answer.body or b"") + state).hexdigest()[:32]  # type: ignore[operator]
    if has(request, tag):
        answer = web.Response(status=NOT_MODIFIED)
    answer.etag = tag
    return answer


async def write(request: web.Request) -> web.Response:
    """``POST /api/manifest/settings``: write settings into the file; ``preview`` only returns the diff."""
    body = await read_object(request, WRITE)
    answer = await request.app[MANIFEST].write_settings(
        body["trainer"], body["revision"], body["settings"], preview=bool(body.get("preview"))
    )
    return web.json_response(answer)


async def undo(request: web.Request) -> web.Response:
    """``POST /api/manifest/undo``: the file as it was before Studio's last write."""
    body = await read_object(request, UNDO)
    return web.json_response(await request.app[MANIFEST].undo(body["revision"]))


async def dataset(request: web.Request) -> web.Response:
    """``POST /api/manifest/dataset``: a new file, the meaning of columns, rows to exclude or
    include, or the weights of all sources.

    With ``preview``, only returns how the file would change.
    """
    body = await read_object(request, DATASET)
    change: DatasetChange = {}
    for key in ("path", "part", "columns", "exclude", "include", "weights"):
        if body.get(key) is not None:
            change[key] = body[key]
    answer = await request.app[MANIFEST].write_dataset(
        body["trainer"], body["revision"], change, preview=bool(body.get("preview"))
    )
    return web.json_response(answer)


async def data(request: web.Request) -> web.Response:
    """``GET /api/manifest/data?trainer=``: findings in its rows within a few seconds."""
    from arkor_dev.project.data_check import check_in_child  # not needed for the page's first byte

    project = request.app[SETTINGS].project
    return web.json_response(await check_in_child(project, request.query.get("trainer", "")))


ROUTES = [
    web.get("/api/manifest", manifest),
    web.get("/api/manifest/data", data),
    web.post("/api/manifest/settings", write),
    web.post("/api/manifest/undo", undo),
    web.post("/api/manifest/dataset", dataset),
]
