"""How many rows are held back from training, asked and unasked."""

from __future__ import annotations

import random
from typing import Any

import pytest

from arkor_dev.data.messages import turn
from arkor_dev.data.rows import Row
from arkor_dev.local.training.job_settings import EffectiveSettings
from arkor_dev.local.training.rows.split import small_split_warning, split, with_held_out

WORDS = [f"word{number}" for number in range(500)]
UNASKED: dict[str, Any] = {}


def row(number: int, **more: Any) -> Row:
    """A row unlike all others."""
    words = " ".join(random.Random(number).choices(WORDS, k=20))
    return Row(turn(f"{words}?", words[::-1]), f"line {number}", **more)


def rows(count: int) -> list[Row]:
    return [row(number) for number in range(count)]


def places(some: list[Row]) -> list[str]:
    return [row.where for row in some]


@pytest.mark.parametrize(
    ("config", "count", "held"),
    [
        (UNASKED, 9, 0),
        (UNASKED, 10, 1),
        (UNASKED, 23, 2),
        (UNASKED, 24, 8),
        (UNASKED, 79, 8),
        (UNASKED, 102, 10),
        (UNASKED, 1000, 32),
        ({"datasetSplit": 0.15}, 26, 4),
        ({"datasetSplit": 0.5}, 1000, 500),
        ({"datasetSplit": 0.001}, 10, 1),
        ({"datasetSplit": 0.9}, 2, 1),
        ({"datasetSplit": 0.5}, 1, 0),
        ({"datasetSplit": 0}, 1000, 0),
        ({"datasetSplit": "validation"}, 102, 10),
        ({"datasetSplit": None}, 102, 10),
        ({"datasetSplit": 0.5, "evalSteps": 0}, 1000, 0),
    ],
)
def test_the_split_holds_out_the_requested_share(config: dict[str, Any], count: int, held: int) -> None:
    everything = rows(count)
    settings = EffectiveSettings(config)
    found = split(everything, settings)
    train, evaluated = found.train, found.held_out
    assert found.facts["sentence"] == ""
    assert settings.used["datasetSplit"] == round(held / count, 4)
    assert (len(train), len(evaluated)) == (count - held, held)
    assert sorted(row.where for row in train + evaluated) == sorted(row.where for row in everything)


def test_the_split_depends_on_the_seed() -> None:
    first, again, other = (
        split(rows(100), EffectiveSettings({"datasetSplit": 0.2, "seed": seed})) for seed in (1, 1, 0)
    )
    assert first == again
    assert first.held_out != other.held_out


@pytest.mark.parametrize("config", [{"seed": 1}, {"datasetSplit": 0.3, "seed": 2}])
def test_duplicates_stay_on_one_side_of_the_split(config: dict[str, Any]) -> None:
    """Each row twice: by row, most of those held out would have been trained on as well."""
    twice = [*rows(50), *rows(50)]
    found = split(twice, EffectiveSettings(config))
    assert len(found.held_out) == (30 if "datasetSplit" in config else 16), "8 groups, or what is asked for"
    assert not {*places(found.held_out)} & {*places(found.train)}
    assert len(set(found.groups)) == len(found.held_out) / 2
    assert found.facts["sentence"] == (
        "Rows with the same question, near duplicates, and rows made from one passage were kept together: "
        f"{len(found.held_out)} held-out rows of {len(found.held_out) // 2} groups."
    )


def test_rewritten_rows_stay_on_one_side_of_the_split() -> None:
    """Three copies of each row, every tenth word of question and answer replaced."""
    chance = random.Random(7)

    def rewritten(text: str) -> str:
        words = text.split()
        for place in chance.sample(range(len(words)), len(words) // 10):
            words[place] = chance.choice(WORDS)
        return " ".join(words)

    copies = [
        Row([{**turn, "content": rewritten(turn["content"])} for turn in original.messages], original.where)
        for original in rows(60)
        for _ in range(3)
    ]
    found = split(copies, EffectiveSettings({"datasetSplit": 0.2}))
    assert not {*places(found.held_out)} & {*places(found.train)}
    assert found.facts["groups"] == len({*places(found.held_out)}) == 12


def test_rows_of_one_source_stay_on_one_side() -> None:
    grouped = [row(number, origins={"book": str(number // 5)}, group="book") for number in range(400)]
    found = split(grouped, EffectiveSettings({}))
    assert len(set(found.groups)) == 8
    assert not {row.origins["book"] for row in found.held_out} & {row.origins["book"] for row in found.train}
    assert found.facts["column"] == "book"
    assert found.facts["sentence"] == "Rows of one book were kept together: 40 held-out rows of 8 groups."
    larger = split(grouped[:60], EffectiveSettings({"datasetSplit": 0.02}))
    assert len(larger.held_out) == 5, "a group is not cut to be as small as is asked for"
    few = [row(number, origins={"book": str(number // 20)}, group="book") for number in range(200)]
    assert len(split(few, EffectiveSettings({})).held_out) == 20, "8 books would be most of the rows"
    one = [row(number, origins={"book": "1"}, group="book") for number in range(20)]
    found = split(one, EffectiveSettings({}))
    assert (found.held_out, len(found.train)) == ([], 20)
    assert found.facts["sentence"].startswith("No rows are held out: all of them belong together")


def test_evaluation_rows_that_are_trained_on_are_dropped() -> None:
    train, own = rows(30), [*rows(40)[26:40], row(35)]
    found = with_held_out(train, own, compare=True)
    assert places(found.held_out) == [f"line {number}" for number in (*range(30, 40), 35)]
    assert found.groups == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 5]
    assert found.facts["leftOut"] == 4
    assert "4 rows of the evaluation set are left out: the training data has" in found.facts["sentence"]
    same = with_held_out(train, rows(10), compare=True)
    assert len(same.held_out) == 10
    assert "looks better than the model is" in same.facts["sentence"]
    assert with_held_out(train, rows(10), compare=False).facts["sentence"] == ""


def test_runs_of_different_seeds_can_hold_out_the_same_rows() -> None:
    def held(**config: Any) -> list[str]:
        return places(split(rows(60), EffectiveSettings({"datasetSplit": 0.2, **config})).held_out)

    assert held(seed=1) != held(seed=2)
    assert held(seed=1) == held(seed=2, splitSeed=1) == held(seed=3, splitSeed=1)


def test_too_few_held_out_rows_are_warned_about() -> None:
    assert small_split_warning(8, stops_early=False) == ""
    assert small_split_warning(16, stops_early=True) == ""
    assert small_split_warning(15, stops_early=True) == (
        "Only 15 rows are held out. A verdict about your task needs at least 16, since early stopping "
        "chooses by half of them: raise eval_split, or add rows"
    )
