"""Votes of a blind test in a job's folder: each whole, in order, and whatever a crash has torn."""

from __future__ import annotations

import json
import resource
import threading
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract.errors import ConflictError
from arkor_dev.contract.shapes import Vote
from arkor_dev.local.evaluation import votes as module
from arkor_dev.local.evaluation.votes import add_vote, votes_of
from arkor_dev.local.jobs.job_folder import VOTES

if TYPE_CHECKING:
    from pathlib import Path


def ballot(**changes: Any) -> Any:
    told = {"voter": "Ann", "one": "base:m", "other": "final:j", "choice": "one", "left": "other"}
    return {**told, "question": "Where?\n\u2028é", **changes}


def test_votes_are_stored_without_unknown_fields(tmp_path: Path) -> None:
    job = tmp_path / "job"
    assert votes_of(job) == []
    first = add_vote(job, ballot(aFieldThatNobodyKnows=1))
    second = add_vote(job, ballot(voter="Ben", choice="tie"))
    assert votes_of(job) == [first, second]
    assert first.keys() == set(Vote.__annotations__)
    assert (job / VOTES).stat().st_mode & 0o777 == 0o600


def test_a_truncated_line_is_skipped(tmp_path: Path) -> None:
    first = add_vote(tmp_path, ballot())
    with (tmp_path / VOTES).open("ab") as file:
        file.write(b'{"id": "x", "at"')
    second = add_vote(tmp_path, ballot())
    with (tmp_path / VOTES).open("ab") as file:
        file.write(b'[]\n{"id": 1}\n\xff\n')
        for odd in ('"choice": NaN', '"question": 1e999', '"voter": {"a": 1}', '"at": ["x"]'):
            file.write(json.dumps(first).encode()[:-1] + f", {odd}}}\n".encode())
    assert votes_of(tmp_path) == [first, second]


def test_a_linked_votes_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("")
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / VOTES).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConflictError, match="could not be stored"):
        add_vote(tmp_path / "job", ballot())
    assert votes_of(tmp_path / "job") == []
    (tmp_path / "linked").symlink_to(tmp_path / "job")
    with pytest.raises(ConflictError, match="could not be stored"):
        add_vote(tmp_path / "linked", ballot())
    assert (tmp_path / "elsewhere").read_text() == ""


def test_a_partial_write_of_a_vote_is_rolled_back(tmp_path: Path) -> None:
    first = add_vote(tmp_path, ballot())
    before = (tmp_path / VOTES).read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, limits[1]))
    try:
        with pytest.raises(ConflictError, match="could not be stored"):
            add_vote(tmp_path, ballot())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / VOTES).read_bytes() == before
    assert votes_of(tmp_path) == [first]


def test_the_number_of_votes_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    kept = [add_vote(tmp_path, ballot()) for _ in range(2)]
    with pytest.raises(ConflictError, match="the most that are stored"):
        add_vote(tmp_path, ballot())
    assert votes_of(tmp_path) == kept


def test_concurrent_votes_are_all_kept(tmp_path: Path) -> None:
    threads = [
        threading.Thread(target=lambda: [add_vote(tmp_path, ballot()) for _ in range(20)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({vote["id"] for vote in votes_of(tmp_path)}) == 80
