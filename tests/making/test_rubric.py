"""A judge by a rubric: heard once it agrees with a person, and then beside the rows, never in their place."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from arkor_dev.cli.main import main
from arkor_dev.data.exclusions import row_hash
from arkor_dev.data.reviews import read_reviews, selection
from arkor_dev.project.reviews import add_reviews
from tests.support.scripted_teacher import Said, scripted

from .test_making import words

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from arkor_dev.contract.dataset_shapes import Review

JUDGED = 24
ROWS = 32


def set_up(project: Path, judged: int = JUDGED) -> list[str]:
    """Rows, of which every other is bad, and a person's judgement of the first ones; their hashes."""
    rows = [{"prompt": words(n, 5), "completion": "bad" if n % 2 else "good"} for n in range(ROWS)]
    lines = [json.dumps(row) for row in rows]
    (project / "rows.jsonl").write_text("\n".join(lines))
    (project / "rubric.md").write_text("A good row says good.")
    (project / "arkor.toml").write_text('[[trainer]]\nname = "a"\nmodel = "./m"\ndataset = "rows.jsonl"\n')
    hashes = [f"{row_hash(line.encode()):016x}" for line in lines]
    reviews: list[Review] = [
        {"row": each, "verdict": "rejected" if n % 2 else "accepted", "by": "Ann"}
        for n, each in enumerate(hashes[:judged])
    ]
    add_reviews(project, reviews)
    return hashes


def says(verdict: Callable[[bool], str]) -> Callable[[int, dict[str, Any]], Said]:
    def script(_: int, body: dict[str, Any]) -> Said:
        assert "A good row says good." in body["messages"][0]["content"]
        bad = '"bad"' in body["messages"][1]["content"]
        return Said([{"reason": "It says so.", "verdict": verdict(bad)}])

    return script


def judge(
    capsys: pytest.CaptureFixture[str], project: Path, script: Callable[[int, dict[str, Any]], Said]
) -> tuple[dict[str, Any], int]:
    with scripted(script) as wise:
        argv = ["data", "judge", "--project", str(project), "--rubric", str(project / "rubric.md"), "--json"]
        assert main([*argv, "--teacher", wise.url, "--model", "wise"]) == 0
        return json.loads(capsys.readouterr().out), len(wise.bodies)


def test_an_agreeing_judge_gives_opinions_only(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hashes = set_up(tmp_path)
    before = selection(read_reviews(tmp_path), "")
    told, asked = judge(capsys, tmp_path, says(lambda bad: "rejected" if bad else "accepted"))
    assert (told["heard"], told["opinions"], asked) == (True, ROWS - JUDGED, ROWS)
    assert told["agreement"]["kappa"] == 1
    assert 0.4 < told["agreement"]["low"] < 1
    reviews = read_reviews(tmp_path)
    known = [reviews.of(int(each, 16)) for each in hashes[JUDGED:]]
    assert [row.tags if row else None for row in known] == [
        ["rubric: rejected" if n % 2 else "rubric: accepted"] for n in range(JUDGED, ROWS)
    ]
    assert selection(reviews, "") == before


def test_a_judge_without_agreement_gives_no_opinions(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that always says the same agrees half of the time, which is chance; a few rows say nothing."""
    set_up(tmp_path)
    content = (tmp_path / "data" / "reviews.jsonl").read_bytes()
    told, asked = judge(capsys, tmp_path, says(lambda _: "accepted"))
    assert (told["heard"], told["opinions"], asked) == (False, 0, JUDGED)
    assert told["agreement"]["kappa"] == 0
    assert (tmp_path / "data" / "reviews.jsonl").read_bytes() == content
    few = tmp_path / "few"
    few.mkdir()
    set_up(few, judged=19)
    told, asked = judge(capsys, few, says(lambda bad: "rejected" if bad else "accepted"))
    assert (told["heard"], told["agreement"]["rows"], asked) == (False, 19, 19)
