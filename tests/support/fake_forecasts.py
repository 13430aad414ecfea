"""The fake backend's forecasts: measured after so many looks, and always of the same figures."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from .fake_checks import RefusedError, check_config, parsed

FIGURES: dict[str, Any] = {
    "seconds": 110.4,
    "loadingSeconds": 6.2,
    "trainingSeconds": 94.6,
    "evaluationSeconds": 5.4,
    "savingSeconds": 0.8,
    "samplesSeconds": 3.4,
    "steps": 40,
    "memory": {"peakBytes": 1_712_000_000, "freeBytes": 20_100_000_000, "totalBytes": 25_200_000_000},
    "rows": 102,
    "lookedAtRows": 102,
    "cutRows": 0,
    "tokens": 9352,
    "learnedTokens": 5710,
    "checkpoints": 4,
    "diskBytes": 48_900_000,
    "freeDiskBytes": 90_000_000_000,
    "fits": True,
}


class FakeForecasts:
    """``looks`` is how often a forecast is asked for before it is measured; ``state`` holds it at another."""

    def __init__(self) -> None:
        self.looks = 1
        self.state = "measured"
        self.figures = dict(FIGURES)
        self.asked: dict[str, int] = {}

    def routes(self) -> list[web.RouteDef]:
        one = "/v1/forecast/{id}"
        return [
            web.post("/v1/forecast", self._create),
            web.get(one, self._get),
            web.delete(one, self._delete),
        ]

    def _answer(self, forecast_id: str) -> web.Response:
        seen = self.asked[forecast_id] = self.asked.get(forecast_id, 0) + 1
        forecast: dict[str, Any] = {"id": forecast_id, "state": self.state}
        if self.state == "failed":
            forecast["error"] = "The model tiny is not here yet."
        elif self.state == "measured" and seen > self.looks:
            forecast |= self.figures
        elif self.state != "waiting":
            progress = {"label": "Measuring", "done": seen, "total": 12, "unit": "steps"}
            forecast |= {"state": "measuring", "progress": progress}
        return web.json_response({"forecast": forecast})

    async def _create(self, request: web.Request) -> web.Response:
        body = parsed(await request.read())
        check_config(body.get("config"))
        return self._answer(f"forecast-{hash(json.dumps(body, sort_keys=True)) & 0xFFFFFF}")

    def _known(self, request: web.Request) -> str:
        forecast_id = request.match_info["id"]
        if forecast_id not in self.asked:
            raise RefusedError(404, "No such forecast.")
        return forecast_id

    async def _get(self, request: web.Request) -> web.Response:
        return self._answer(self._known(request))

    async def _delete(self, request: web.Request) -> web.Response:
        del self.asked[self._known(request)]
        return web.Response(status=204)
