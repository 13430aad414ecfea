"""Adding judgements to data/reviews.jsonl: none lost, nothing written through a link, the limit kept."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from arkor_dev.contract.errors import BadRequestError, TooLargeError
from arkor_dev.data.reviews import FILE
from arkor_dev.project import line_file, reviews
from arkor_dev.project.reviews import ProjectReviews, add_reviews

if TYPE_CHECKING:
    from pathlib import Path

A = "a" * 16


def test_tabs_at_once_lose_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_file, "PATIENCE", 60.0)
    (tmp_path / "data").mkdir()
    (tmp_path / FILE).write_text('{"row": "%s", "by": "no line end"}' % A)  # noqa: UP031
    known = ProjectReviews(tmp_path)

    def judge(name: str) -> None:
        add_reviews(tmp_path, [{"row": f"{at:016x}", "verdict": "accepted", "by": name} for at in range(20)])
        known.now()

    threads = [threading.Thread(target=judge, args=(f"person {at}",)) for at in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    now = known.now()
    assert len(now.rows) == 21
    assert all(len(now.rows[at].people) == 8 for at in range(20))
    assert all("at" in review for review in now.rows[3].people.values())


def test_a_damaged_file_a_link_and_one_that_is_full_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_reviews(tmp_path, [])
    assert not (tmp_path / "data").exists()
    add_reviews(tmp_path, [{"row": A}])
    before = (tmp_path / FILE).read_bytes()
    monkeypatch.setattr(reviews, "FILE_LIMIT", len(before) + 10)
    with pytest.raises(TooLargeError):
        add_reviews(tmp_path, [{"row": A}, {"row": A}])
    assert (tmp_path / FILE).read_bytes() == before
    (tmp_path / FILE).write_bytes(before + b"{")
    with pytest.raises(BadRequestError, match="line 2: not JSON"):
        ProjectReviews(tmp_path).now()
    (tmp_path / FILE).rename(tmp_path / "elsewhere")
    (tmp_path / FILE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadRequestError, match="is a symlink"):
        add_reviews(tmp_path, [{"row": A}])
