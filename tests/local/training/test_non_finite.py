"""A non-finite loss or weight: reported with step and row, retried once from the last state, never saved."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")

from arkor_dev.local.checkpoints.rollback import NonFiniteError
from arkor_dev.local.jobs.job_folder import checkpoint_steps, final_folder
from tests.local.tiny_run import Events, events_of, made_up, metrics_of, set_up

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.local.training.run import TrainingLoop

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]
CONFIG: dict[str, Any] = {"maxSteps": 8, "saveSteps": 3, "batchSize": 4, "learningRate": 1e-3}


def named(count: int = 12) -> list[Any]:
    return [replace(row, where=f"rows.jsonl:{number}") for number, row in enumerate(made_up(count), 1)]


class Broken:
    """Make a run's loss non-finite for one row, or after a number of calls."""

    def __init__(
        self, run: TrainingLoop, *, where: str | None = None, after: float = math.inf, times: int = 1
    ) -> None:
        self._loss = run.loss
        self._where, self._after, self._times = where, after, times
        self.calls = 0

    def __call__(self, rows: Any) -> Any:
        loss, count = self._loss(rows)
        self.calls += 1
        bad = any(row.where == self._where for row in rows)
        if self.calls > self._after and self._times > 0:
            self._times -= 1
            bad = True
        return (loss * math.nan if bad else loss), count

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loss, name)


def breaking(run: TrainingLoop, **how: Any) -> TrainingLoop:
    """``run``, whose loss breaks as ``how`` says once it has been made."""
    begin = run.begin

    def begun() -> None:
        begin()
        run.loss = Broken(run, **how)  # type: ignore[assignment]

    run.begin = begun  # type: ignore[method-assign]
    return run


def test_a_row_with_a_non_finite_loss_is_named(tiny: Path, tmp_path: Path) -> None:
    run = breaking(set_up(tiny, tmp_path, CONFIG, train=named()), where="rows.jsonl:7")
    with pytest.raises(NonFiniteError, match=r"at step \d, by rows.jsonl:7; .* other rows") as caught:
        run.run()
    assert caught.value.step in (1, 2, 3)
    assert not final_folder(tmp_path, run.job_id).exists()


def test_a_late_non_finite_loss_keeps_the_last_checkpoint(tiny: Path, tmp_path: Path) -> None:
    run = breaking(set_up(tiny, tmp_path, CONFIG, train=named()), after=6, times=100)
    with pytest.raises(NonFiniteError, match=r"nan at step 7, on rows.jsonl:.*rate 0.001 is too"):
        run.run()
    assert checkpoint_steps(tmp_path, run.job_id) == [3, 6]
    assert not [fields for name, fields in events_of(run).calls if name == "training.resumed"]


def test_non_finite_weights_are_not_saved(tiny: Path, tmp_path: Path) -> None:
    import torch

    run = set_up(tiny, tmp_path, CONFIG, train=named())
    learn = run.learn

    def poisoned(*batches: Any) -> float:
        value = learn(*batches)
        if run.step == 6:
            with torch.no_grad():
                run.trainable[0].fill_(math.inf)
        return value

    run.learn = poisoned  # type: ignore[method-assign]
    with pytest.raises(NonFiniteError, match="Non-finite weights after step 6"):
        run.run()
    assert checkpoint_steps(tmp_path, run.job_id) == [3]


def test_lower_rate_rolls_back_once_with_half_the_rate(tiny: Path, tmp_path: Path) -> None:
    config = {**CONFIG, "onNonFinite": "lower_rate", "lrSchedulerType": "constant"}
    run = breaking(set_up(tiny, tmp_path, config, train=named()), after=4)
    ending = run.run()
    assert ending.status == "completed"
    calls = events_of(run).calls
    names = [name for name, _ in calls]
    resumed = names.index("training.resumed")
    assert calls[resumed][1]["step"] == 3
    assert "Training continues from step 3 with half the learning rate" in calls[resumed][1]["message"]
    assert calls[resumed + 1][1]["code"] == "non-finite"
    assert calls[resumed + 1][1]["step"] == 5
    rows = [(fields["step"], fields["learningRate"]) for name, fields in calls if name == "training.log"]
    assert rows == [(step, 1e-3) for step in range(1, 5)] + [(step, 5e-4) for step in range(4, 9)]
    assert metrics_of(ending)["steps"] == 8

    # The same rates without the fault give the same bits: nothing of the broken step is left.
    (tmp_path / "whole").mkdir()
    whole = set_up(tiny, tmp_path / "whole", config, train=named(), job_id="whole")
    begin = whole.begin

    def half_later() -> None:
        begin()
        make = whole._make_step

        def step(batches: Any) -> None:
            whole.rollback.factor = 0.5 if whole.step >= 3 else 1.0
            make(batches)

        whole._make_step = step  # type: ignore[method-assign]

    whole.begin = half_later  # type: ignore[method-assign]
    whole.run()
    one, other = (
        (final_folder(folder, name) / "adapter_model.safetensors").read_bytes()
        for folder, name in ((tmp_path, run.job_id), (tmp_path / "whole", "whole"))
    )
    assert one == other


def test_a_second_non_finite_loss_fails_the_run(tiny: Path, tmp_path: Path) -> None:
    config = {**CONFIG, "onNonFinite": "lower_rate"}
    run = breaking(set_up(tiny, tmp_path, config, train=named()), after=4, times=100)
    with pytest.raises(NonFiniteError):
        run.run()
    assert [name for name, _ in events_of(run).calls].count("training.resumed") == 1
    assert isinstance(run.emit, Events)


def test_a_rollback_to_step_0_repeats_the_start_event(tiny: Path, tmp_path: Path) -> None:
    """A run that restarts from step 0 makes readers drop everything before it."""
    config = {**CONFIG, "onNonFinite": "lower_rate"}
    run = breaking(set_up(tiny, tmp_path, config, train=named()), after=1)
    run.run()
    calls = events_of(run).calls
    names = [name for name, _ in calls]
    resumed = names.index("training.resumed")
    assert calls[resumed][1]["step"] == 0
    assert names[resumed + 1 : resumed + 4] == ["training.started", "training.message", "training.log"]
    assert calls[resumed + 1][1] == calls[names.index("training.started")][1]
