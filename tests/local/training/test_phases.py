"""Phases and the time left: what follows the last step counts from the first estimate on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch")

from arkor_dev.contract.events import TRAINING_PHASE, TrainingPhase
from arkor_dev.local.evaluation.general import TokenCounts
from arkor_dev.local.training.phases import ADAPTED, Phases


class Clock:
    """Seconds that pass only where the test says so."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def run_of(steps: int = 40, evaluate: int = 10, save: int = 20) -> tuple[Phases, Clock, list[dict[str, Any]]]:
    clock, sent = Clock(), list[dict[str, Any]]()
    phases = Phases(lambda event: sent.append({**event}), clock)
    phases.work = TokenCounts(step=300, held_out=1000, question=0)
    plan: Any = SimpleNamespace(steps=steps, evaluate=evaluate, save=save)
    phases.start(plan, 0)
    return phases, clock, sent


def left_of(phases: Phases) -> float | None:
    event = TrainingPhase(type=TRAINING_PHASE, phase="training")
    phases.add_remaining(event)
    return event.get("secondsLeft")


def test_the_time_left_is_accurate_after_one_measured_round() -> None:
    """Steps of 3 s, evaluations of 5 s, checkpoints of 1 s, 20 s of sample answers and comparison."""
    phases, clock, sent = run_of()
    assert left_of(phases) is None, "nothing is known before the first step"
    phases.later.append(lambda: 20.0)
    said: list[tuple[float, float]] = []
    for step in range(1, 41):
        phases.enter("training")
        clock.now += 3
        phases.record_step(step, 3)
        said.append((left_of(phases) or 0.0, clock.now))
        for every, phase, seconds in ((10, "evaluating", 5), (20, "saving", 1)):
            if step % every == 0:
                with phases.during(phase):
                    clock.now += seconds
    with phases.during("saving", always=True):
        clock.now += 1
    end = clock.now + 20
    # Before the first evaluation it is taken for a third of a step on as many tokens: 3 s, and not 5 s.
    assert said[0][0] == pytest.approx(end - said[0][1], abs=4 * 2 + 3 * 1)
    assert all(left == pytest.approx(end - moment) for left, moment in said[20:])
    assert said[-1][0] == 5 + 1 + 1 + 20, "after the last step: evaluation, checkpoint, final files, the rest"
    assert [each["phase"] for each in sent][:4] == ["training", "evaluating", "training", "evaluating"]
    assert all(each["type"] == "training.phase" for each in sent)


def test_an_evaluation_that_generates_answers_does_not_slow_down_what_is_only_read() -> None:
    """A rewarded run's evaluation took 51 s for 1,000 tokens of prompts, and promised hours of reading."""
    phases, clock, _ = run_of(steps=1, evaluate=1)
    phases.generates = True
    phases.record_step(1, 3)
    with phases.during("evaluating"):
        clock.now += 51
    assert phases.token == pytest.approx(3 / (3 * 300))


def test_brief_phases_send_no_event() -> None:
    phases, clock, sent = run_of(steps=100, evaluate=1, save=0)
    for step in range(1, 100):
        phases.enter("training")
        phases.record_step(step, 1)
        with phases.during("evaluating"):
            clock.now += 0.1
    assert [each["phase"] for each in sent] == ["training", "evaluating", "training"]


def test_a_changed_estimate_is_sent_again() -> None:
    phases, clock, sent = run_of(steps=1)
    phases.record_step(1, 1)
    left = [40.0]
    phases.later.append(lambda: left[0])
    phases.enter("evaluating")
    said = sent[-1]["secondsLeft"]
    clock.now += 10
    left[0] -= 9
    phases.update()
    assert len(sent) == 1, "a second more or less is no news"
    clock.now += 5
    left[0] -= 20
    phases.update()
    assert sent[-1]["secondsLeft"] == pytest.approx(said - 29)


def test_nested_phases_are_counted_separately() -> None:
    """A checkpoint's event has its sample answers follow at once."""
    phases, clock, _ = run_of(save=1)
    phases.record_step(1, 1)
    with phases.during("saving"):
        clock.now += 2
        with phases.during("sampling", always=True):
            clock.now += 30
    before = phases.seconds()
    phases.record_step(2, 1)
    with phases.during("saving"):
        clock.now += 2
    assert before is not None
    assert phases.seconds() == pytest.approx(before - 1 - 2)


def test_the_time_of_answers_depends_on_the_adapter() -> None:
    phases, _, _ = run_of()
    phases.written = 3, 0.5, False
    assert phases.writing(3, 64, adapted=False) == 32
    assert phases.writing(3, 64, adapted=True) == pytest.approx(32 * ADAPTED)
    phases.written = 3, 0.5, True
    assert phases.writing(10, 64, adapted=True) == 64, "ten rows cost twice as much as three"
    assert phases.writing(3, 64, adapted=False) == pytest.approx(32 / ADAPTED)
