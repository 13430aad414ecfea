"""Texts labeled by a classifier (docs/contract.md#classify), where the feature is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from .test_features import named
from .test_order import need

if TYPE_CHECKING:
    from .target import Target


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"text": "Where is it?"},
        {"text": "Where is it?", "adapter": "job"},
        {"text": "Where is it?", "adapter": {"kind": "checkpoint", "jobId": "a"}},
        {"text": " ", "adapter": {"kind": "final", "jobId": "a"}},
        {"text": 3, "adapter": {"kind": "final", "jobId": "a"}},
    ],
)
def test_what_cannot_be_classified_is_400(target: Target, body: dict[str, Any]) -> None:
    need(target, "classify")
    answer = target.call("POST", "/v1/inference/classify", body)
    assert answer.status == 400
    assert answer.error


def test_the_classifier_of_a_job_that_is_not_there_is_404(target: Target) -> None:
    need(target, "classify")
    body = {"text": "Where is it?", "adapter": {"kind": "final", "jobId": "nothing"}}
    assert target.call("POST", "/v1/inference/classify", body).status == 404


def test_without_the_feature_it_is_404(target: Target) -> None:
    if "classify" in named(target):
        return
    body = {"text": "Where is it?", "adapter": {"kind": "final", "jobId": "nothing"}}
    assert target.call("POST", "/v1/inference/classify", body).status == 404
