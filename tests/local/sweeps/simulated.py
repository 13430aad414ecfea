"""Sweeps whose runs are looked up, not trained: for tests and the bench."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from arkor_dev.local.sweeps import plan, sampler
from arkor_dev.local.sweeps.messages import Observation
from arkor_dev.local.sweeps.plan import Conclude, Confirm, Extend, Try
from arkor_dev.local.sweeps.record import SEARCH, WINNER, Estimate, SweepRecord, Trial

if TYPE_CHECKING:
    from collections.abc import Callable

GRID: dict[str, list[Any]] = {
    "learningRate": [1e-4, 5e-4, 2e-3],
    "loraR": [4, 16, 64],
    "batchSize": [2, 4, 8],
}
CONFIG: Any = {"model": "m", "maxSteps": 90, "learningRate": 1e-4, "loraR": 4, "batchSize": 4}


def sweep_of(space: dict[str, Any], config: Any = CONFIG, **more: Any) -> SweepRecord:
    sweep = SweepRecord("sweep_0", "s", "now", 0.0, config, space, **{"seed": 1, **more})
    sweep.estimate = Estimate(steps=90, fixed=2.0, training=90.0)
    sweep.rungs = plan.rungs_of(sweep)
    return sweep


def run(
    sweep: SweepRecord,
    loss_of: Callable[[dict[str, Any], float], float],
    seconds: float = math.inf,
    slow: float = 1.0,
    ask: Callable[..., Any] = sampler.ask,
) -> tuple[float, float, Conclude]:
    """Make all trials one after another; return the lengths of the search, the seconds, and the end."""
    length, clock, exhausted = 0.0, 0.0, False
    while True:
        action = plan.next_action(sweep, seconds - clock, exhausted)
        if isinstance(action, Conclude):
            return length, clock, action
        if isinstance(action, Confirm):
            settings = sweep.search[sweep.best or 0].settings if action.role == WINNER else {}
            trial = Trial(sweep.number_of(action.role), settings, "job", action.role, action.seed)
            before, after = 0.0, 1.0
        elif isinstance(action, Extend):
            trial = action.trial
            trial.rung += 1
            before, after = sweep.rungs[trial.rung - 1], sweep.rungs[trial.rung]
        else:
            assert isinstance(action, Try)
            told = [Observation(each.settings, each.losses[0]) for each in sweep.search]
            found = ask(sweep.space, sweep.config, told, sweep.seed) if told else {}
            if found is None:
                exhausted = True
                continue
            trial = Trial(sweep.number_of(SEARCH), found, "job")
            before, after = 0.0, sweep.rungs[0]
        if trial not in sweep.trials:
            sweep.trials.append(trial)
        spent = slow * plan.uncorrected(sweep, before, after)
        sweep.paces.append(spent / plan.uncorrected(sweep, before, after))
        clock += spent
        length += after - before if trial.role == SEARCH else 0.0
        whole = {**sweep.config, **trial.settings}
        trial.losses.append(loss_of(whole, after))
