"""Embeddings of rows (docs/contract.md#embeddings-of-rows), where the feature is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .target import until
from .test_features import named
from .test_order import need

if TYPE_CHECKING:
    from .target import Target


def test_rows_are_embedded_on_demand(target: Target) -> None:
    need(target, "embeddings")
    view = target.call("POST", "/v1/datasets", {"config": target.quick}).json["dataset"]
    path = f"/v1/datasets/{view['id']}"
    until(lambda: target.get(path)["dataset"]["state"] == "ready")
    for below in ("similar", "groups", "map", "surprising"):
        answer = target.call("GET", f"{path}/{below}", query={**target.scope, "row": "1"})
        assert (answer.status, bool(answer.error)) == (409, True), below
    assert target.call("DELETE", f"{path}/embeddings").status == 204
    assert target.call("POST", f"{path}/embeddings").status == 200
    until(lambda: target.get(f"{path}/embeddings")["embeddings"]["state"] == "completed")
    similar = target.call("GET", f"{path}/similar", query={**target.scope, "row": "1", "count": "3"})
    rows = similar.json["similar"]
    assert 1 <= len(rows) <= 3
    assert all(each["row"] != 1 and -1 <= each["similarity"] <= 1 and each["excerpt"] for each in rows)
    assert [each["similarity"] for each in rows] == sorted(
        (each["similarity"] for each in rows), reverse=True
    )
    groups, drawn = target.get(f"{path}/groups")["groups"], target.get(f"{path}/map")["map"]
    assert groups["rows"] == len(drawn["rows"]) == len(drawn["x"]) == len(drawn["y"])
    assert target.call("POST", f"{path}/losses").status == 200
    until(lambda: target.get(f"{path}/losses")["losses"]["state"] == "completed")
    losses = [each["loss"] for each in target.get(f"{path}/surprising")["surprising"]]
    assert losses == sorted(losses, reverse=True)


def test_without_the_feature_embeddings_are_404(target: Target) -> None:
    if "embeddings" in named(target):
        return
    assert target.call("POST", "/v1/datasets/any/embeddings").status == 404
