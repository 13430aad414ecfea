"""What a job will take (docs/contract.md#forecasts), where a backend names the feature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from .test_features import named

if TYPE_CHECKING:
    from .target import Target

STATES = {"measured", "measuring", "waiting", "failed"}
PARTS = ("loadingSeconds", "trainingSeconds", "evaluationSeconds", "savingSeconds", "samplesSeconds")


@pytest.fixture
def measured(forecast: dict[str, Any] | None) -> dict[str, Any]:
    if forecast is None:
        pytest.skip("this backend makes no forecasts")
    return forecast


def ask(target: Target, config: dict[str, Any]) -> dict[str, Any]:
    answer = target.call("POST", "/v1/forecast", {"config": config})
    assert answer.status in (200, 201), answer
    forecast: dict[str, Any] = answer.json["forecast"]
    assert isinstance(forecast["id"], str)
    assert forecast["state"] in STATES
    if forecast["state"] == "measuring":
        assert set(forecast.get("progress", ())) <= {"label", "done", "total", "unit"}
    return forecast


def test_a_forecast_is_measured_and_stored(target: Target, measured: dict[str, Any]) -> None:
    forecast = ask(target, target.quick)
    assert forecast["id"] == measured["id"]
    assert forecast["state"] == measured["state"] == "measured", forecast
    assert forecast["seconds"] == pytest.approx(sum(forecast.get(part, 0) for part in PARTS), abs=1)
    memory = forecast["memory"]
    assert memory["peakBytes"] > 0
    assert memory["totalBytes"] is None or memory["totalBytes"] >= (memory["freeBytes"] or 0)
    assert forecast["steps"] >= 1
    assert forecast["rows"] >= forecast["cutRows"] >= 0
    assert forecast["tokens"] >= forecast["learnedTokens"] > 0
    for fix in forecast.get("fixes", ()):
        assert fix["settings"]
        assert fix["words"]


def test_a_forecast_can_be_cancelled(target: Target, measured: dict[str, Any]) -> None:
    del measured
    path = f"/v1/forecast/{ask(target, {**target.quick, 'batchSize': 3})['id']}"
    assert target.get(path)["forecast"]["state"] in STATES
    assert target.call("DELETE", path).status == 204
    assert target.call("GET", path).status == 404


def test_an_invalid_config_is_refused(target: Target, measured: dict[str, Any]) -> None:
    del measured
    for config in ({}, {**target.quick, "maxSteps": "many"}, {**target.quick, "datasetSource": 1}):
        answer = target.call("POST", "/v1/forecast", {"config": config})
        assert answer.status == 400
        assert answer.error


def test_unknown_forecasts_are_404(target: Target) -> None:
    for method in ("GET", "DELETE"):
        answer = target.call(method, "/v1/forecast/no-such-forecast")
        assert answer.status == 404
        assert answer.error
    if "forecast" not in named(target):
        answer = target.call("POST", "/v1/forecast", {"config": target.quick})
        assert answer.status == 404
        assert answer.error
