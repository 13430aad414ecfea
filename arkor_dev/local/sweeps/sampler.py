"""Chooses the settings that a sweep tries next, and ranks their importance, with Optuna.

Stateless: each call rebuilds the study from the trials, so a killed backend loses nothing, and the result
depends only on the seed and the trials. Small spaces are searched exhaustively, in random order.
"""

from __future__ import annotations

import itertools
import math
import random
import statistics
import warnings
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.extras import install_command
from arkor_dev.contract.settings import by_field
from arkor_dev.contract.sweep_space import combinations, is_whole
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import ModuleType

    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

    from arkor_dev.contract.shapes import JobConfig, SweepImportance, ValueRange
    from arkor_dev.contract.sweep_space import Space

    from .messages import Observation

GRID_MOST: Final = 32
"""Maximum number of combinations for trying all of them."""
AGAIN: Final = 20
"""Maximum number of attempts to sample settings that were not tried yet."""
FEWEST: Final = 8
"""Minimum number of trials for importances."""
DRAWS: Final = 40
"""Number of bootstrap resamples of the trials, for the uncertainty of importances."""


def import_optuna() -> ModuleType:
    """Import Optuna quietly. Raises JobFailure if the extra is missing."""
    try:
        import optuna
    except ImportError:
        raise JobFailure(
            f"Searching for settings needs Optuna. Install it with: {install_command('sweep')}"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def ask(
    space: Space, config: JobConfig, history: Sequence[Observation], seed: int
) -> dict[str, object] | None:
    """Return the settings of the next trial; None if all have been tried.

    ``history`` are the trials so far, the starting settings of ``config`` first.
    """
    number, grid_size = len(history), combinations(space)
    tried = [_complete(space, config, trial.settings) for trial in history]
    if grid_size is not None and grid_size <= GRID_MOST:
        grid = list(_grid(space))
        random.Random(seed).shuffle(grid)  # noqa: S311 - order, not secrecy
        return next((candidate for candidate in grid if candidate not in tried), None)
    optuna = import_optuna()
    distributions = _distributions(optuna, space)
    trials = []
    for settings, trial in zip(tried, history, strict=True):
        if all(field in settings and _inside(space[field], settings[field]) for field in space):
            trials.append(_trial(optuna, distributions, _encoded(space, settings), trial.loss))
    for attempt in range(AGAIN):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sampler = optuna.samplers.TPESampler(seed=(seed + 1009 * number + 7919 * attempt) % 2**32)
            study = optuna.create_study(sampler=sampler, direction="minimize")
            study.add_trials(trials)
            params = study.ask(distributions).params
        settings_of_trial = _decoded(space, params)
        if settings_of_trial not in tried:
            return settings_of_trial
    if grid_size is None:
        return settings_of_trial
    rest = itertools.islice(_grid(space), 100_000)
    return next((candidate for candidate in rest if candidate not in tried), None)


def _grid(space: Space) -> Iterator[dict[str, object]]:
    """Yield all combinations of a space without ranges."""
    values = (values for values in space.values() if isinstance(values, list))
    return (dict(zip(space, each, strict=True)) for each in itertools.product(*values))


def importances(space: Space, trials: Sequence[Observation], seed: int) -> list[SweepImportance]:
    """Return the importance of each setting, from 0 to 1 with sum 1, most important first.

    ``low`` and ``high`` bound the middle 90 % over bootstrap resamples of the trials. Uses PED-ANOVA
    (Watanabe et al., 2023), which needs no surrogate model. Empty with too few trials.
    """
    trials = [trial for trial in trials if space.keys() <= trial.settings.keys()]
    if len(trials) < FEWEST or len(space) < 2:
        return []
    try:
        optuna = import_optuna()
    except JobFailure:  # a grid needs no sampler
        return []
    distributions = _distributions(optuna, space)
    chance = random.Random(seed)  # noqa: S311 - statistics, not secrecy
    draws = [list(trials), *([chance.choice(trials) for _ in trials] for _ in range(DRAWS))]
    by_field: dict[str, list[float]] = {field: [] for field in space}
    for draw in draws:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            study = optuna.create_study(direction="minimize")
            study.add_trials(
                [_trial(optuna, distributions, _encoded(space, trial.settings), trial.loss) for trial in draw]
            )
            evaluator = optuna.importance.PedAnovaImportanceEvaluator()
            try:
                figures = optuna.importance.get_param_importances(study, evaluator=evaluator)
            except (RuntimeError, ValueError):
                continue
        for field in space:
            figure = figures.get(field, 0.0)
            by_field[field].append(figure if math.isfinite(figure) else 0.0)
    if not all(by_field.values()):
        return []
    rows = [_importance(field, figures) for field, figures in by_field.items()]
    return sorted(rows, key=lambda row: -row["mean"])


def _importance(setting: str, figures: Sequence[float]) -> SweepImportance:
    ordered = sorted(figures[1:] or figures)
    low, high = ordered[len(ordered) // 20], ordered[-1 - len(ordered) // 20]
    mean = round(statistics.fmean(ordered), 4)
    return {"setting": setting, "mean": mean, "low": round(low, 4), "high": round(high, 4)}


def _complete(space: Space, config: JobConfig, settings: Mapping[str, object]) -> dict[str, object]:
    """Return the values of the space's settings, taken from ``config`` and the defaults if known."""
    completed: dict[str, object] = {}
    for field in space:
        value = settings.get(field, config.get(field))
        value = by_field()[field].default if value is None else value
        if value is not None:
            completed[field] = value
    return completed


def _distributions(optuna: ModuleType, space: Space) -> dict[str, BaseDistribution]:
    kinds = optuna.distributions
    distributions: dict[str, BaseDistribution] = {}
    for field, values in space.items():
        if isinstance(values, list):
            # Indices, so that Optuna handles lists and texts of any kind in the same way.
            distributions[field] = kinds.CategoricalDistribution(tuple(range(len(values))))
        else:
            kind = kinds.IntDistribution if is_whole(field) else kinds.FloatDistribution
            distributions[field] = kind(values["low"], values["high"], log=values.get("log", False))
    return distributions


def _inside(values: list[object] | ValueRange, value: object) -> bool:
    """Return whether a setting's value belongs to the space: the starting value need not."""
    if isinstance(values, list):
        return value in values
    return isinstance(value, int | float) and bool(values["low"] <= value <= values["high"])


def _encoded(space: Space, settings: Mapping[str, object]) -> dict[str, object]:
    return {
        field: values.index(settings[field]) if isinstance(values, list) else settings[field]
        for field, values in space.items()
    }


def _decoded(space: Space, params: Mapping[str, int | float]) -> dict[str, object]:
    """Return settings from Optuna's values; a range's value is rounded to as few digits as people write."""
    decoded: dict[str, object] = {}
    for field, values in space.items():
        value = params[field]
        if isinstance(values, list):
            decoded[field] = values[int(value)]
        elif is_whole(field):
            decoded[field] = int(value)
        else:
            decoded[field] = min(max(float(f"{value:.3g}"), values["low"]), values["high"])
    return decoded


def _trial(
    optuna: ModuleType,
    distributions: Mapping[str, BaseDistribution],
    params: Mapping[str, object],
    loss: float | None,
) -> FrozenTrial:
    state = optuna.trial.TrialState
    trial: FrozenTrial = optuna.trial.create_trial(
        params=dict(params),
        distributions=dict(distributions),
        value=loss,
        state=state.RUNNING if loss is None else state.COMPLETE,
    )
    return trial
