"""Corrected answers, stored as rows of the project's data (docs/contract.md#corrections).

Imports the code that reads and writes the file on demand, since the page's first byte does not need it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

from arkor_dev.contract.errors import ArkorError
from arkor_dev.contract.rules import FILLED, FLAG, TEXT, Rule, string
from arkor_dev.contract.schema import Field, Schema
from arkor_dev.server.app_keys import MANIFEST, SETTINGS

from .envelope import read_object

if TYPE_CHECKING:
    from arkor_dev.contract.dataset_shapes import Corrections
    from arkor_dev.contract.shapes import ChatMessage
    from arkor_dev.data.rows import RowMessage

MESSAGES = 200
NAME = 300
SHORT = string(f"text of at most {NAME} characters", lambda text: len(text) <= NAME)
MESSAGE = Schema(
    Field("role", Rule("choice", choices=("system", "user", "assistant")), needed=True),
    Field("content", TEXT, needed=True),
)


def _answered(body: dict[str, list[ChatMessage]]) -> str | None:
    question, answer = body["messages"][-2:]
    if answer["role"] != "assistant" or not answer["content"].strip():
        return "messages must end with the corrected answer"
    if question["role"] != "user" or not question["content"].strip():
        return "messages must have the question before the answer"
    return None


ADD = Schema(
    Field(
        "messages",
        Rule("list", 2, MESSAGES, noun=f"a list of 2 to {MESSAGES} messages"),
        needed=True,
        inner=MESSAGE,
    ),
    Field("instead", TEXT, null=True),
    Field("by", SHORT, null=True),
    also=_answered,
)
UNDO = Schema(Field("undo", FILLED, needed=True))
LIST = Schema(
    Field("trainer", FILLED, needed=True),
    Field("revision", FILLED, needed=True),
    Field("preview", FLAG, null=True),
)


async def get(request: web.Request) -> web.Response:
    """``GET /api/corrections``: the newest lines, and the trainers whose data set includes the file."""
    from arkor_dev.project.corrections import FILE, includes_corrections, read_corrections

    rows, older = await asyncio.to_thread(read_corrections, request.app[SETTINGS].project)
    corrections: Corrections = {"file": FILE, "rows": rows, "older": older, "trainers": []}
    try:
        manifest = await request.app[MANIFEST].read()
    except ArkorError:
        return web.json_response(corrections)  # Home reports the problem with the project
    if manifest.get("source") == "arkor.toml":
        corrections["trainers"] = [
            {"name": trainer["name"], "listed": includes_corrections(trainer["config"]["datasetSource"])}
            for trainer in manifest["trainers"]
            if "config" in trainer
        ]
        corrections["revision"] = manifest["revision"]
    return web.json_response(corrections)


async def add(request: web.Request) -> web.Response:
    """``POST /api/corrections``: append one."""
    from arkor_dev.project.corrections import add_correction

    body = await read_object(request, ADD)
    messages: list[RowMessage] = [
        {"role": message["role"], "content": message["content"]} for message in body["messages"]
    ]
    project = request.app[SETTINGS].project
    added = await asyncio.to_thread(
        add_correction, project, messages, body.get("instead") or "", body.get("by") or ""
    )
    return web.json_response(added)


async def undo(request: web.Request) -> web.Response:
    """``POST /api/corrections/undo``: remove the newest line, unless others were appended since."""
    from arkor_dev.project.corrections import undo_correction

    body = await read_object(request, UNDO)
    await asyncio.to_thread(undo_correction, request.app[SETTINGS].project, body["undo"])
    return web.json_response({})


async def list_in(request: web.Request) -> web.Response:
    """``POST /api/corrections/dataset``: add the file to a trainer's data, or ``preview`` the diff."""
    from arkor_dev.project.corrections import FILE

    body = await read_object(request, LIST)
    answer = await request.app[MANIFEST].write_dataset(
        body["trainer"], body["revision"], {"add": FILE}, preview=bool(body.get("preview"))
    )
    return web.json_response(answer)


ROUTES = [
    web.get("/api/corrections", get),
    web.post("/api/corrections", add),
    web.post("/api/corrections/undo", undo),
    web.post("/api/corrections/dataset", list_in),
]
