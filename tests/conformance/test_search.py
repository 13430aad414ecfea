"""Texts ranked for a query (docs/contract.md#search), where the feature is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from .test_features import named
from .test_order import need

if TYPE_CHECKING:
    from .target import Target

NOTHING = {
    "adapter": {"kind": "final", "jobId": "nothing"},
    "query": "Where is it?",
    "texts": ["In the hold."],
}


@pytest.mark.parametrize(
    "changes",
    [
        {"adapter": None},
        {"adapter": "job"},
        {"adapter": {"kind": "checkpoint", "jobId": "a"}},
        {"query": " "},
        {"query": 3},
        {"texts": "In the hold."},
        {"texts": []},
        {"texts": ["In the hold.", " "]},
        {"texts": ["x"] * 501},
        {"texts": ["x" * 20_001]},
    ],
)
def test_what_cannot_be_searched_is_400(target: Target, changes: dict[str, Any]) -> None:
    need(target, "search")
    answer = target.call("POST", "/v1/inference/search", {**NOTHING, **changes})
    assert answer.status == 400
    assert answer.error


def test_a_search_with_a_job_that_is_not_there_is_404(target: Target) -> None:
    need(target, "search")
    assert target.call("POST", "/v1/inference/search", NOTHING).status == 404


def test_without_the_feature_it_is_404(target: Target) -> None:
    if "search" in named(target):
        return
    assert target.call("POST", "/v1/inference/search", NOTHING).status == 404
