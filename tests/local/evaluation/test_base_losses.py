"""What is known of a base from before: used for the very same rows and way of computing, for no other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.evaluation.base_losses import ENTRIES, FILE, MOST_ROWS, BaseLosses, known
from arkor_dev.local.modeling.example import Example

if TYPE_CHECKING:
    from pathlib import Path

WAY: dict[str, Any] = {"model": "f00d", "format": "float32", "threads": 2, "versions": {"torch": "2.13"}}


BATCHES = [[Example([1, 2, 3], [-100, 2, 3]), Example([4, 5], [-100, 5])], [Example([6, 7], [-100, 7])]]
LOSSES = [1.25, 0.1 + 0.2, 3e-17]


def test_stored_base_losses_are_exact(tmp_path: Path) -> None:
    assert BaseLosses(tmp_path, WAY).get(BATCHES) is None
    BaseLosses(tmp_path, WAY).keep(BATCHES, LOSSES)
    assert BaseLosses(tmp_path, dict(reversed(WAY.items()))).get(BATCHES) == LOSSES
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize(
    "other",
    [
        {"model": "beef"},
        {"format": "bfloat16"},
        {"threads": 1},
        {"versions": {"torch": "2.14"}},
        {"whole": True},
    ],
)
def test_base_losses_are_stored_per_configuration(tmp_path: Path, other: dict[str, Any]) -> None:
    BaseLosses(tmp_path, WAY).keep(BATCHES, LOSSES)
    assert BaseLosses(tmp_path, {**WAY, **other}).get(BATCHES) is None


@pytest.mark.parametrize(
    "other",
    [
        [[*BATCHES[0], *BATCHES[1]]],
        [BATCHES[1], BATCHES[0]],
        [[Example([1, 2, 9], [-100, 2, 9]), BATCHES[0][1]], BATCHES[1]],
        [[Example([1, 2, 3], [1, 2, 3]), BATCHES[0][1]], BATCHES[1]],
        [BATCHES[0]],
    ],
    ids=["together", "order", "tokens", "learned", "fewer"],
)
def test_base_losses_are_stored_per_rows_and_batches(tmp_path: Path, other: list[list[Example]]) -> None:
    BaseLosses(tmp_path, WAY).keep(BATCHES, LOSSES)
    assert BaseLosses(tmp_path, WAY).get(other) is None


def test_without_a_configuration_nothing_is_stored(tmp_path: Path) -> None:
    losses = BaseLosses(tmp_path, {})
    losses.keep(BATCHES, LOSSES)
    assert losses.get(BATCHES) is None
    assert not list(tmp_path.iterdir())


def test_the_store_of_base_losses_is_bounded(tmp_path: Path) -> None:
    losses = BaseLosses(tmp_path, WAY)
    many = [[Example([1, 2], [-100, 2])] * (MOST_ROWS + 1)]
    losses.keep(many, [1.0] * (MOST_ROWS + 1))
    assert losses.get(many) is None
    for number in range(ENTRIES + 3):
        losses.keep([[Example([number, 2], [-100, 2])]], [float(number)])
    assert len(known(tmp_path)) == ENTRIES
    assert losses.get([[Example([2, 2], [-100, 2])]]) is None
    assert losses.get([[Example([ENTRIES + 2, 2], [-100, 2])]]) == [ENTRIES + 2.0]


@pytest.mark.parametrize(
    "text",
    ["", "[]", "\0", "[" * 100_000, '{"KEY": [1.0]}', '{"KEY": [1.0, NaN, 2.0]}', '{"KEY": [1.0, "2", 3.0]}'],
)
def test_a_damaged_store_is_ignored(tmp_path: Path, text: str) -> None:
    losses = BaseLosses(tmp_path, WAY)
    (tmp_path / FILE).write_text(text.replace("KEY", losses.key(BATCHES)))
    assert losses.get(BATCHES) is None
    losses.keep(BATCHES, LOSSES)
    assert losses.get(BATCHES) == LOSSES
    assert json.loads((tmp_path / FILE).read_text())
