"""A search for better settings (docs/contract.md#sweeps), where a backend names the feature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from .test_features import named

if TYPE_CHECKING:
    from .target import Target

SPACE: dict[str, Any] = {"learningRate": [1e-4, 1e-3]}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"deadline": None}, "deadline"),
        ({"deadline": "2001-01-01T00:00:00Z"}, "deadline"),
        ({"deadline": "tomorrow"}, "deadline"),
        ({"jobs": 1}, "jobs"),
        ({"space": {}}, "space"),
        ({"space": {"seed": [1, 2]}}, "seed"),
        ({"space": {"loraR": [8]}}, "loraR"),
        ({"space": {"loraR": {"low": 8, "high": 4}}}, "loraR"),
        ({"space": {"optim": {"low": 1, "high": 2}}}, "optim"),
    ],
)
def test_invalid_sweeps_are_refused(target: Target, changes: dict[str, Any], words: str) -> None:
    if "sweeps" not in named(target):
        pytest.skip("this backend has no sweeps")
    config = {key: value for key, value in target.quick.items() if key != "dryRun"}
    body = {"name": "s", "config": config, "space": SPACE, "deadline": "2999-01-01T00:00:00Z"}
    answer = target.call("POST", "/v1/sweeps", {**body, **changes})
    assert answer.status == 400
    assert words in answer.error
    assert target.get("/v1/sweeps")["sweeps"] == []
    for method in ("GET", "DELETE"):
        assert target.call(method, "/v1/sweeps/sweep_000000000000").status == 404
    assert target.call("POST", "/v1/sweeps/sweep_000000000000/stop").status == 404


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "3 to 12 sources"),
        ({"sources": {"runs": 7}}, "runs"),
        ({"sources": {"runs": True}}, "runs"),
        ({"sources": {"steps": 0}}, "steps"),
        ({"sources": 8}, "sources"),
        ({"space": SPACE}, "space"),
        ({"deadline": "2999-01-01T00:00:00Z"}, "deadline"),
    ],
)
def test_invalid_designs_over_sources_are_refused(
    target: Target, changes: dict[str, Any], words: str
) -> None:
    if "sources" not in named(target):
        pytest.skip("this backend compares no sources")
    config = {key: value for key, value in target.quick.items() if key != "dryRun"}
    answer = target.call("POST", "/v1/sweeps", {"name": "s", "config": config, "sources": {}, **changes})
    assert answer.status == 400
    assert words in answer.error
    assert target.get("/v1/sweeps")["sweeps"] == []
