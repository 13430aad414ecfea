"""Deleting rows from an adapter (docs/contract.md#forget), where the feature is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .target import OVER, until
from .test_order import need

if TYPE_CHECKING:
    from .conftest import Finished
    from .target import Target


def test_rows_are_deleted_by_a_new_job(target: Target, finished: Finished) -> None:
    need(target, "forget")
    path = f"/v1/jobs/{finished.id}"
    assert target.call("GET", f"{path}/certificate").status == 404
    answer = target.call("POST", f"{path}/forget", {"rows": ["1", "2", "3"]})
    assert answer.status in (200, 201), answer
    new = answer.json["job"]["id"]
    assert new != finished.id
    early = target.call("GET", f"/v1/jobs/{new}/certificate")
    until(lambda: target.get(f"/v1/jobs/{new}")["job"]["status"] in OVER)
    job = target.get(f"/v1/jobs/{new}")["job"]
    if job["status"] == "failed":  # one of them was held out
        assert "held out" in job["error"]
        assert target.call("GET", f"/v1/jobs/{new}/certificate").status == 409
        return
    assert early.status in (200, 409)
    certificate = target.get(f"/v1/jobs/{new}/certificate")["certificate"]
    assert (certificate["job"], certificate["of"]) == (new, finished.id)
    assert len(certificate["rows"]) == 3
    assert certificate["before"] != certificate["after"]
    assert 0 <= certificate["start"] < certificate["steps"]
    assert target.get(path)["job"]["status"] == "completed"


@pytest.mark.parametrize("rows", [None, [], "1", [1], [""], ["999999999"], ["0123456789abcdef"]])
def test_unknown_and_invalid_rows_are_refused(target: Target, finished: Finished, rows: object) -> None:
    need(target, "forget")
    answer = target.call("POST", f"/v1/jobs/{finished.id}/forget", {"rows": rows})
    assert answer.status == 400, answer
    assert answer.error


def test_unknown_copies_are_refused(target: Target, finished: Finished) -> None:
    need(target, "forget")
    answer = target.call("POST", f"/v1/jobs/{finished.id}/certificate", {"delete": ["0"]})
    assert answer.status == 404, answer
