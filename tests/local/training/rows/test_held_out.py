"""How many rows are held back from training, asked and unasked."""

from __future__ import annotations

from typing import Any

import pytest

from arkor_dev.data.rows import Row
from arkor_dev.local.training.job_settings import JobSettings
from arkor_dev.local.training.rows.held_out import split

UNASKED: dict[str, Any] = {}


def rows(count: int) -> list[Row]:
    return [Row([], f"line {number}") for number in range(count)]


@pytest.mark.parametrize(
    ("config", "count", "held"),
    [
        (UNASKED, 9, 0),
        (UNASKED, 10, 1),
        (UNASKED, 102, 10),
        (UNASKED, 10_000, 32),
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
def test_the_rows_held_back(config: dict[str, Any], count: int, held: int) -> None:
    everything = rows(count)
    settings = JobSettings(config)
    train, evaluated = split(everything, settings)
    assert settings.used["datasetSplit"] == round(held / count, 4)
    assert (len(train), len(evaluated)) == (count - held, held)
    assert sorted(row.where for row in train + evaluated) == sorted(row.where for row in everything)


def test_the_seed_decides_which() -> None:
    first, again, other = (
        split(rows(100), JobSettings({"datasetSplit": 0.2, "seed": seed})) for seed in (1, 1, 0)
    )
    assert first == again
    assert first[1] != other[1]
