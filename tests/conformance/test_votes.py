"""Votes of a blind test, kept with the job (docs/contract.md#votes), where the feature is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from .test_features import named
from .test_order import need

if TYPE_CHECKING:
    from .conftest import Cancelled, Finished
    from .target import Target

BALLOT = {
    "voter": "Ann",
    "one": "base:tiny",
    "other": "final:x",
    "choice": "other",
    "left": "one",
    "question": "Where is it?\nTell me — é.",
}


def votes(target: Target, job_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = target.get(f"/v1/jobs/{job_id}/votes")["votes"]
    return found


def test_votes_are_stored_in_order(target: Target, finished: Finished, cancelled: Cancelled) -> None:
    need(target, "votes")
    before, elsewhere = votes(target, finished.id), votes(target, cancelled.id)
    ballots = [
        BALLOT,
        {**BALLOT, "voter": "Ben", "choice": "tie"},
        {**BALLOT, "choice": "one", "left": "other"},
    ]
    given = []
    for ballot in ballots:
        answer = target.call("POST", f"/v1/jobs/{finished.id}/votes", ballot)
        assert answer.status in (200, 201), answer
        given.append(answer.json["vote"])
    assert votes(target, finished.id) == [*before, *given]
    assert votes(target, cancelled.id) == elsewhere
    for vote, ballot in zip(given, ballots, strict=True):
        assert {name: vote[name] for name in ballot} == ballot
        assert vote["at"]
    assert len({vote["id"] for vote in given}) == len(given)


@pytest.mark.parametrize(
    "wrong",
    [
        {"voter": ""},
        {"voter": "x" * 41},
        {"voter": "two\nlines"},
        {"voter": None},
        {"one": 5},
        {"other": BALLOT["one"]},
        {"choice": "both"},
        {"left": "tie"},
        {"question": ""},
        {"question": "x" * 4001},
        {"question": ["x"]},
    ],
    ids=lambda wrong: str(wrong)[:40],
)
def test_invalid_votes_are_refused(target: Target, finished: Finished, wrong: dict[str, object]) -> None:
    need(target, "votes")
    before = votes(target, finished.id)
    answer = target.call("POST", f"/v1/jobs/{finished.id}/votes", {**BALLOT, **wrong})
    assert (answer.status, bool(answer.error)) == (400, True)
    assert votes(target, finished.id) == before


def test_a_vote_is_deleted(target: Target, finished: Finished) -> None:
    need(target, "votes")
    before = votes(target, finished.id)
    path = f"/v1/jobs/{finished.id}/votes"
    first, second = (target.call("POST", path, BALLOT).json["vote"] for _ in range(2))
    assert target.call("DELETE", f"{path}/{first['id']}").status == 204
    assert votes(target, finished.id) == [*before, second]
    assert target.call("DELETE", f"{path}/{first['id']}").status == 404


def test_votes_of_an_unknown_job_are_404(target: Target) -> None:
    need(target, "votes")
    assert target.call("GET", "/v1/jobs/no-such-job/votes").status == 404
    assert target.call("POST", "/v1/jobs/no-such-job/votes", BALLOT).status == 404


def test_without_the_feature_votes_are_404(target: Target, finished: Finished) -> None:
    if "votes" not in named(target):
        assert target.call("GET", f"/v1/jobs/{finished.id}/votes").status == 404
        assert target.call("POST", f"/v1/jobs/{finished.id}/votes", BALLOT).status == 404
