"""Where a run's time went: all of it, by part, and never more than there was."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")

from arkor_dev.local.metrics.stopwatch import PARTS, Stopwatch
from tests.local.tiny_run import metrics_of, set_up

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.local.checkpoints.figures import EvaluationLosses

pytestmark = pytest.mark.engine


class Clock:
    """Stands still but for what a test lets pass."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_lap_counts_the_time_since_the_last_one(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(time, "perf_counter", clock)
    watch = Stopwatch()
    clock.now += 50  # before the start: a model is loaded
    watch.start("cpu")
    for part, seconds in (("data", 1), ("forward", 2), ("data", 0.5), ("save", 0.25)):
        clock.now += seconds
        watch.lap(part)
    clock.now += 9
    assert watch.total() == {**dict.fromkeys(PARTS, 0.0), "data": 1.5, "forward": 2.0, "save": 0.25}


def test_times_of_earlier_processes_are_added(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(time, "perf_counter", clock)
    watch = Stopwatch()
    watch.seconds |= {"eval": 7.0}
    watch.start("cpu")
    clock.now += 1
    watch.lap("eval")
    assert watch.total()["eval"] == 8.0


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_run_reports_the_time_of_its_phases(tiny: Path, tmp_path: Path) -> None:
    """Evaluations, a pause in one of the parts and the saving are found where they belong, and all add up."""
    config: dict[str, Any] = {"maxSteps": 6, "saveSteps": 3, "evalSteps": 2, "batchSize": 4}
    run = set_up(tiny, tmp_path, config, held_out=4)
    evaluate, save = run.evaluate, run.save_checkpoint

    def slow_evaluation() -> EvaluationLosses:
        time.sleep(0.2)
        return evaluate()

    def slow_save(folder: Path) -> None:
        time.sleep(0.3)
        save(folder)

    run.evaluate, run.save_checkpoint = slow_evaluation, slow_save  # type: ignore[method-assign]
    began = time.monotonic()
    done = run.run()
    took = time.monotonic() - began
    assert done.status == "completed"
    spent = metrics_of(done)["secondsIn"]
    assert list(spent) == list(PARTS)
    assert spent["eval"] >= 0.6
    assert spent["save"] >= 0.6
    assert min(spent["forward"], spent["backward"], spent["optimizer"]) > 0
    assert sum(spent.values()) <= took + 0.01  # each is told to the millisecond
    # The machine may stand still between two looks at the clock.
    assert sum(spent.values()) == pytest.approx(metrics_of(done)["seconds"], abs=0.5)
