"""Judgements of rows (docs/contract.md#judging-rows)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Concatenate, Final, ParamSpec, TypeVar

from aiohttp import web

from arkor_dev.contract.errors import BadRequestError, NotFoundError
from arkor_dev.contract.rules import Rule, string, text_line
from arkor_dev.contract.schema import Field, Schema
from arkor_dev.data.exclusions import ENTRY
from arkor_dev.data.reviews import BY_LIMIT, COMMENT_LIMIT, TAG_LIMIT, TAGS, VERDICTS
from arkor_dev.server.app_keys import SETTINGS

from .data_rows import editor_of, number_in
from .envelope import read_object

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from arkor_dev.contract.dataset_shapes import Review
    from arkor_dev.data.reviews import Reviews
    from arkor_dev.project.data_editor import FileRows

_P = ParamSpec("_P")
_T = TypeVar("_T")

MARKS: Final = 200
"""Maximum number of rows whose marks are returned at once."""
AMONG: Final = 500
TAG: Final = text_line(TAG_LIMIT)
REVIEW: Final = Schema(
    Field("row", string("a row's hash", ENTRY.fullmatch), needed=True),
    Field("file", text_line(1000), null=True),
    Field("verdict", Rule("choice", choices=VERDICTS), null=True),
    Field("tags", Rule("list", 0, TAGS, noun=f"a list of up to {TAGS} tags", of=TAG), null=True),
    Field(
        "comment",
        string(f"text of up to {COMMENT_LIMIT:,} characters", lambda text: len(text) <= COMMENT_LIMIT),
        null=True,
    ),
    Field("by", text_line(BY_LIMIT), needed=True),
)


async def _answer(
    request: web.Request,
    work: Callable[Concatenate[Reviews, Sequence[FileRows], _P], _T],
    *more: _P.args,
    **named: _P.kwargs,
) -> _T:
    """Return ``work(reviews, files, *more)`` for the trainer of the query."""
    from arkor_dev.project.reviews import reviews_of

    editor, project = editor_of(request), request.app[SETTINGS].project
    trainer = request.query.get("trainer", "")
    return await asyncio.to_thread(
        lambda: work(reviews_of(project), editor.files_of(trainer), *more, **named)
    )


async def get(request: web.Request) -> web.Response:
    """``GET /api/data/reviews?trainer=``: the counts."""
    from arkor_dev.project.reviews import summary

    return web.json_response(await _answer(request, summary))


async def rows(request: web.Request) -> web.Response:
    """``GET /api/data/reviews/rows?trainer=&from=&count=``: the verdicts of some rows."""
    from arkor_dev.project.reviews import marks

    first, count = number_in(request, "from"), min(MARKS, number_in(request, "count"))
    return web.json_response({"rows": await _answer(request, marks, first, count)})


async def row(request: web.Request) -> web.Response:
    """``GET /api/data/reviews/row?trainer=&row=&entry=``: all judgements of one row; ``entry`` names it as
    ``exclude`` does, and is needed for a row outside the project.
    """
    from arkor_dev.project.data_editor import config_of, outside_name, outside_words
    from arkor_dev.project.reviews import reviewed_row

    entry = request.query.get("entry", "")
    if entry and not ENTRY.fullmatch(entry):
        raise BadRequestError("entry must be a row's hash, in the form of exclude.")
    project, trainer = request.app[SETTINGS].project, request.query.get("trainer", "")
    config = await asyncio.to_thread(config_of, project, trainer)
    more = number_in(request, "row"), entry, outside_name(config)
    try:
        return web.json_response(await _answer(request, reviewed_row, *more))
    except NotFoundError:
        raise NotFoundError(outside_words(config)) from None


async def following(request: web.Request) -> web.Response:
    """``GET /api/data/reviews/next?trainer=&after=&want=&by=&tag=&among=``: the next row to go through, or
    null; with ``among``, numbers separated by commas, the first of these rows.
    """
    from arkor_dev.project.reviews import WANTED, next_row

    query = request.query
    want, tag = query.get("want", ""), query.get("tag", "")
    if want not in WANTED and not (want == "" and tag):
        raise BadRequestError(f"want must be one of {', '.join(WANTED)}.")
    after = number_in(request, "after", least=0)
    numbers = query["among"].split(",") if query.get("among") else []
    if len(numbers) > AMONG or not all(
        text.isascii() and text.isdigit() and len(text) <= 10 for text in numbers
    ):
        raise BadRequestError(f"among must be up to {AMONG} numbers of rows, separated by commas.")
    among = [int(text) for text in numbers]
    row = await _answer(request, next_row, want, after, query.get("by", ""), tag, among)
    return web.json_response({"row": row})


async def add(request: web.Request) -> web.Response:
    """``POST /api/data/reviews``: judge a row."""
    from arkor_dev.project.reviews import add_reviews

    body = await read_object(request, REVIEW)
    review: Review = {"row": body["row"][:16], "by": body["by"]}
    for key in ("file", "verdict", "comment"):
        if body.get(key):
            review[key] = body[key]
    if body.get("tags"):
        review["tags"] = list(dict.fromkeys(body["tags"]))
    await asyncio.to_thread(add_reviews, request.app[SETTINGS].project, [review])
    return web.json_response({})


ROUTES = [
    web.get("/api/data/reviews", get),
    web.post("/api/data/reviews", add),
    web.get("/api/data/reviews/rows", rows),
    web.get("/api/data/reviews/row", row),
    web.get("/api/data/reviews/next", following),
]
