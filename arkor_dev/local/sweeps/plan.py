"""Decides what a sweep does next: pure functions of its record and the time.

Successive halving (Jamieson and Talwalkar, Non-stochastic Best Arm Identification and Hyperparameter
Optimization, 2016): all trials train for a ninth of the full length, the best third of them up to a third,
and the best third of those to the end. The starting settings are trial 0 and always continue to the end.
Before the last rung the learning rate does not decay, since a short run that decays is no prefix of a long
one; the last rung decays (warmup-stable-decay). Then the best and the starting settings are trained again
with fresh seeds: the best of many trials is partly lucky, and these runs have not been selected.
"""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING, Final, NamedTuple

from arkor_dev.contract.settings import by_field
from arkor_dev.contract.sweep_space import LENGTH, SCHEDULE, combinations
from arkor_dev.data.sources import parts_of, weights_of

from .record import MOST_TRIALS, SEARCH, START, WINNER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .record import Role, SweepRecord, Trial

REDUCTION: Final = 3
RUNGS: Final = (1 / 9, 1 / 3, 1.0)
FEWEST_STEPS: Final = 3
"""Minimum number of steps of a rung, which also has at least twice the warmup steps."""
SEEDS: Final = 3
"""Number of runs of the winner, and of the starting settings, with fresh seeds."""
MOST_FAILURES: Final = 5
"""Maximum number of trials that may fail at the beginning before the sweep gives up."""
UNKNOWN_PACE: Final = 1.3
SAFETY: Final = 1.1
"""Factor on the slowest recent pace."""
RECENT: Final = 10
RESERVE: Final = 0.02
RESERVE_BOUNDS: Final = (3.0, 120.0)
"""Bounds of the seconds kept free before the deadline, to end the current step and to judge."""
STEADY: Final = ("constant", "constant_with_warmup")
DECAYING: Final = "wsd"
NO_DECAY: Final = 1
"""Length of a decay that starts after the run's last step."""


class Try(NamedTuple):
    """Start a new trial of the search."""


class Extend(NamedTuple):
    """Train a trial further, up to its next rung."""

    trial: Trial


class Confirm(NamedTuple):
    """Train the best or the starting settings with a fresh seed."""

    role: Role
    seed: int


class Conclude(NamedTuple):
    """End the sweep with a verdict; ``why`` explains the lack of results to judge."""

    why: str = ""


Action = Try | Extend | Confirm | Conclude


def supports_halving(space: Mapping[str, object]) -> bool:
    """Return whether short runs predict long ones in this space."""
    return not SCHEDULE & space.keys()


def rungs_of(sweep: SweepRecord) -> list[float]:
    """Return the fractions of the full length at which trials are compared."""
    assert sweep.estimate
    if sweep.runs or not supports_halving(sweep.space):
        return [1.0]
    steps = sweep.estimate.steps
    least = max(FEWEST_STEPS, 2 * _warmup(sweep, {}))
    return [part for part in RUNGS if part == 1.0 or round(steps * part) >= least]


def config_of(sweep: SweepRecord, trial: Trial) -> dict[str, object]:
    """Return the config of a trial's job, up to its rung."""
    held_out = value_of(sweep.config, "splitSeed")
    shared: dict[str, object] = {
        "samples": ["off"],
        "splitSeed": seed_of(sweep.config) if held_out is None else held_out,
        **({} if sweep.config.get("saveSteps") == 0 else {"saveTotalLimit": 1}),
    }
    if sweep.runs:
        return {**_of_sources(sweep, trial), **shared}
    if trial.role == START:
        return {**sweep.config, **shared, "seed": trial.seed}
    config: dict[str, object] = {**sweep.config, **trial.settings}
    config.pop("stopWhen", None)  # trials that end at different steps cannot be compared
    for other in (LENGTH, ("warmupSteps", "warmupRatio")):
        for first, second in (other, other[::-1]):
            if first in trial.settings:
                config.pop(second, None)
    if len(sweep.rungs) > 1:
        config = _at_rung(sweep, trial, config)
    seed = {} if trial.seed is None else {"seed": trial.seed}
    return {**config, **shared, **seed}


def _of_sources(sweep: SweepRecord, trial: Trial) -> dict[str, object]:
    """Return the config of a run of a design: with its sources, its own seed and the steps of all runs.

    All files are read and the same rows are held out in each run: the other sources have weight 0. One that
    has weight 0 so far is tried with 1.
    """
    source = sweep.config["datasetSource"]
    parts = [
        {**part, "weight": (weight or 1) if number in trial.sources else 0}
        for number, (part, weight) in enumerate(zip(parts_of(source), weights_of(source), strict=True))
    ]
    ends = ("numTrainEpochs", "stopWhen", "earlyStoppingPatience", "earlyStoppingThreshold")
    return {
        **{field: value for field, value in sweep.config.items() if field not in ends},
        "datasetSource": {**source, "sources": parts},
        "maxSteps": sweep.steps,
        "seed": (seed_of(sweep.config) + 1 + trial.number) % 2**32,
    }


def changes_of(sweep: SweepRecord, trial: Trial) -> dict[str, object]:
    """Return the settings that turn the sweep's config into the trial's; null removes a setting."""
    complete = config_of(sweep, replace(trial, rung=sweep.last))
    known = by_field()
    excluded = {"samples", "saveTotalLimit", "splitSeed", "seed", "stopWhen"}
    changed = {
        key: value for key, value in complete.items() if key in known and sweep.config.get(key) != value
    }
    gone = {key: None for key in sweep.config if key in known and key not in complete}
    return {key: value for key, value in {**changed, **gone}.items() if key not in excluded}


def _at_rung(sweep: SweepRecord, trial: Trial, config: dict[str, object]) -> dict[str, object]:
    """Return a trial's config with the length of its rung, without a decay before the last one."""
    last = trial.rung == sweep.last or trial.role != SEARCH
    if value_of(config, "lrSchedulerType") not in STEADY:
        for gone in ("warmupRatio", "lrNumCycles", "lrPower", "lrNumDecaySteps"):
            config.pop(gone, None)
        config |= {"lrSchedulerType": DECAYING, "warmupSteps": _warmup(sweep, trial.settings)}
        if not last:
            config["lrNumDecaySteps"] = NO_DECAY
    if last:
        return config
    for gone in ("earlyStoppingPatience", "earlyStoppingThreshold"):
        config.pop(gone, None)
    part = sweep.rungs[trial.rung]
    if (steps := number_of(config, "maxSteps")) > 0:
        return {**config, "maxSteps": max(1, round(steps * part))}
    return {**config, "numTrainEpochs": number_of(config, "numTrainEpochs") * part}


def _warmup(sweep: SweepRecord, settings: Mapping[str, object]) -> int:
    """Return a trial's number of warmup steps, the same at each rung."""
    assert sweep.estimate
    config = sweep.config
    steps = float(sweep.estimate.steps)
    if (config.get("maxSteps") or -1) < 1:  # by epochs: a larger batch makes fewer steps
        for field in ("batchSize", "gradientAccumulationSteps"):
            steps *= number_of(config, field) / number_of({**config, **settings}, field)
    if (warmup := config.get("warmupSteps")) is not None:
        return int(warmup)
    if (ratio := config.get("warmupRatio")) is not None:
        return math.ceil(ratio * steps)
    return 0 if value_of(config, "lrSchedulerType") == "constant" else math.floor(steps / 20)


def value_of(config: Mapping[str, object], field: str) -> object:
    """Return a setting of ``config``, or its default."""
    value = config.get(field)
    return by_field()[field].default if value is None else value


def number_of(config: Mapping[str, object], field: str) -> float:
    """Return a setting whose values are numbers, as `value_of`; -1 for one that has no default."""
    value = value_of(config, field)
    return value if isinstance(value, int | float) else -1


def seed_of(config: Mapping[str, object]) -> int:
    """Return the seed of ``config``, or its default."""
    return int(number_of(config, "seed"))


# Time


def pace_of(sweep: SweepRecord) -> float:
    """Return the factor on the estimate: slightly more than the slowest recent run."""
    return SAFETY * max(sweep.paces[-RECENT:]) if sweep.paces else UNKNOWN_PACE


def seconds_of(sweep: SweepRecord, before: float, after: float) -> float:
    """Return the estimated seconds of a job from one fraction of the full length to another."""
    assert sweep.estimate
    return pace_of(sweep) * uncorrected(sweep, before, after)


def uncorrected(sweep: SweepRecord, before: float, after: float) -> float:
    """Return the seconds of the original estimate, without correction."""
    assert sweep.estimate
    return sweep.estimate.fixed + (after - before) * sweep.estimate.training


def reserve(sweep: SweepRecord) -> float:
    """Return the seconds before the deadline in which no job may run."""
    assert sweep.deadline is not None
    low, high = RESERVE_BOUNDS
    least = min(high, max(low, RESERVE * (sweep.deadline - sweep.began)))
    if sweep.estimate is None:
        return least
    return max(least, 2 * pace_of(sweep) * sweep.estimate.training / max(1, sweep.estimate.steps))


def seconds_left(sweep: SweepRecord, now: float) -> float:
    """Return the seconds for which jobs may still run; infinity without a deadline."""
    return math.inf if sweep.deadline is None else sweep.deadline - reserve(sweep) - now


def confirming_seconds(sweep: SweepRecord) -> float:
    """Return the estimated seconds of the remaining confirmation runs."""
    done = sum(not trial.under_way for trial in sweep.trials if trial.role != SEARCH)
    return (2 * SEEDS - done) * seconds_of(sweep, 0.0, 1.0)


def halving_seconds(sweep: SweepRecord, trials: int) -> float:
    """Return the estimated seconds for promoting ``trials`` trials, all at the first rung, to the end."""
    total, remaining = 0.0, trials
    for level in range(1, len(sweep.rungs)):
        remaining = math.ceil(remaining / REDUCTION)
        per_trial = seconds_of(sweep, sweep.rungs[level - 1], sweep.rungs[level])
        total += (remaining + 1) * per_trial  # and the starting settings
    return total


def most_trials(sweep: SweepRecord) -> int:
    """Return the maximum number of trials, given the space and the limit."""
    limits, grid_size = [MOST_TRIALS, sweep.jobs or MOST_TRIALS], combinations(sweep.space)
    if grid_size is not None:
        among = all(value_of(sweep.config, field) in values for field, values in sweep.space.items())
        limits.append(grid_size if among else grid_size + 1)
    return min(limits)


def planned(sweep: SweepRecord, seconds_left: float) -> tuple[int, float]:
    """Return the planned number of trials, and the seconds until the end of the sweep."""
    if sweep.runs:
        left = sweep.runs - sum(not trial.under_way for trial in sweep.trials)
        return sweep.runs, left * seconds_of(sweep, 0.0, 1.0)
    search = sweep.search
    running = sum(trial.under_way for trial in search if trial.rung == 0)
    first, most, after = seconds_of(sweep, 0.0, sweep.rungs[0]), most_trials(sweep), confirming_seconds(sweep)

    def needed(count: int) -> float:
        return (count - len(search) + running) * first + halving_seconds(sweep, count) + after

    count = len(search)
    if sweep.level == 0:
        while count < most and needed(count + 1) <= seconds_left:
            count += 1
        return count, needed(count)
    total = 0.0
    for level in range(sweep.level, len(sweep.rungs)):
        to_go = sum(len(trial.losses) <= level for trial in _promoted(sweep, level))
        total += to_go * seconds_of(sweep, sweep.rungs[level - 1], sweep.rungs[level])
    return count, total + confirming_seconds(sweep)


def expected_seconds(sweep: SweepRecord, planned_seconds: float) -> float | None:
    """Return the seconds of the planned jobs at the usual pace; ``planned`` takes the slowest, to be safe.

    None before a job was timed: the estimate alone can be far off.
    """
    if not sweep.paces:
        return None
    return planned_seconds * median(sweep.paces[-RECENT:]) / pace_of(sweep)


# The next action


def next_action(sweep: SweepRecord, seconds_left: float, exhausted: bool = False) -> Action | None:
    """Return the action to take with ``seconds_left`` seconds before the deadline; None to wait for a job.

    ``exhausted``: all different settings have been tried. Sets ``level`` and ``best`` as the sweep
    advances.
    """
    search, waiting = sweep.search, any(trial.under_way for trial in sweep.trials)
    if sweep.runs:
        if failed_run := next((trial for trial in search if trial.error), None):
            return None if waiting else Conclude(f"Run {failed_run.number} failed: {failed_run.error}")
        return Try() if len(search) < sweep.runs else None if waiting else Conclude()
    if sweep.level == 0:
        failed = [trial.error for trial in search if trial.error]
        if len(failed) >= MOST_FAILURES and len(failed) == len(search):
            return Conclude(f"The first {len(failed)} trials failed: {failed[0]}")
        if search and search[0].error:
            return Conclude(f"The run with your settings failed: {search[0].error}")
        count = len(search)
        first = seconds_of(sweep, 0.0, sweep.rungs[0])
        running = sum(trial.under_way for trial in search) * first
        after = halving_seconds(sweep, count + 1) + confirming_seconds(sweep)
        if count < most_trials(sweep) and not exhausted and running + first + after <= seconds_left:
            return Try()
        if count < 2:
            return None if waiting else Conclude("There was no time for a trial")
        if waiting:
            return None
        sweep.level = 1
    while 0 < sweep.level < len(sweep.rungs):
        ahead = _promoted(sweep, sweep.level)
        for trial in ahead:
            if trial.rung >= sweep.level:
                continue
            rest = seconds_of(sweep, sweep.rungs[sweep.level - 1], sweep.rungs[sweep.level])
            # The best and the starting settings continue together: a single one cannot be compared.
            count = max(
                1, sum(candidate.rung < sweep.level or candidate.under_way for candidate in ahead[:2])
            )
            if count * rest + confirming_seconds(sweep) <= seconds_left:
                return Extend(trial)
        if waiting:
            return None
        sweep.level += 1
    if waiting and sweep.best is None:
        return None
    return _confirmation(sweep, seconds_left, waiting=waiting)


def _promoted(sweep: SweepRecord, level: int) -> list[Trial]:
    """Return the trials that continue to rung ``level``: a third and the initial settings, best first."""
    evaluated = [trial for trial in sweep.search if len(trial.losses) >= level and trial.error is None]
    ranked = sorted(evaluated, key=lambda trial: (trial.losses[level - 1], trial.number))
    ahead = ranked[: math.ceil(len(ranked) / REDUCTION)]
    return sorted(
        ahead + [trial for trial in ranked if trial.number == 0 and trial not in ahead],
        key=lambda trial: (trial is not ranked[0], trial.number != 0),
    )


def finalists(sweep: SweepRecord) -> list[Trial]:
    """Return the trials at the highest rung that the starting settings have reached, best first."""
    known = [trial for trial in sweep.search if trial.error is None]
    rung = len(known[0].losses) if known and known[0].number == 0 else 0
    evaluated = [trial for trial in known if len(trial.losses) >= rung > 0]
    return sorted(evaluated, key=lambda trial: (trial.losses[rung - 1], trial.number))


def _confirmation(sweep: SweepRecord, seconds_left: float, *, waiting: bool) -> Action | None:
    if sweep.best is None:
        if error := sweep.search[0].error:
            return Conclude(f"The run with your settings failed: {error}")
        ranked = finalists(sweep)
        # The starting settings with the trials' schedule are also a change, unless they have that schedule.
        if not ranked or not changes_of(sweep, ranked[0]):
            return Conclude()
        sweep.best = ranked[0].number
    runs = [trial for trial in sweep.trials if trial.role != SEARCH]
    failed = next((trial.error for trial in runs if trial.error), None)
    if failed:
        return Conclude(f"A run that was to confirm the winner failed: {failed}")
    begun = {(trial.role, trial.seed) for trial in runs}
    for seed in fresh_seeds(sweep):
        for role in (WINNER, START):
            if (role, seed) not in begun:
                if seconds_of(sweep, 0.0, 1.0) * (2 * SEEDS - len(runs)) <= seconds_left:
                    return Confirm(role, seed)
                late = "There was no time left to confirm the best trial with fresh seeds"
                return None if waiting else Conclude(late)
    return None if waiting else Conclude()


def fresh_seeds(sweep: SweepRecord) -> list[int]:
    """Return the seeds of the confirmation runs."""
    return [(seed_of(sweep.config) + offset) % 2**32 for offset in range(1, SEEDS + 1)]
