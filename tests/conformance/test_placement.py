"""Jobs on a cluster (docs/contract.md#placement), where the feature is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .test_features import named
from .test_order import need

if TYPE_CHECKING:
    from .target import Target


@pytest.mark.parametrize("address", ["", "head", "http://head:8265", "ray://a:b@head:10001", "head:6379/x"])
def test_what_is_no_address_is_refused_in_the_question_and_in_a_job(target: Target, address: str) -> None:
    need(target, "placement")
    assert target.call("GET", "/v1/clusters", query={**target.scope, "address": address}).status == 400
    body = {"name": "elsewhere", "config": {**target.quick, "cluster": address}}
    answer = target.call("POST", "/v1/jobs", body)
    assert answer.status == 400
    assert "cluster" in answer.error


@pytest.mark.parametrize("folder", ["", "/", "jobs", "/mnt/../etc", 3])
def test_a_shared_folder_is_an_absolute_path(target: Target, folder: object) -> None:
    need(target, "placement")
    config = {**target.quick, "cluster": "127.0.0.1:9", "storage": folder}
    answer = target.call("POST", "/v1/jobs", {"name": "elsewhere", "config": config})
    assert answer.status == 400
    assert "storage" in answer.error


def test_a_cluster_that_cannot_be_used_says_why_and_nothing_else(target: Target) -> None:
    need(target, "placement")
    address = "127.0.0.1:9"
    answer = target.call("GET", "/v1/clusters", query={**target.scope, "address": address})
    assert answer.status == 200
    cluster = answer.json["cluster"]
    assert cluster.keys() == {"address", "problem"}
    assert cluster["address"] == address
    assert cluster["problem"]


def test_a_backend_without_the_feature_knows_no_clusters(target: Target) -> None:
    if "placement" not in named(target):
        assert target.call("GET", "/v1/clusters", query={**target.scope, "address": "auto"}).status == 404
