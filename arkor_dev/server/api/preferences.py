"""Votes and ratings, stored as rows of the project's data (docs/contract.md#preferences).

Imports the code that reads and writes the file on demand, since the page's first byte does not need it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiohttp import web

from arkor_dev.contract.rules import FILLED, FLAG, TEXT, Rule, text_line
from arkor_dev.contract.schema import Field, Schema
from arkor_dev.server.app_keys import BACKEND, SETTINGS

from .corrections import MESSAGE, MESSAGES, SHORT
from .envelope import read_object

if TYPE_CHECKING:
    from arkor_dev.backend.client import Response
    from arkor_dev.project.preferences import GivenPreference

MODEL = text_line(300, "a model's name, on one line")


def _is_preference(body: dict[str, Any]) -> str | None:
    pair, rating = ("chosen", "rejected"), ("completion", "label")
    keys = {key for key in (*pair, *rating) if body.get(key) is not None}
    if keys not in (set(pair), set(rating)):
        return "Either chosen and rejected, or completion and label, must be given"
    answers = [body[key].strip() for key in ("chosen", "rejected", "completion") if key in keys]
    if not all(answers) or len(set(answers)) < len(answers):
        return "Answers must not be empty, and the two of a pair must differ"
    if len(body["models"]) != len(answers) or not all(map(MODEL.fits, body["models"])):
        return "models must name the model of each answer"
    question = body["prompt"][-1]
    if question["role"] != "user" or not question["content"].strip():
        return "prompt must end with the question"
    return None


ADD = Schema(
    Field(
        "prompt",
        Rule("list", 1, MESSAGES, noun=f"a list of 1 to {MESSAGES} messages"),
        needed=True,
        inner=MESSAGE,
    ),
    Field("chosen", TEXT, null=True),
    Field("rejected", TEXT, null=True),
    Field("completion", TEXT, null=True),
    Field("label", FLAG, null=True),
    Field("by", SHORT, null=True),
    Field("models", Rule("list", 1, 2, noun="a list of 1 or 2 models"), needed=True),
    also=_is_preference,
)
UNDO = Schema(Field("id", FILLED, needed=True))


async def get(request: web.Request) -> web.Response:
    """``GET /api/preferences``: the newest lines, and their numbers."""
    from arkor_dev.project.preferences import read_preferences

    return web.json_response(await asyncio.to_thread(read_preferences, request.app[SETTINGS].project))


async def add(request: web.Request) -> web.Response:
    """``POST /api/preferences``: append one."""
    from arkor_dev.project.preferences import add_preference

    body = await read_object(request, ADD)
    row: GivenPreference = {
        "prompt": [{"role": message["role"], "content": message["content"]} for message in body["prompt"]]
    }
    for key in ("chosen", "rejected", "completion", "label"):
        if body.get(key) is not None:
            row[key] = body[key]
    project = request.app[SETTINGS].project
    added = await asyncio.to_thread(add_preference, project, row, body.get("by") or "", body["models"])
    return web.json_response(added)


async def undo(request: web.Request) -> web.Response:
    """``POST /api/preferences/undo``: remove one, unless a job has learned from it."""
    from arkor_dev.project.preferences import remove_preference

    body = await read_object(request, UNDO)
    learned = _learned(await request.app[BACKEND].list_jobs())
    await asyncio.to_thread(remove_preference, request.app[SETTINGS].project, body["id"], learned)
    return web.json_response({})


def _learned(answer: Response) -> dict[str, list[tuple[str, str]]]:
    """Return the jobs that learned from each file: when each was created, and its name."""
    from arkor_dev.backend.calls import object_of
    from arkor_dev.project.line_file import includes
    from arkor_dev.project.preferences import FILES

    jobs = object_of(answer.body).get("jobs")
    found: dict[str, list[tuple[str, str]]] = {file: [] for file in FILES}
    for job in jobs if isinstance(jobs, list) else []:
        config = job.get("config") if isinstance(job, dict) else None
        source = config.get("datasetSource") if isinstance(config, dict) else None
        for file in FILES:
            if includes(source, file):
                found[file].append((str(job.get("createdAt")), str(job.get("name"))[:200]))
    return found


ROUTES = [
    web.get("/api/preferences", get),
    web.post("/api/preferences", add),
    web.post("/api/preferences/undo", undo),
]
