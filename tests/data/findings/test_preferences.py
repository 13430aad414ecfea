"""What the check says of pairs and ratings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from arkor_dev.data.findings.check import check_data
from arkor_dev.data.preferences import RATINGS
from arkor_dev.data.reader import DataFile

from .test_findings import filler

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.contract.dataset_shapes import Finding


def found(folder: Path, rows: list[Any]) -> dict[str, Finding]:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / "d.jsonl").write_text("\n".join(lines))
    report = check_data([DataFile(folder / "d.jsonl", "d.jsonl", forms=RATINGS)])
    return {finding["code"]: finding for finding in report["findings"]}


def pair(number: int, **more: str) -> dict[str, Any]:
    """Every other chosen answer is the longer one."""
    chosen, rejected = filler(3 * number, 14 + number % 2), filler(3 * number + 1, 15 - number % 2)
    return {"prompt": filler(3 * number + 2, 6), "chosen": chosen, "rejected": rejected, **more}


def rating(number: int, label: object) -> dict[str, Any]:
    return {"prompt": filler(2 * number, 6), "completion": filler(2 * number + 1), "label": label}


def test_valid_preferences_have_no_findings(tmp_path: Path) -> None:
    several = [pair(1, chosen=filler(900, 15)), pair(2, rejected=filler(901, 14))]  # of prompts seen before
    assert found(tmp_path, [*map(pair, range(24)), *several]) == {}
    assert found(tmp_path, [rating(number, number % 2 == 0) for number in range(24)]) == {}


def test_contradicting_pairs_and_equal_answers_are_found(tmp_path: Path) -> None:
    swapped = {**pair(3), "chosen": pair(3)["rejected"], "rejected": pair(3)["chosen"]}
    alike = {**pair(50), "rejected": f" {pair(50)['chosen'].upper()}"}
    findings = found(tmp_path, [*map(pair, range(24)), swapped, alike])
    assert findings.keys() == {"contradicting-pairs", "same-answers"}
    assert [row["row"] for row in findings["contradicting-pairs"]["rows"]] == [4, 25]
    assert [row["row"] for row in findings["same-answers"]["rows"]] == [26]


def test_contradicting_and_uniform_ratings_are_found(tmp_path: Path) -> None:
    findings = found(tmp_path, [*(rating(number, "true") for number in range(24)), rating(7, 0)])
    assert [row["row"] for row in findings["contradicting-pairs"]["rows"]] == [8, 25]
    assert "one-rating" not in findings
    assert (
        "All 24 ratings are bad"
        in found(tmp_path, [rating(n, False) for n in range(24)])["one-rating"]["title"]
    )


def test_a_length_bias_is_found_with_its_share(tmp_path: Path) -> None:
    rows = [{**pair(n), "rejected": filler(999 + n, 40)} if n % 10 else pair(n) for n in range(30)]
    finding = found(tmp_path, rows)["one-sided-length"]
    assert "shorter one in 90% of 30 pairs" in finding["title"] or "shorter one in 100%" in finding["title"]
    assert "answer briefly" in finding["why"]


def test_too_few_pairs_are_a_finding(tmp_path: Path) -> None:
    assert found(tmp_path, [pair(0)])["few-preferences"]["title"] == "There is only 1 pair"
    assert "19 pairs" in found(tmp_path, [pair(n) for n in range(19)])["few-preferences"]["title"]
    assert "few-preferences" not in found(tmp_path, [pair(n) for n in range(20)])


def test_invalid_preference_rows_name_line_and_reason(tmp_path: Path) -> None:
    asked, other = {"role": "user", "content": "Where?"}, {"role": "user", "content": "Who?"}
    said = {"role": "assistant", "content": "Here."}
    parts = [
        {"chosen": [asked, said], "rejected": [other, said]},
        {"prompt": "Where?", "chosen": "Here.", "rejected": "Here."},
        '{"prompt": "Where?", "chosen": "Here."',
    ]
    findings = found(tmp_path, [*map(pair, range(24)), *parts])
    reasons = [(row["where"], row["excerpt"]) for row in findings["wrong-content"]["rows"]]
    assert [where for where, _ in reasons] == ["d.jsonl, line 25", "d.jsonl, line 26"]
    assert "same prompt" in reasons[0][1]
    assert "same answer as chosen and as rejected" in reasons[1][1]
    (row,) = findings["not-json"]["rows"]
    assert row["where"] == "d.jsonl, line 27"
    assert "column 39" in row["excerpt"]
