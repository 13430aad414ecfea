"""Optional features: named and there, or refused (docs/contract.md#optional-features)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .target import Target

CONTRACT = Path(__file__).parents[2] / "docs" / "contract.md"
BUILT = {
    "adjust",
    "card",
    "classify",
    "datasets",
    "delete",
    "edit",
    "embeddings",
    "endpoints",
    "engines",
    "evaluation",
    "exports",
    "extend",
    "forecast",
    "formats",
    "gguf",
    "parent",
    "pause",
    "queue",
    "resume",
    "rows",
    "samples",
    "sampling",
    "search",
    "serving",
    "strength",
    "strengths",
    "tools",
    "votes",
}
"""What both of our own backends have. The tests of a feature are skipped where it is not named."""


def named(target: Target) -> list[str]:
    """The features that a backend names; one that has no such call has none."""
    answer = target.call("GET", "/v1/capabilities", query={})
    if answer.status == 404:
        assert answer.error
        return []
    assert answer.status == 200
    features: list[str] = answer.json["features"]
    return features


def test_features_are_unique_names(target: Target) -> None:
    features = named(target)
    assert {type(feature) for feature in features} <= {str}
    assert "" not in features
    assert len(set(features)) == len(features)


def test_our_backends_have_every_feature(target: Target) -> None:
    if target.ours:
        assert set(named(target)) >= BUILT


def test_every_feature_is_documented(target: Target) -> None:
    if target.ours:
        rows = CONTRACT.read_text().partition("| feature | gives |")[2].partition("\n\n")[0]
        assert [feature for feature in named(target) if f"`{feature}`" not in rows] == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/endpoints"),
        ("POST", "/v1/endpoints"),
        ("GET", "/v1/endpoints/x"),
        ("PATCH", "/v1/endpoints/x"),
        ("DELETE", "/v1/endpoints/x"),
        ("GET", "/v1/endpoints/x/keys"),
        ("POST", "/v1/endpoints/x/keys"),
        ("DELETE", "/v1/endpoints/x/keys/y"),
    ],
)
def test_endpoint_calls_are_all_available_or_none(target: Target, method: str, path: str) -> None:
    listed = target.call("GET", "/v1/endpoints")
    if "endpoints" in named(target):
        assert listed.status == 200
    if listed.status == 200:
        assert isinstance(listed.json["deployments"], list)
        return
    answer = target.call(method, path, {} if method in ("POST", "PATCH") else None)
    assert answer.status == 404
    assert answer.error
