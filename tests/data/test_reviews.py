"""Judgements of rows: which line counts, which rows are trained on, and what is said of a damaged line."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.data.agreement import agreement
from arkor_dev.data.exclusions import row_hash
from arkor_dev.data.findings.check import check_data
from arkor_dev.data.reader import open_data
from arkor_dev.data.reviews import FILE, Reviews, ReviewsError, read_reviews, selection
from arkor_dev.data.sources import SourceError, files_of

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.contract.shapes import DatasetSource

A, B, C, D = ("a" * 16, "b" * 16, "c" * 16, "d" * 16)


def lines(*reviews: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(review).encode() + b"\n" for review in reviews)


def test_each_persons_last_review_counts_and_one_rejection_rejects() -> None:
    reviews = Reviews().update(
        lines(
            {"row": A, "verdict": "rejected", "by": "Ann", "tags": ["old"]},
            {"row": A, "verdict": "accepted", "by": "Ann", "tags": ["tone"]},
            {"row": A, "verdict": "accepted", "by": "Bo", "tags": ["fact"], "unknown": 1},
            {"row": B, "verdict": "accepted", "by": "Ann"},
            {"row": B + "#2", "verdict": "rejected"},
            {"row": C, "verdict": "flagged", "by": "Ann"},
            {"row": C, "by": "Ann", "comment": "taken back"},
        )
    )
    row = {name: reviews.rows[int(name, 16)] for name in (A, B, C)}
    assert [row[name].verdict for name in (A, B, C)] == ["accepted", "rejected", None]
    assert row[A].tags == ["fact", "tone"]
    assert row[C].people["Ann"]["comment"] == "taken back"


def test_made_rows_need_acceptance() -> None:
    reviews = Reviews().update(
        lines(
            {"row": A, "made": {"by": "teacher"}},
            {"row": B, "made": {"by": "teacher"}},
            {"row": B, "verdict": "accepted", "by": "Ann"},
            {"row": C, "verdict": "rejected"},
            {"row": D, "verdict": "flagged"},
        )
    )
    numbers = [int(name, 16) for name in (A, B, C, D)] + [7]

    def left_out(only: str) -> list[bool]:
        chosen = selection(reviews, only)
        return [chosen is not None and chosen.leaves_out(number) for number in numbers]

    assert left_out("") == [True, False, True, False, False]
    assert left_out("accepted") == [True, False, True, True, True]
    assert left_out("all") == [False] * 5
    assert reviews.rows[int(A, 16)].people == {}, "a program's mark is no judgement"


def test_only_appended_reviews_are_read_again() -> None:
    first = lines({"row": A, "verdict": "rejected"})
    known = Reviews().update(first)
    torn = first + b'{"row": "' + B.encode()
    with pytest.raises(ReviewsError, match=r"^data/reviews\.jsonl, line 2: not JSON"):
        known.update(torn)
    whole = torn + b'", "verdict": "flagged"}\n'
    known = known.update(whole)
    assert known.rows[int(B, 16)].verdict == "flagged"
    assert known.update(whole) is known
    more = known.update(whole + lines({"row": A, "verdict": "accepted"}))
    assert more.rows[int(A, 16)].verdict == "accepted"
    assert known.rows[int(A, 16)].verdict == "rejected", "others may still read it"
    assert list(known.update(lines({"row": C})).rows) == [int(C, 16)]


@pytest.mark.parametrize(
    "line",
    [
        b"[]", b"{}", b'{"row": 1}', b'{"row": "A"}', b'{"row": "' + A.encode() + b'", "verdict": "maybe"}',
        b'{"row": "' + A.encode() + b'", "tags": "x"}', b'{"row": "' + A.encode() + b'", "made": 1}', b"\xff",
    ],
)  # fmt: skip
def test_a_damaged_review_line_is_named(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / FILE).write_bytes(lines({"row": A}) + b"\n" + line)
    with pytest.raises(
        ReviewsError, match=r"^data/reviews\.jsonl, line 3: .* Correct the line or remove it\."
    ):
        read_reviews(tmp_path)


def test_kappa_matches_the_textbook() -> None:
    pairs = [("yes", "yes")] * 20 + [("yes", "no")] * 5 + [("no", "yes")] * 10 + [("no", "no")] * 15
    found = agreement(pairs)
    assert found is not None
    assert (found.rows, found.equal) == (50, 35)
    assert found.kappa == pytest.approx(0.4)
    # The usual standard error of this table is 0.127.
    assert found.low == pytest.approx(0.4 - 1.96 * 0.127, abs=0.04)
    assert found.high == pytest.approx(0.4 + 1.96 * 0.127, abs=0.04)
    few = agreement([("yes", "yes")] * 5 + [("no", "no")] * 5)
    assert few is not None
    assert few.kappa == 1
    assert few.low < 0.8
    assert agreement([("yes", "yes")] * 9) is None
    assert agreement([]) is None


def test_random_reviews_have_no_agreement() -> None:
    guess = random.Random(1)
    kinds = ("accepted", "rejected", "flagged")
    sets = [[(guess.choice(kinds), guess.choice(kinds)) for _ in range(30)] for _ in range(10)]
    inside = sum(found.low <= 0 <= found.high for pairs in sets if (found := agreement(pairs)))
    assert inside >= 9


def test_rejected_rows_leave_the_data_set(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    rows = [{"prompt": f"Question {n}?", "completion": "Answer."} for n in range(5)]
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / "data" / name).write_bytes(lines(*rows[:4] if name == "a.jsonl" else rows[4:]))
    digests = [f"{row_hash(json.dumps(row).encode()):016x}" for row in rows]

    def kept(**source: Any) -> list[int]:
        given: DatasetSource = {"type": "file", "path": "data", **source}  # type: ignore[typeddict-item]
        with open_data(files_of(given, tmp_path)) as data:
            return [item.location.number for item in data]

    assert kept() == [1, 2, 3, 4, 5]
    judged = lines({"row": digests[0], "verdict": "rejected"}, {"row": digests[2], "verdict": "accepted"})
    (tmp_path / FILE).write_bytes(judged + lines({"row": digests[4], "made": {}}))
    assert kept() == [2, 3, 4], "and the judgements themselves are not rows of the folder"
    assert kept(only="accepted") == [3]
    assert kept(only="all") == kept(only="all", reviewed=7) == [1, 2, 3, 4, 5]
    assert kept(reviewed=len(judged)) == [2, 3, 4, 5]
    assert kept(reviewed=0) == [1, 2, 3, 4, 5]
    (tmp_path / FILE).write_bytes(judged.rstrip())
    assert kept(reviewed=len(judged) - 1) == [2, 3, 4, 5], "a last line without its end"
    assert kept(exclude=[digests[1]]) == [3, 4, 5]
    with pytest.raises(SourceError, match="rewritten since the job was made"):
        kept(reviewed=10_000)
    report = check_data(files_of({"type": "file", "path": "data"}, tmp_path))
    finding = next(found for found in report["findings"] if found["code"] == "left-out")
    assert (report["rows"], finding["count"]) == (4, 1)
    (tmp_path / FILE).write_text("{")
    with pytest.raises(SourceError, match="line 1: not JSON"):
        kept()
    assert kept(only="all") == [1, 2, 3, 4, 5]


def test_only_reviews_that_change_the_rows_count_as_a_change() -> None:
    first = lines({"row": A, "verdict": "rejected"})
    reviews = Reviews().update(first)
    assert reviews.changed == {"": len(first)}
    accepted = first + lines({"row": B, "verdict": "accepted"})
    reviews = reviews.update(accepted)
    assert reviews.changed == {"": len(first), "accepted": len(accepted)}
    assert reviews.update(accepted + lines({"row": B, "verdict": "accepted", "by": "Bo"})).changed == (
        reviews.changed
    )
    assert Reviews().update(accepted).changed == reviews.changed
