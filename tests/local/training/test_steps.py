"""Packing and accumulation as a job gets them: what a step learns, and how many there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.local.conftest import CONFIG
from tests.local.tiny_run import losses_of, set_up

if TYPE_CHECKING:
    from pathlib import Path

    from tests.local.harness import Backend

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]


def test_gradient_accumulation_equals_one_large_batch(tiny: Path, tmp_path: Path) -> None:
    """The mean is over all tokens of a step, and not over its batches' means: rows are of unlike length."""
    common: dict[str, Any] = {"maxSteps": 6, "learningRate": 1e-2, "evalSteps": 0}
    large = losses_of(set_up(tiny, tmp_path, {**common, "batchSize": 6}))
    parts = losses_of(set_up(tiny, tmp_path, {**common, "batchSize": 2, "gradientAccumulationSteps": 3}))
    assert parts == pytest.approx(large, rel=1e-5)
    assert large[-1] < large[0] - 0.5


def test_length_grouped_order_is_used(tiny: Path, tmp_path: Path) -> None:
    from arkor_dev.local.training.rows.batches import endless

    common: dict[str, Any] = {"maxSteps": 1, "batchSize": 2, "evalSteps": 0}
    run = set_up(tiny, tmp_path, {**common, "groupByLength": True})
    (batch,) = next(endless(run.train, run.plan, run.plan.order_seed))
    assert max(len(row.ids) for row in batch) == max(len(row.ids) for row in run.train)
    run.begin()
    total, count = run.loss(batch)
    first = pytest.approx([float(total.detach()) / count])
    assert losses_of(set_up(tiny, tmp_path, {**common, "groupByLength": True})) == first
    assert losses_of(set_up(tiny, tmp_path, common)) != first


@pytest.mark.parametrize(
    ("config", "steps"),
    [({"gradientAccumulationSteps": 4}, 4), ({"packing": True, "maxLength": 64}, 7)],
)
def test_an_epoch_has_as_many_steps_as_its_batches_make(
    shared: Backend, config: dict[str, Any], steps: int
) -> None:
    """54 rows of 32 tokens or less, in batches of four rows or packs; the model takes 256 tokens."""
    job = {**CONFIG, "maxSteps": -1, "numTrainEpochs": 1, "dryRun": False, "evalSteps": 1000, "saveSteps": 0}
    frames = list(shared.events(shared.submit({**job, **config})))
    metadata = next(frame.json["metadata"] for frame in frames if frame.event == "training.started")
    assert metadata["trainRows"] == 54
    assert metadata["totalSteps"] == steps
    assert frames[-2].event == "training.completed"
