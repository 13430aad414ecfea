"""How the rows of two jobs differ (docs/contract.md#rows-of-two-jobs), where the feature is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .test_features import named
from .test_order import need

if TYPE_CHECKING:
    from .conftest import Finished
    from .target import Target


def test_rows_of_a_job_are_listed(target: Target, finished: Finished) -> None:
    need(target, "rows")
    path, query = f"/v1/jobs/{finished.id}/rows", {**target.scope, "against": finished.id}
    answer = target.call("GET", path, query=query)
    assert answer.status == 200, answer
    for part in answer.json["difference"].values():
        assert (part["added"], part["removed"], part["changed"], part["rows"]) == (0, 0, 0, [])
    assert answer.json["difference"]["train"]["same"] > 0


def test_jobs_without_rows_are_404(target: Target, finished: Finished) -> None:
    if "rows" not in named(target):
        assert target.call("GET", f"/v1/jobs/{finished.id}/rows").status == 404
        return
    for path, against in ((finished.id, "no-such-job"), (finished.id, ""), ("no-such-job", finished.id)):
        answer = target.call("GET", f"/v1/jobs/{path}/rows", query={**target.scope, "against": against})
        assert (answer.status, bool(answer.error)) == (404, True), path
