"""Rows of weight zero: the rest of the training is the same to the bit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")

import torch

from arkor_dev.local.checkpoints.origin import hash_of_rows
from arkor_dev.local.cpu_kernels.patch_model import use_plain_attention
from arkor_dev.local.training.rows.left_out import without
from arkor_dev.local.workers.errors import JobFailure
from tests.local.tiny_run import losses_of, made_up, set_up

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.local.modeling.example import Example

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]


def rows() -> list[Example]:
    return [replace(row, where=f"line {number}") for number, row in enumerate(made_up(6), 1)]


def left_out(*names: str) -> list[Example]:
    train = rows()
    return without({"rows": list(names), "hash": hash_of_rows(train, [])}, train, [])


def weights(tiny: Path, folder: Path, train: list[Example], **config: Any) -> dict[str, torch.Tensor]:
    run = set_up(tiny, folder, {"learningRate": 1e-2, "evalSteps": 0, **config}, train=train)
    losses_of(run)
    return {name: weight.detach().clone() for name, weight in run.parts.weights.items()}


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(weight, other[name]) for name, weight in one.items())


def test_leaving_out_a_row_keeps_other_steps_bit_equal(tiny: Path, tmp_path: Path) -> None:
    order = set_up(tiny, tmp_path, {"batchSize": 2, "maxSteps": 2}, train=rows())
    first, second = (
        [row.where for row in batch] for [batch] in (next(steps) for steps in [order.steps()] * 2)
    )
    whole = weights(tiny, tmp_path / "whole", rows(), batchSize=2, maxSteps=1)
    assert equal(whole, weights(tiny, tmp_path / "later", left_out(*second), batchSize=2, maxSteps=1))
    assert not equal(whole, weights(tiny, tmp_path / "now", left_out(first[0]), batchSize=2, maxSteps=1))


def test_only_the_left_out_rows_gradient_is_missing(tiny: Path, tmp_path: Path) -> None:
    run = set_up(tiny, tmp_path, {"batchSize": 2}, train=rows())
    run.begin()
    kept, gone = rows()[0], left_out("line 2")[1]
    assert gone.weight == rows()[1].weight
    assert gone.learned == 0
    run.optimizer.step = lambda: None
    run.plan = replace(run.plan, max_norm=0)
    run.learn([kept, gone])
    both = {name: weight.grad.clone() for name, weight in run.parts.weights.items()}
    run.learn([kept])
    for name, weight in run.parts.weights.items():
        alone = weight.grad * kept.weight / (kept.weight + gone.weight)
        assert (both[name] - alone).norm() <= 1e-5 * alone.norm() + 1e-12


def test_a_step_with_only_left_out_rows_is_valid(tiny: Path, tmp_path: Path) -> None:
    for padded in (False, True):
        run = set_up(tiny, tmp_path / str(padded), {"batchSize": 1, "maxSteps": 6}, train=left_out("line 3"))
        run.begin()
        if padded:
            run.loss.padded = "for the test"
            use_plain_attention(run.model.base_model.model)
        found = [run.learn(*next(steps)) for steps in [run.steps()] * 6]
        assert found.count(0.0) == 1


def test_leaving_out_rows_of_changed_data_is_refused() -> None:
    train = rows()
    with pytest.raises(JobFailure, match="has changed"):
        without({"rows": ["line 1"], "hash": hash_of_rows(train[1:], [])}, train, [])
    with pytest.raises(JobFailure, match="line 9 is not a training row"):
        left_out("line 9")
