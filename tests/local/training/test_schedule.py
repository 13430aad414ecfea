"""The learning rate of every step: by hand where the form is simple, else as transformers has it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from arkor_dev.contract.settings import by_field
from arkor_dev.local.training.job_settings import EffectiveSettings
from arkor_dev.local.training.schedule import Schedule

KINDS = by_field()["lrSchedulerType"].rule.choices


def rates(steps: int = 24, height: float = 1.0, **config: Any) -> list[float]:
    """The rate of each step."""
    schedule = Schedule.of(EffectiveSettings({"warmupSteps": 0, **config}), steps, height)
    return [schedule.rate_at(step) for step in range(1, steps + 1)]


def test_warmup_rises_linearly_from_zero() -> None:
    for kind in set(KINDS) - {"constant"}:
        assert rates(lrSchedulerType=kind, warmupSteps=4)[:5] == pytest.approx([0, 0.25, 0.5, 0.75, 1])


def test_warmup_is_a_share_or_a_number_of_steps() -> None:
    def warm(**config: Any) -> int:
        return Schedule.of(EffectiveSettings(config), 100, 1.0).warmup

    assert (warm(), warm(warmupRatio=0.101), warm(warmupRatio=0), warm(warmupSteps=7)) == (5, 11, 0, 7)
    assert warm(warmupSteps=1000) == 100
    assert warm(lrSchedulerType="constant") == 0


def test_each_schedule_ends_as_named() -> None:
    assert rates(lrSchedulerType="constant") == [1.0] * 24
    assert rates(lrSchedulerType="linear")[-1] == pytest.approx(1 / 24)
    assert rates(lrSchedulerType="polynomial", lrPower=2.0)[-1] == pytest.approx((1 / 24) ** 2, rel=1e-3)
    assert rates(lrSchedulerType="cosine")[12] == pytest.approx(0.5)
    assert rates(lrSchedulerType="cosine_with_restarts", lrNumCycles=2)[12] == 1.0
    assert rates(lrSchedulerType="cosine_with_restarts", lrNumCycles=2)[6] == pytest.approx(0.5)
    wsd = rates(lrSchedulerType="wsd", lrNumDecaySteps=4)
    assert wsd[:21] == [1.0] * 21
    assert all(later < earlier for earlier, later in pairwise(wsd[20:]))


def test_a_rate_below_the_polynomial_end_is_constant() -> None:
    assert rates(lrSchedulerType="polynomial", height=1e-9) == pytest.approx([1e-9] * 24)


@pytest.mark.engine
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("warmup", [0, 5])
def test_schedules_equal_those_of_transformers(warmup: int) -> None:
    import torch
    from transformers import get_scheduler

    def theirs(kind: str, **more: Any) -> list[float]:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        name = "warmup_stable_decay" if kind == "wsd" else kind
        schedule = get_scheduler(name, optimizer, warmup, 24, scheduler_specific_kwargs=more)
        found = []
        for _ in range(24):
            found.append(schedule.get_last_lr()[0])
            optimizer.step()
            schedule.step()
        return found

    extras: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "cosine_with_restarts": ({"lrNumCycles": 3}, {"num_cycles": 3}),
        "polynomial": ({"lrPower": 2.5}, {"power": 2.5}),
        "wsd": ({"lrNumDecaySteps": 6}, {"num_decay_steps": 6}),
    }
    for kind in KINDS:
        ours, more = extras.get(kind, ({}, {}))
        assert rates(lrSchedulerType=kind, warmupSteps=warmup, **ours) == pytest.approx(theirs(kind, **more))
