"""Jobs on a cluster (docs/contract.md#placement), where the feature is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .test_features import named
from .test_order import need

if TYPE_CHECKING:
    from .target import Target


@pytest.mark.parametrize("address", ["", "head", "http://head:8265", "ray://a:b@head:10001", "head:6379/x"])
def test_invalid_cluster_addresses_are_refused(target: Target, address: str) -> None:
    need(target, "placement")
    assert target.call("GET", "/v1/clusters", query={**target.scope, "address": address}).status == 400
    body = {"name": "elsewhere", "config": {**target.quick, "cluster": address}}
    answer = target.call("POST", "/v1/jobs", body)
    assert answer.status == 400
    assert "cluster" in answer.error


@pytest.mark.parametrize("folder", ["", "/", "jobs", "/mnt/../etc", 3])
def test_a_storage_folder_must_be_absolute(target: Target, folder: object) -> None:
    need(target, "placement")
    config = {**target.quick, "cluster": "127.0.0.1:9", "storage": folder}
    answer = target.call("POST", "/v1/jobs", {"name": "elsewhere", "config": config})
    assert answer.status == 400
    assert "storage" in answer.error


def test_an_unusable_cluster_has_only_its_reason(target: Target) -> None:
    need(target, "placement")
    address = "127.0.0.1:9"
    answer = target.call("GET", "/v1/clusters", query={**target.scope, "address": address})
    assert answer.status == 200
    cluster = answer.json["cluster"]
    assert cluster.keys() == {"address", "problem"}
    assert cluster["address"] == address
    assert cluster["problem"]


def test_without_the_feature_clusters_are_404(target: Target) -> None:
    if "placement" not in named(target):
        assert target.call("GET", "/v1/clusters", query={**target.scope, "address": "auto"}).status == 404
