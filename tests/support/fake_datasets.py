"""The fake backend's feature ``datasets``: rows of its memory, tokenized word by word.

A word, with the space before it, is a token, and so is each sign and each line's end; a message is written as
``<s>role`` and a line's end, its content, ``</s>`` and a line's end.
"""

from __future__ import annotations

import functools
import json
import math
import random
import re
import secrets
from itertools import groupby
from typing import TYPE_CHECKING, Any

from aiohttp import web

from .fake_checks import RefusedError, check_job, parsed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TOKEN = re.compile(r"</?s>| ?\w+|[^\w]")
SPECIAL = ("<s>", "</s>")
MOST = 200
CONTEXT = 8_192
SHAPING = (
    "model", "datasetSource", "trainOnResponsesOnly", "completionOnlyLoss", "enableThinking",
    "thoughtWeight", "answerWeight", "trainOnEmptyThoughts", "maxLength",
)  # fmt: skip
"""What of a config makes another view."""

EXCLUDED = {
    "code": "excluded",
    "level": "note",
    "title": "Some rows are excluded",
    "why": "arkor.toml lists them in exclude, so they are not trained on.",
    "fix": "Include a row to train on it again.",
}

Token = tuple[str, float, str]
"""Its text, its weight in the loss, and its role."""
THOUGHT_WEIGHT = 0.3
"""The weight of a conversation's ``reasoning_content``."""


def tokens_of(messages: list[dict[str, str]]) -> list[Token]:
    """A conversation, token by token."""
    return [
        token
        for message in messages
        for token in _tokens(message["role"], message["content"], message.get("reasoning_content", ""))
    ]


@functools.lru_cache(4096)  # all rows are counted again for each answer
def _tokens(role: str, content: str, thoughts: str) -> tuple[Token, ...]:
    if role == "text":
        return tuple((text, 0.0, role) for text in TOKEN.findall(content))
    weight = float(role == "assistant")
    marked = f"<think>\n{thoughts}\n</think>\n\n" if thoughts else ""
    return (
        *((text, 0.0, "template") for text in ("<s>", role, "\n")),
        *((text, THOUGHT_WEIGHT, role) for text in TOKEN.findall(marked)),
        *((text, weight, role) for text in TOKEN.findall(content)),
        ("</s>", weight, role if weight else "template"),
        ("\n", 0.0, "template"),
    )


class FakeDatasets:
    """``rows`` are the conversations of every data set, or a text for one that cannot be read.

    With ``labels`` each is a single message of the role ``text``, and has the label at its place.
    ``shown`` tokens of one are told. ``reading`` holds back all but so many rows; ``findings`` and ``more``
    are told as they are.
    """

    def __init__(self) -> None:
        ask = {"role": "user", "content": "Where is my parcel?"}
        long = {"role": "user", "content": "Tell me all. " * 20}
        answer = {"role": "assistant", "content": "It is on its way."}
        self.rows: list[list[dict[str, str]] | str] = [*([[ask, answer]] * 20), [long, answer]]
        self.labels: list[str] = []
        self.shown = 4_000
        self.reading: int | None = None
        self.left_out: set[int] = set()
        self.findings: list[dict[str, Any]] = []
        self.more: dict[str, Any] = {}
        self.views: dict[str, dict[str, Any]] = {}
        self.embeddings: dict[str, Any] = {"state": "none"}
        self.losses: dict[str, Any] = {"state": "none"}
        self.measuring: dict[str, Any] | None = None
        """Losses as they are once they are requested; measured at once without."""
        self.groups: list[dict[str, Any]] = []
        """Groups of consecutive rows, once they are embedded: at once, unless ``embedding`` holds it back."""
        self.embedding: dict[str, Any] | None = None
        self.file: Path | None = None
        """Chats as JSON Lines, to be read anew whenever a view is opened."""

    def routes(self) -> list[web.RouteDef]:
        one = "/v1/datasets/{id}"
        return [
            web.post("/v1/datasets", self._open),
            web.get(one, self._get),
            web.delete(one, self._delete),
            web.get(one + "/lengths", self._lengths),
            web.get(one + "/rows", self._list),
            web.get(one + "/rows/{row}", self._row),
            web.get(one + "/find", self._find),
            web.post(one + "/render", self._render),
            web.post(one + "/embeddings", self._embed),
            web.get(one + "/embeddings", self._embedded),
            web.delete(one + "/embeddings", self._cancel),
            web.get(one + "/similar", self._similar),
            web.get(one + "/groups", self._grouped),
            web.get(one + "/map", self._map),
            web.post(one + "/losses{job:(/.+)?}", self._measure),
            web.get(one + "/losses{job:(/.+)?}", self._measured),
            web.delete(one + "/losses{job:(/.+)?}", self._cancel_losses),
            web.get(one + "/surprising", self._surprising),
        ]

    async def _embed(self, request: web.Request) -> web.Response:
        self._known(request)
        self.embeddings = self.embedding or {"state": "completed"}
        return web.json_response({"embeddings": self.embeddings})

    async def _embedded(self, request: web.Request) -> web.Response:
        self._known(request)
        return web.json_response({"embeddings": self.embeddings})

    async def _cancel(self, request: web.Request) -> web.Response:
        self._known(request)
        self.embeddings = {"state": "none"}
        return web.Response(status=204)

    async def _measure(self, request: web.Request) -> web.Response:
        self._known(request)
        self.losses = self.measuring or {"state": "completed"}
        return web.json_response({"losses": self.losses})

    async def _measured(self, request: web.Request) -> web.Response:
        self._known(request)
        return web.json_response({"losses": self.losses})

    async def _cancel_losses(self, request: web.Request) -> web.Response:
        self._known(request)
        self.losses = {"state": "none"}
        return web.Response(status=204)

    def _need_embeddings(self, request: web.Request) -> None:
        self._known(request)
        if self.embeddings["state"] != "completed":
            raise RefusedError(409, "The rows are not embedded yet.")

    def _group_of(self, row: int) -> int:
        """The group of a row: groups are of consecutive rows."""
        last = 0
        for at, group in enumerate(self.groups):
            last += group["rows"]
            if row <= last:
                return at
        return -1

    async def _similar(self, request: web.Request) -> web.Response:
        self._need_embeddings(request)
        own, count = int(request.query.get("row", 1)), int(request.query.get("count", 10))
        if not 1 <= own <= len(self.rows):
            raise RefusedError(404, "This row does not exist.")
        numbers = [row for row in range(1, len(self.rows) + 1) if row != own]
        numbers.sort(key=lambda row: (self._group_of(row) != self._group_of(own), abs(row - own)))
        found = []
        for place, row in enumerate(numbers[:count]):
            said = self.rows[row - 1]
            excerpt = said if isinstance(said, str) else said[-2]["content"]
            found.append({"row": row, "similarity": round(0.97 - 0.05 * place, 2), "excerpt": excerpt})
        return web.json_response({"similar": found})

    async def _grouped(self, request: web.Request) -> web.Response:
        self._need_embeddings(request)
        held_out = sum(group["heldOut"] for group in self.groups)
        told = {"rows": len(self.rows), "heldOut": held_out, "skipped": 0, "groups": self.groups}
        return web.json_response({"groups": told})

    async def _map(self, request: web.Request) -> web.Response:
        self._need_embeddings(request)
        numbers, chance = list(range(1, len(self.rows) + 1)), random.Random(3)
        groups = [self._group_of(row) for row in numbers]

        def scattered(turn: float) -> list[float]:
            return [math.cos(2 * group + turn) * 0.6 + chance.gauss(0, 0.13) for group in groups]

        told = {"rows": numbers, "x": scattered(0), "y": scattered(1.6), "groups": groups}
        return web.json_response({"map": told})

    async def _surprising(self, request: web.Request) -> web.Response:
        self._known(request)
        if self.losses["state"] != "completed":
            raise RefusedError(409, "The rows' losses are not measured yet.")
        start, count = int(request.query.get("from", 1)), int(request.query.get("count", 100))
        numbers = range(len(self.rows), 0, -1)[start - 1 : start - 1 + count]
        told = [{"row": row, "loss": round(4 - 0.1 * place, 2)} for place, row in enumerate(numbers)]
        return web.json_response({"surprising": told})

    async def _open(self, request: web.Request) -> web.Response:
        body = parsed(await request.read())
        check_job({"name": "view", **body})
        config = {field: body["config"].get(field) for field in SHAPING}
        if self.file is not None:
            config["content"] = self.file.read_text()
            self.rows = [json.loads(line)["messages"] for line in config["content"].splitlines()]
        view_id = next((key for key, known in self.views.items() if known == config), secrets.token_hex(4))
        self.views[view_id] = config
        return web.json_response({"dataset": self._told(view_id)}, status=201)

    def _known(self, request: web.Request) -> str:
        view_id = request.match_info["id"]
        if view_id not in self.views:
            raise RefusedError(404, "This data set is not open.")
        return view_id

    def _read(self) -> list[list[Token]]:
        rows = self.rows if self.reading is None else self.rows[: self.reading]
        return [[] if isinstance(row, str) else tokens_of(row) for row in rows]

    def _told(self, view_id: str) -> dict[str, Any]:
        config, read = self.views[view_id], self._read()
        every = [token for row in read for token in row]
        roles: dict[str, int] = {}
        for _, _, role in every:
            roles[role] = roles.get(role, 0) + 1
        source = config["datasetSource"]
        excluded = self._excluded(view_id)
        rows = [{"row": row, "where": f"data, line {row}", "excerpt": "Where?"} for row in excluded]
        return {
            "id": view_id,
            "state": "ready" if len(read) == len(self.rows) else "reading",
            "source": source.get("path") or source.get("name") or "data",
            "form": "chat, JSON Lines",
            "model": config["model"],
            "rows": len(self.rows),
            "indexed": len(self.rows),
            "read": len(read),
            "excluded": len(rows),
            "leftOut": 0,
            "maxLength": min(config.get("maxLength") or 512, CONTEXT),
            "context": CONTEXT,
            "tokens": len(every),
            "learned": sum(weight > 0 for _, weight, _ in every),
            "roles": roles,
            "findings": [*self.findings, *([{**EXCLUDED, "count": len(rows), "rows": rows}] if rows else [])],
            **self.more,
        }

    def _excluded(self, view_id: str) -> list[int]:
        """The rows that the view's source excludes: an entry of the fake is a row's number in hexadecimal."""
        entries = self.views[view_id]["datasetSource"].get("exclude") or []
        return sorted(int(entry, 16) for entry in entries)

    async def _get(self, request: web.Request) -> web.Response:
        return web.json_response({"dataset": self._told(self._known(request))})

    async def _delete(self, request: web.Request) -> web.Response:
        del self.views[self._known(request)]
        return web.Response(status=204)

    async def _lengths(self, request: web.Request) -> web.Response:
        self._known(request)
        read = [row for row in self._read() if row]
        top = max((len(row) for row in read), default=0) + 1
        rows, learned, first = [0] * top, [0] * top, [0] * top
        for row in read:
            rows[len(row)] += 1
            places = [place for place, (_, weight, _) in enumerate(row) if weight]
            for place in places:
                learned[place] += 1
            if places:
                first[places[0]] += 1
        counts = {"read": len(read), "rows": rows, "learned": learned, "first": first}
        return web.json_response({"lengths": {**counts, "beyond": 0, "learnedBeyond": 0}})

    def _short(self, number: int, view_id: str) -> dict[str, Any]:
        row = self.rows[number - 1]
        short = {"row": number, "where": f"data, line {number}", "excerpt": "", "length": 0, "learned": 0}
        if isinstance(row, str):
            return {**short, "error": row}
        if self.labels:
            short["label"] = self.labels[number - 1]
        if number in self._excluded(view_id):
            short["excluded"] = True
        tokens = tokens_of(row)
        excerpt = next((message["content"] for message in row if message["role"] in ("user", "text")), "")
        learned = sum(weight > 0 for _, weight, _ in tokens)
        if number in self.left_out:
            short["leftOut"] = True
        return {**short, "excerpt": excerpt[:120], "length": len(tokens), "learned": learned}

    async def _list(self, request: web.Request) -> web.Response:
        view_id = self._known(request)
        start, count = _whole(request, "from", 1), _whole(request, "count", 50)
        if count > MOST:
            raise RefusedError(400, f"count has to be {MOST} at most.")
        last = min(start + count - 1, len(self.rows))
        numbers = range(max(1, start), last + 1)
        return web.json_response({"rows": [self._short(number, view_id) for number in numbers]})

    async def _row(self, request: web.Request) -> web.Response:
        view_id = self._known(request)
        asked = request.match_info["row"]
        if not asked.isdigit() or not 1 <= int(asked) <= len(self.rows):
            raise RefusedError(404, "This row does not exist.")
        number = int(asked)
        short, row = self._short(number, view_id), self.rows[number - 1]
        told = self._token_by_token(short, [] if isinstance(row, str) else tokens_of(row))
        excluded = number in self._excluded(view_id)
        exclusion = {"source": 0, "entry": f"{number:016x}", "excluded": excluded}
        more = {"raw": "{not json"} if isinstance(row, str) else {"exclusion": exclusion}
        return web.json_response({"row": {**told, **more}})

    async def _render(self, request: web.Request) -> web.Response:
        self._known(request)
        record = parsed(await request.read()).get("record")
        if not isinstance(record, dict):
            raise RefusedError(400, "record must be an object.")
        turns = [("user", record.get("prompt")), ("assistant", record.get("completion"))]
        messages = record.get("messages") or [{"role": role, "content": text} for role, text in turns]
        tokens = tokens_of([message for message in messages if isinstance(message["content"], str)])
        learned = sum(weight > 0 for _, weight, _ in tokens)
        short = {"row": 0, "where": "data", "length": len(tokens), "learned": learned}
        rendered = self._token_by_token(short, tokens)
        if any(turn["role"] == "assistant" and turn["content"] == "" for turn in messages):
            rendered |= {"error": "has an empty answer", "shown": 0}
        return web.json_response({"row": rendered})

    def _token_by_token(self, short: dict[str, Any], tokens: list[Token]) -> dict[str, Any]:
        shown = tokens[: self.shown]
        roles: dict[str, int] = {}
        for _, _, role in tokens:
            roles[role] = roles.get(role, 0) + 1
        return {
            **{key: value for key, value in short.items() if key not in ("excerpt", "excluded")},
            "examples": [len(tokens)],
            "first": next((place for place, token in enumerate(tokens) if token[1]), None),
            "roles": roles,
            "shown": len(shown),
            "ids": [sum(text.encode()) for text, _, _ in shown],
            "texts": [text for text, _, _ in shown],
            "special": [place for place, (text, _, _) in enumerate(shown) if text in SPECIAL],
            "runs": [
                {"count": len(list(run)), "weight": weight, "role": role}
                for (weight, role), run in groupby(shown, lambda token: token[1:])
            ],
        }

    async def _find(self, request: web.Request) -> web.Response:
        self._known(request)
        after, read = _whole(request, "after", 0), self._read()
        order = range(after + 1, len(read) + 1)
        query = request.query
        fits: Callable[[int], bool]
        match query.get("want"):
            case "longest":
                ranked = sorted(range(1, len(read) + 1), key=lambda number: (-len(read[number - 1]), number))
                at = ranked.index(after) + 1 if after in ranked else 0
                found = ranked[at] if at < len(ranked) else None
                return web.json_response({"found": {"row": found, "reached": len(read)}})
            case "longer":
                than = _whole(request, "than", 0)
                fits = lambda number: len(read[number - 1]) > than  # noqa: E731
            case "finding":
                named = {
                    row["row"]
                    for finding in self.findings
                    if finding["code"] == query.get("code")
                    for row in finding["rows"]
                }
                fits = named.__contains__
            case "text":
                wanted = query.get("text", "").lower()
                role, least = query.get("role", ""), _whole(request, "least", 0)
                group = int(query["group"]) if "group" in query else None
                if not wanted and not role and not least and group is None:
                    raise RefusedError(400, "text is missing.")

                def fits(number: int) -> bool:
                    if group is not None and self._group_of(number) != group:
                        return False
                    said = [
                        message["content"].lower()
                        for message in self.rows[number - 1]
                        if isinstance(message, dict) and role in ("", message["role"])
                    ]
                    return len(read[number - 1]) >= least and any(wanted in text for text in said)
            case _:
                raise RefusedError(400, "want is not known.")
        rows = [number for number in order if fits(number)]
        count = _whole(request, "count", 0)
        listed = {"rows": rows[:count]} if count else {}
        reached = rows[count - 1] if 0 < count <= len(rows) else len(read)
        return web.json_response({"found": {"row": rows[0] if rows else None, "reached": reached, **listed}})


def _whole(request: web.Request, name: str, otherwise: int) -> int:
    text = request.query.get(name, str(otherwise))
    if not text.isdigit():
        raise RefusedError(400, f"{name} has to be a whole number.")
    return int(text)
