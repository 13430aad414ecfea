"""Votes of a blind test in a job's folder: each whole, in order, and whatever a crash has torn."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract.errors import ConflictError
from arkor_dev.local.evaluation import votes as module
from arkor_dev.local.evaluation.votes import FILE, add_vote, votes_of

if TYPE_CHECKING:
    from pathlib import Path


def ballot(**changes: Any) -> dict[str, Any]:
    told = {"voter": "Ann", "one": "base:m", "other": "final:j", "choice": "one", "left": "other"}
    return {**told, "question": "Where?\n\u2028é", **changes}


def test_what_was_sent_is_kept_and_nothing_beside_it(tmp_path: Path) -> None:
    job = tmp_path / "job"
    assert votes_of(job) == []
    first = add_vote(job, ballot(aFieldThatNobodyKnows=1))
    second = add_vote(job, ballot(voter="Ben", choice="tie"))
    assert votes_of(job) == [first, second]
    assert first.keys() == {"id", "at", *module.KEPT}
    assert (job / FILE).stat().st_mode & 0o777 == 0o600


def test_a_torn_line_is_left_out_and_not_run_into(tmp_path: Path) -> None:
    first = add_vote(tmp_path, ballot())
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'{"id": "x", "at"')
    second = add_vote(tmp_path, ballot())
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'[]\n{"id": 1}\n\xff\n')
    assert votes_of(tmp_path) == [first, second]


def test_there_is_an_end_to_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    kept = [add_vote(tmp_path, ballot()) for _ in range(2)]
    with pytest.raises(ConflictError, match="as many as are kept"):
        add_vote(tmp_path, ballot())
    assert votes_of(tmp_path) == kept


def test_two_people_at_once(tmp_path: Path) -> None:
    threads = [
        threading.Thread(target=lambda: [add_vote(tmp_path, ballot()) for _ in range(20)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({vote["id"] for vote in votes_of(tmp_path)}) == 80
