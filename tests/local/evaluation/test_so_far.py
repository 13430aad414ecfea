"""The verdict so far: shares of the error over planned evaluations, and what they settle.

The null runs are those of ``scripts/bench promises``, fewer of them. ``losses_so_far.jsonl`` has the losses
of two runs of the starter model and two of the tiny one, which that bench trained.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from .test_paired import most_by_chance

np = pytest.importorskip("numpy")
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scripts"))
from benchmarks import live  # noqa: E402

from arkor_dev.local.evaluation import paired  # noqa: E402
from arkor_dev.local.evaluation.so_far import LAST, Look, LookSchedule, Watched  # noqa: E402

LOSSES = Path(__file__).with_name("losses_so_far.jsonl")
NULLS = 100


def spent(schedule: LookSchedule, steps: list[int]) -> dict[int, Look]:
    looks: dict[int, Look] = {}
    for step in steps:
        looks[step] = Look(schedule.share(step, looks), "open")
    return looks


def test_planned_evaluations_spend_the_whole_error_and_half_of_it_on_the_last() -> None:
    schedule = LookSchedule(steps=45, every=10)
    assert schedule.count == 5
    shares = [look.share for look in spent(schedule, [10, 20, 30, 40, 45]).values()]
    assert shares == pytest.approx([0.125] * 4 + [LAST])
    assert LookSchedule(steps=8, every=8).share(8, {}) == 1


def test_an_evaluation_that_was_skipped_leaves_its_share_to_the_last() -> None:
    schedule = LookSchedule(steps=40, every=10)
    assert schedule.share(40, spent(schedule, [10, 30])) == pytest.approx(2 / 3)


def test_another_plan_cannot_spend_more_than_the_error() -> None:
    looks = spent(LookSchedule(steps=20, every=5), [5, 10, 15, 20])
    assert LookSchedule(steps=60, every=5).share(25, looks) == 0, "an extended run has nothing left"
    dense = spent(LookSchedule(steps=4, every=2), [2])
    longer = LookSchedule(steps=400, every=2)
    for step in range(4, 402, 2):
        dense[step] = Look(longer.share(step, dense), "open")
    assert sum(look.share for look in dense.values()) == pytest.approx(1)


def watched(rows: int = 32, gain: float = 0.0) -> tuple[Watched, list[float]]:
    chance = np.random.default_rng(6)
    base = list(3 + chance.standard_normal(rows) ** 2)
    adapter = [
        loss - gain - noise for loss, noise in zip(base, 0.3 * chance.standard_normal(rows), strict=True)
    ]
    return Watched(base, range(rows), 0.01), adapter


SCHEDULE = LookSchedule(steps=40, every=10)


def test_a_clear_gain_is_settled_since_its_first_evaluation() -> None:
    rows, adapter = watched(gain=1.0)
    first = rows.look(10, adapter, SCHEDULE, {})
    assert first
    second = rows.look(20, adapter, SCHEDULE, {10: first[0]})
    assert second
    so_far = second[1]
    assert (so_far["state"], so_far["settled"], so_far["evaluation"], so_far["planned"]) == (
        "better",
        10,
        2,
        4,
    )
    assert so_far["confidence"] == 99, "a sixth of 1 % is spent on it"
    assert 0.5 < so_far["low"] < 1 < so_far["high"] < 1.5
    assert so_far["sentence"].startswith("Better, settled at step 10: loss ")
    assert "; 99 % interval of the difference " in so_far["sentence"]


def test_harm_is_hopeless_from_half_of_the_run_on_only() -> None:
    rows, adapter = watched(gain=-1.0)
    early, late = (rows.look(step, adapter, SCHEDULE, {}) for step in (10, 20))
    assert early
    assert late
    assert (early[1]["state"], late[1]["state"], late[1]["settled"]) == ("open", "hopeless", 20)
    assert early[1]["sentence"].startswith("Not yet: worse, loss ")
    assert late[1]["sentence"].startswith("Hopeless, settled at step 20: worse, loss ")


def test_an_adapter_that_changes_nothing_is_hopeless_late_and_open_early() -> None:
    rows, _ = watched()
    states = [rows.look(step, list(rows.base), SCHEDULE, {}) for step in (10, 30)]
    assert [found[1]["state"] for found in states if found] == ["open", "hopeless"]


def test_it_is_settled_anew_after_it_was_open_again() -> None:
    rows, adapter = watched(gain=1.0)
    before = {10: Look(0.1, "better"), 20: Look(0.1, "open")}
    found = rows.look(30, adapter, SCHEDULE, before)
    assert found
    assert found[1]["settled"] == 30


def test_too_few_rows_and_a_spent_error_give_no_verdict() -> None:
    rows, adapter = watched(rows=7, gain=1.0)
    assert rows.look(10, adapter, SCHEDULE, {}) is None
    rows, adapter = watched(gain=1.0)
    assert rows.look(50, adapter, SCHEDULE, {40: Look(1.0, "open")}) is None


def test_rows_that_chose_the_adapter_take_no_part() -> None:
    few, of_few = watched(rows=12, gain=1.0)
    all_choose = Watched(few.base, few.groups, 0.01, [True] * 12)
    assert all_choose.look(10, of_few, SCHEDULE, {}) is None, "none is left to judge"
    rows, adapter = watched(gain=1.0)
    half = [place % 2 == 0 for place in range(32)]
    judged = Watched(rows.base, rows.groups, 0.01, half).look(10, adapter, SCHEDULE, {})
    other = [
        loss if chooses else before for loss, before, chooses in zip(adapter, rows.base, half, strict=True)
    ]
    unchanged = Watched(rows.base, rows.groups, 0.01, half).look(10, other, SCHEDULE, {})
    assert judged
    assert unchanged
    assert (judged[1]["state"], unchanged[1]["low"], unchanged[1]["high"]) == ("better", 0, 0)


@pytest.mark.parametrize("how", ["signs", "centred"])
def test_null_runs_are_rarely_called_better_or_worse_at_any_evaluation(
    monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(paired, "RESAMPLES", 500)
    runs = live.known(LOSSES)
    assert len(runs) == 4
    wrong = live.simulate(runs, NULLS, 32, how, live.by_sequence)
    assert wrong <= most_by_chance(0.05, NULLS)
    each = live.simulate(runs, NULLS, 32, how, live.by_each)
    assert each > max(wrong, 5), "looking at each interval is no problem here"


def test_claims_of_a_run_that_learns_come_early_and_are_those_of_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(paired, "RESAMPLES", 500)
    for run in live.known(LOSSES)[:2]:
        looks = live.watch(run, range(16), run.gains)
        assert [look.state for look in looks] == ["better"] * len(looks)
        assert not any(live.false_claims(looks, run.gains.mean(0)))
        assert all(live.false_claims(looks, [-1.0] * len(looks)))
