"""The fake backend's feature ``votes``: ballots in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from .fake_checks import RefusedError, parsed, text, wrong

if TYPE_CHECKING:
    from .fake_backend import FakeBackend

FIELDS = {"voter": 40, "one": 300, "other": 300, "question": 4000}
MOST = 5000


class FakeVotes:
    """``votes`` by job, in order."""

    def __init__(self, fake: FakeBackend) -> None:
        self._fake = fake
        self.votes: dict[str, list[dict[str, Any]]] = {}

    def routes(self) -> list[web.RouteDef]:
        """The routes of the feature."""
        path = "/v1/jobs/{id}/votes"
        one = web.delete(f"{path}/{{vote}}", self._remove)
        return [web.get(path, self._list), web.post(path, self._add), one]

    async def _list(self, request: web.Request) -> web.Response:
        return web.json_response({"votes": self.votes.get(self._fake.job_of(request)["id"], [])})

    async def _add(self, request: web.Request) -> web.Response:
        job, body = self._fake.job_of(request), parsed(await request.read())
        for name, longest in FIELDS.items():
            if len(text(body, name, longest)) > longest or (name != "question" and "\n" in body[name]):
                wrong(f"{name} is no line of at most {longest} characters.")
        if body["one"] == body["other"]:
            wrong("It takes two to choose from.")
        if body.get("choice") not in ("one", "other", "tie") or body.get("left") not in ("one", "other"):
            wrong("choice or left is not known.")
        kept = self.votes.setdefault(job["id"], [])
        if len(kept) >= MOST:
            raise RefusedError(409, "There are too many votes.")
        fields = {name: body[name] for name in (*FIELDS, "choice", "left")}
        vote = {"id": self._fake.new_id("vote"), "at": "2026-06-01T00:00:00Z", **fields}
        kept.append(vote)
        return web.json_response({"vote": vote}, status=201)

    async def _remove(self, request: web.Request) -> web.Response:
        kept = self.votes.get(self._fake.job_of(request)["id"], [])
        left = [vote for vote in kept if vote["id"] != request.match_info["vote"]]
        if len(left) == len(kept):
            raise RefusedError(404, "There is no such vote.")
        kept[:] = left
        return web.Response(status=204)
