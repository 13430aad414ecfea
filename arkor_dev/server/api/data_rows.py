"""Rows of the project's own data files, edited in place (docs/contract.md#editing-rows)."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Final

from aiohttp import web

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.contract.rules import FILLED, FLAG, TEXT, Rule, string
from arkor_dev.contract.schema import Field, Schema
from arkor_dev.data.exclusions import ENTRY
from arkor_dev.data.mending import KINDS
from arkor_dev.server.app_keys import MANIFEST, SETTINGS

from .envelope import read_object

if TYPE_CHECKING:
    from arkor_dev.project.data_editor import DataEditor

CHANGES: Final = 1000
AFTER: Final = 100
"""Maximum number of changes of one request, and most rows that one is split into."""
RECORDS: Final = Rule("list", 0, AFTER, noun=f"a list of up to {AFTER} records", of=Rule("object"))
ENTRY_RULE: Final = string("a row's entry", ENTRY.fullmatch)


def _does_one_thing(change: dict[str, object]) -> str | None:
    keys = [key for key in ("record", "text", "delete") if change.get(key) not in (None, False)]
    if len(keys) > 1:
        return f"has {' and '.join(keys)}: give one of them"
    if change.get("after") and (change.get("record") is None or change.get("insert")):
        return "has after: give the row's own record, too, and not insert"
    if change.get("into") and not change.get("delete"):
        return "has into: a row that is merged is deleted"
    if change.get("insert"):
        return "has delete and insert: give one of them" if change.get("delete") else None
    return None if keys else "needs one of record, text, delete and insert"


CHANGE = Schema(
    Field("source", Rule("whole", 0, 99), needed=True),
    Field("entry", ENTRY_RULE, needed=True),
    Field("record", Rule("object"), null=True),
    Field("text", TEXT, null=True),
    Field("delete", FLAG, null=True),
    Field("insert", FLAG, null=True),
    Field("after", RECORDS, null=True),
    Field("into", ENTRY_RULE, null=True),
    also=_does_one_thing,
)
WRITE = Schema(
    Field("trainer", FILLED, needed=True),
    Field(
        "changes",
        Rule("list", 1, CHANGES, noun=f"a list of 1 to {CHANGES:,} changes"),
        needed=True,
        inner=CHANGE,
    ),
)
FIX = Schema(
    Field("trainer", FILLED, needed=True),
    Field("only", Rule("list", 0, 50, of=Rule("choice", choices=KINDS)), null=True),
    Field("row", Rule("whole", 1, 2**32), null=True),
    Field("preview", FLAG, null=True),
)
UNPACK = Schema(
    Field("trainer", FILLED, needed=True),
    Field("revision", FILLED, needed=True),
    Field("source", Rule("whole", 0, 99), needed=True),
)
UNDO = Schema(Field("undo", FILLED, needed=True))


def editor_of(request: web.Request) -> DataEditor:
    """Return the editor of this Studio's project."""
    return request.app[MANIFEST].editor


def number_in(request: web.Request, name: str, least: int = 1) -> int:
    """Return a row's number, or a number of rows, from the query. Raises BadRequestError."""
    text = request.query.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) >= least):
        raise BadRequestError(f"{name} must be the number of a row, from {least}.")
    return int(text)


async def row(request: web.Request) -> web.Response:
    """``GET /api/data/row?trainer=&row=``: one row, to be edited."""
    editor, number = editor_of(request), number_in(request, "row")
    editable = await asyncio.to_thread(editor.row, request.query.get("trainer", ""), number)
    return web.json_response(editable, dumps=lambda value: json.dumps(value, allow_nan=False))


async def write(request: web.Request) -> web.Response:
    """``POST /api/data/rows``: change, add or remove rows."""
    from arkor_dev.project.data_editor import RowChange

    body = await read_object(request, WRITE)
    changes = [
        RowChange(
            change["source"],
            change["entry"],
            change.get("record"),
            change.get("text"),
            delete=bool(change.get("delete")),
            insert=bool(change.get("insert")),
            after=change.get("after") or (),
            into=change.get("into") or "",
        )
        for change in body["changes"]
    ]
    return web.json_response(await asyncio.to_thread(editor_of(request).change, body["trainer"], changes))


async def undo(request: web.Request) -> web.Response:
    """``POST /api/data/undo``: undo a change, or redo it."""
    body = await read_object(request, UNDO)
    return web.json_response(await asyncio.to_thread(editor_of(request).undo, body["undo"]))


async def fix(request: web.Request) -> web.Response:
    """``POST /api/data/fixes``: fix what a check finds; ``preview`` only returns how rows would change."""
    from arkor_dev.project.data_fix import changes_of, files_to_fix, fixes_in_child

    body = await read_object(request, FIX)
    project = request.app[SETTINGS].project
    fixes = await fixes_in_child(project, body["trainer"], body.get("only") or [], body.get("row"))
    if not body.get("preview") and fixes["changes"]:
        editor, changes = editor_of(request), changes_of(fixes)

        def write_fixes() -> str:
            files, held_out = files_to_fix(project, body["trainer"])
            return editor.change_files([*files, *held_out], changes)["undo"]

        fixes["undo"] = await asyncio.to_thread(write_fixes)
    return web.json_response({**fixes, "changes": []})


async def unpack(request: web.Request) -> web.Response:
    """``POST /api/data/unpack``: copy a packed file into one that can be edited, and train on that."""
    body = await read_object(request, UNPACK)
    answer = await request.app[MANIFEST].unpack(body["trainer"], body["revision"], body["source"])
    return web.json_response(answer)


ROUTES = [
    web.post("/api/data/unpack", unpack),
    web.post("/api/data/fixes", fix),
    web.get("/api/data/row", row),
    web.post("/api/data/rows", write),
    web.post("/api/data/undo", undo),
]
