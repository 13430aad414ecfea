"""Data sets as a model sees them (docs/contract.md#data-sets), where a backend names the feature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from .target import until
from .test_features import named

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .target import Answer, Target

STATES = {"opening", "reading", "ready", "changed", "failed"}


class View:
    """One open view."""

    def __init__(self, target: Target, config: dict[str, Any]) -> None:
        self.target = target
        answer = target.call("POST", "/v1/datasets", {"config": config})
        assert answer.status in (200, 201), answer
        self.first: dict[str, Any] = answer.json["dataset"]
        self.path = f"/v1/datasets/{self.first['id']}"

    def told(self) -> dict[str, Any]:
        view: dict[str, Any] = self.target.get(self.path)["dataset"]
        return view

    def call(self, below: str, query: Mapping[str, object] = {}, method: str = "GET") -> Answer:
        whole = {**self.target.scope, **{name: str(value) for name, value in query.items()}}
        return self.target.call(method, self.path + below, query=whole)

    def row(self, number: int) -> dict[str, Any]:
        answer = self.call(f"/rows/{number}")
        assert answer.status == 200, answer
        row: dict[str, Any] = answer.json["row"]
        return row

    def rows(self, start: int = 1, count: int = 50) -> list[dict[str, Any]]:
        answer = self.call("/rows", {"from": start, "count": count})
        assert answer.status == 200, answer
        rows: list[dict[str, Any]] = answer.json["rows"]
        return rows

    def find(self, want: str, after: int = 0, **more: object) -> int | None:
        answer = self.call("/find", {"want": want, "after": after, **more})
        assert answer.status == 200, answer
        found = answer.json["found"]
        assert found["reached"] >= 0
        row: int | None = found["row"]
        return row


@pytest.fixture(scope="module")
def view(target: Target) -> Iterator[View]:
    """A view that has been read to its end."""
    if "datasets" not in named(target):
        pytest.skip("this backend shows no data sets")
    view = View(target, target.quick)
    until(lambda: view.told()["state"] == "ready")
    yield view
    assert view.call("", method="DELETE").status == 204


def test_a_view_describes_its_data(view: View) -> None:
    told = view.told()
    assert told["id"] == view.first["id"]
    assert {view.first["state"], told["state"]} <= STATES
    assert told["rows"] == told["indexed"] == told["read"] > 0
    assert 0 < told["maxLength"] <= told["context"]
    assert told["source"]
    assert told["form"]
    assert told["model"] == view.target.quick["model"]


def test_equal_configs_share_a_view(view: View) -> None:
    assert View(view.target, view.target.quick).first["id"] == view.first["id"]


def test_totals_equal_the_sums_over_rows(view: View) -> None:
    told = view.told()
    rows = [row for start in range(1, told["rows"] + 1, 50) for row in view.rows(start)]
    assert [row["row"] for row in rows] == list(range(1, told["rows"] + 1))
    assert sum(row["length"] for row in rows) <= told["tokens"] == sum(told["roles"].values())
    assert sum(row["learned"] for row in rows) == told["learned"] > 0


def test_a_row_has_its_tokens_and_labels(view: View) -> None:
    short, row = view.rows(count=1)[0], view.row(1)
    shown = row["shown"]
    assert (row["row"], row["where"], row["length"]) == (1, short["where"], short["length"])
    assert shown == len(row["ids"]) == len(row["texts"]) == sum(run["count"] for run in row["runs"])
    assert all(0 <= place < shown for place in row["special"])
    assert short["excerpt"] in "".join(row["texts"])
    learned = [run["weight"] > 0 for run in row["runs"] for _ in range(run["count"])]
    assert sum(learned) == row["learned"] == short["learned"]
    assert row["first"] == learned.index(True)
    assert sum(row["roles"].values()) == sum(row["examples"])
    assert max(row["examples"]) == row["length"]


def test_an_unsaved_row_has_its_tokens_and_labels(view: View) -> None:
    def rendered(record: dict[str, Any]) -> dict[str, Any]:
        answer = view.target.call("POST", f"{view.path}/render", {"record": record})
        assert answer.status == 200, answer
        row: dict[str, Any] = answer.json["row"]
        return row

    one = rendered({"prompt": "Where?", "completion": "Here."})
    other = rendered({"prompt": "Where?", "completion": "Here, and there."})
    assert 0 < one["learned"] < one["length"] < other["length"]
    assert "Here, and there." in "".join(other["texts"])
    assert view.target.call("POST", f"{view.path}/render", {"record": []}).status == 400


def test_lengths_predict_truncation(view: View) -> None:
    told, lengths = view.told(), view.call("/lengths").json["lengths"]
    assert lengths["read"] == sum(lengths["rows"]) == told["rows"]
    rows = [view.row(number) for number in range(1, told["rows"] + 1)]
    for cut in (1, rows[0]["length"] - 1, rows[0]["length"], len(lengths["rows"]) - 1):
        lost = sum(max(0, row["length"] - cut) for row in rows)
        counted = sum(count * max(0, length - cut) for length, count in enumerate(lengths["rows"]))
        assert counted + lengths["beyond"] == lost
        learned = [sum(run["weight"] > 0 for run in row["runs"] for _ in range(run["count"])) for row in rows]
        assert sum(lengths["learned"]) + lengths["learnedBeyond"] == sum(learned)
        kept = sum(
            [run["weight"] > 0 for run in row["runs"] for _ in range(run["count"])][:cut].count(True)
            for row in rows
        )
        assert sum(lengths["learned"][:cut]) == kept
        teaching = sum(row["first"] is not None and row["first"] < cut for row in rows)
        assert sum(lengths["first"][:cut]) == teaching


def test_rows_are_filtered_and_sorted(view: View) -> None:
    every = [view.row(number) for number in range(1, view.told()["rows"] + 1)]
    ranked = sorted(every, key=lambda row: (-row["length"], row["row"]))
    assert view.find("longest") == ranked[0]["row"]
    assert view.find("longest", ranked[0]["row"]) == ranked[1]["row"]
    assert view.find("longest", ranked[-1]["row"]) is None
    longest = ranked[0]["length"]
    assert view.find("longer", than=longest) is None
    longer = [row["row"] for row in every if row["length"] > longest - 1]
    assert view.find("longer", than=longest - 1) == longer[0]
    assert view.find("longer", longer[-1], than=longest - 1) is None
    excerpt = view.rows(2, 1)[0]["excerpt"]
    assert view.find("text", 1, text=excerpt.upper()) == 2
    assert view.find("text", text="no row says this \u2603") is None
    assert view.find("text", 1, text=excerpt.upper(), role="user") == 2
    assert view.find("text", role="no such role") is None
    assert view.find("text", least=longest) == ranked[0]["row"]
    assert view.find("finding", code="unknown to everyone") is None
    query = {"want": "longer", "after": longer[0], "than": longest - 1, "count": 3}
    assert view.call("/find", query).json["found"]["rows"] == longer[1:4]


@pytest.mark.parametrize(
    ("below", "query", "status"),
    [
        ("/rows/0", {}, 404),
        ("/rows/1000000", {}, 404),
        ("/rows", {"count": 201}, 400),
        ("/rows", {"from": "x"}, 400),
        ("/find", {}, 400),
        ("/find", {"want": "luck"}, 400),
        ("/find", {"want": "longer", "than": "-1"}, 400),
        ("/find", {"want": "text"}, 400),
    ],
)
def test_invalid_view_queries_are_refused(
    view: View, below: str, query: dict[str, object], status: int
) -> None:
    answer = view.call(below, query)
    assert answer.status == status
    assert answer.error


def test_rows_beyond_the_last_are_empty(view: View) -> None:
    assert view.rows(1_000_000) == []


def test_an_invalid_config_opens_no_view(view: View) -> None:
    for config in ({}, {**view.target.quick, "maxLength": -1}, {**view.target.quick, "datasetSource": 1}):
        answer = view.target.call("POST", "/v1/datasets", {"config": config})
        assert answer.status == 400
        assert answer.error


def test_unknown_views_are_404(view: View) -> None:
    other = View(view.target, {**view.target.quick, "maxLength": 16})
    assert other.first["id"] != view.first["id"]
    assert other.call("", method="DELETE").status == 204
    for method, below in (
        ("GET", ""),
        ("GET", "/rows"),
        ("GET", "/rows/1"),
        ("GET", "/lengths"),
        ("DELETE", ""),
    ):
        answer = other.call(below, method=method)
        assert answer.status == 404, urlencode({method: below})
        assert answer.error
