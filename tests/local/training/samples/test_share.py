"""The time that sample answers take of a run, by a simulated clock."""

from __future__ import annotations

import json
from contextlib import contextmanager
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")

from arkor_dev.contract.events import CheckpointSaved, TrainingStarted
from arkor_dev.local.modeling.example import Example
from arkor_dev.local.training.greedy import GreedyAnswer
from arkor_dev.local.training.phases import Phases
from arkor_dev.local.training.run_events import RunEvents
from arkor_dev.local.training.samples import sampler
from arkor_dev.local.training.samples.budget import (
    MINIMUM_SECONDS,
    MOST_TOKENS,
    SHARE,
    USEFUL_TOKENS,
    expected_seconds,
)
from arkor_dev.local.training.samples.prompts import SamplePrompt
from arkor_dev.local.training.samples.sampler import Samples

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arkor_dev.local.execution.messages import WorkerEvent

TOKENS = 400
"""Return the answers of one step."""


class Simulated:
    """A run on a machine that reads a token in ``read`` seconds and writes one of an answer in ``write``.

    ``slower`` is how many times that takes from the middle of the run on. The clock goes by that alone.
    """

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, read: float, write: float, slower: float = 1.0
    ) -> None:
        self.now = self.answering = 0.0
        self.read, self.write, self.slower = read, write, slower
        self.told: list[WorkerEvent] = []
        prompts = [SamplePrompt([1] * 40, "", number) for number in range(1, 4)]
        monkeypatch.setattr(sampler, "prompts_of", lambda _: (prompts, [0]))
        monkeypatch.setattr(sampler, "answers", self._answers)
        monkeypatch.setattr(sampler, "base_of", lambda _: self._base())
        self.cached: dict[str, Any] = {}
        self.cache = SimpleNamespace(
            entry=self.cached.get,
            put=lambda key, value: self.cached.update({key: json.loads(json.dumps(value))}),
            answers_key=lambda prompts, longest: f"{len(prompts)} prompts, {longest} tokens",
        )

    def go(self, steps: int, save: int) -> list[int]:
        """Make the run; the steps whose answers were sent."""
        plan = SimpleNamespace(steps=steps, save=save, evaluate=save, per_epoch=10, adapter=None)
        rows = [Example([1] * 100, [1] * 100)]
        self.run = SimpleNamespace(
            plan=plan,
            step=0,
            kept_step=0,
            train=40 * rows,
            held_out=4 * rows,
            loss=None,
            base_losses=lambda: self.cache,
            writer=SimpleNamespace(has_checkpoint=lambda _: True),
            clock=SimpleNamespace(lap=lambda _: None),
            phases=Phases(),
            emit=RunEvents(self.told.append),
        )
        preparation: Any = SimpleNamespace(
            emit=self.run.emit,
            base=SimpleNamespace(tokenizer=None),
            continuation=SimpleNamespace(options={}, points=[]),
        )
        run: Any = self.run
        samples = Samples(preparation, lambda: False, 0.0, lambda: self.now)
        samples.follow(run)
        run.emit(TrainingStarted(type="training.started"))
        for step in range(1, steps + 1):
            run.step = step
            self.now += 3 * TOKENS * self.read
            if step % save == 0:
                self.now += 400 * self.read
                run.emit(CheckpointSaved(type="checkpoint.saved", step=step))
        run.kept_step = steps
        assert samples.end()
        return sorted({event["step"] for event in self.told if event["type"] == "sample.created"})

    @contextmanager
    def _base(self) -> Iterator[None]:
        yield

    def _answers(
        self, loss: Any, tokenizer: Any, ends: Any, prompts: list[list[int]], watch: Any, longest: int
    ) -> list[GreedyAnswer]:
        """As the library makes them: token by token, until the watch says that it is enough."""
        import torch

        slower = self.slower if self.run.step > self.run.plan.steps / 2 else 1.0
        began, ids = self.now, torch.zeros(len(prompts), 1)
        self.now += slower * self.read * sum(map(len, prompts))
        made = 0
        while made < MOST_TOKENS:
            made += 1
            self.now += slower * self.write * (0.5 + len(prompts) / 8)
            if bool(watch(ids, None).all()):
                break
        self.answering += self.now - began
        return [GreedyAnswer(f"{made} tokens", True) for _ in prompts]

    def said(self) -> str:
        return " ".join(event["message"] for event in self.told if event["type"] == "training.message")


@pytest.mark.parametrize("slower", [1.0, 3.0])
@pytest.mark.parametrize("write", [2, 10, 40, 200])
@pytest.mark.parametrize("read", [1e-5, 5e-4, 5e-3])
@pytest.mark.parametrize(("steps", "save"), [(20, 5), (40, 10), (60, 1), (400, 20), (3000, 100)])
def test_samples_stay_within_their_share_of_time(
    monkeypatch: pytest.MonkeyPatch, steps: int, save: int, read: float, write: int, slower: float
) -> None:
    """``write`` is how many tokens are read in the time in which one is written."""
    machine = Simulated(monkeypatch, read, write * read, slower)
    answered = machine.go(steps, save)
    assert {0, steps} <= set(answered)
    assert {event["number"] for event in machine.told if event["type"] == "sample.created"} == {1, 2, 3}
    lengths = {event["answer"] for event in machine.told if event["type"] == "sample.created"}
    assert lengths <= {f"{USEFUL_TOKENS} tokens", f"{MOST_TOKENS} tokens"}
    base = 3 * 40 * read + USEFUL_TOKENS * write * read * 0.875
    required = (1 + slower) * base
    # That the machine has become slower is known after a round only.
    allowed = max(MINIMUM_SECONDS, SHARE * machine.now) + (0 if slower == 1 else 1.2 * slower * base)
    assert machine.answering <= max(required * 1.05, allowed)


@pytest.mark.parametrize("write", [2, 10, 40, 200])
@pytest.mark.parametrize("read", [1e-5, 5e-4, 5e-3])
@pytest.mark.parametrize(("steps", "save"), [(12, 3), (20, 5), (40, 10), (60, 1)])
def test_the_forecast_includes_sampling(
    monkeypatch: pytest.MonkeyPatch, steps: int, save: int, read: float, write: int
) -> None:
    machine = Simulated(monkeypatch, read, write * read)
    machine.go(steps, save)
    whole = machine.now - machine.answering
    expected = expected_seconds(steps // save - 1, whole, 3 * 40 * read, 0.875 * write * read)
    assert abs(expected - machine.answering) <= max(0.45, 0.04 * whole)


def test_with_enough_time_every_checkpoint_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Simulated(monkeypatch, 5e-4, 5e-3)
    assert machine.go(3000, 500) == [0, 500, 1000, 1500, 2000, 2500, 3000]
    assert {event["answer"] for event in machine.told if event["type"] == "sample.created"} == {
        f"{MOST_TOKENS} tokens"
    }
    assert machine.said() == ""


def test_with_too_little_time_checkpoints_are_skipped_evenly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = Simulated(monkeypatch, 1e-3, 2e-3)
    steps = machine.go(60, 2)
    assert {0, 60} < set(steps)
    assert 3 < len(steps) < 31
    gaps = [after - before for before, after in pairwise(steps)]
    assert max(gaps) <= 2 * 60 / len(steps) + 2, "they are spread over the run"
    assert machine.said().count("answered at some of the checkpoints only") == 1


def test_the_base_answers_once_as_briefly_as_in_a_short_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A later run has the same answers of it, and the adapter's are as long."""
    first = Simulated(monkeypatch, 5e-4, 2e-2)
    first.go(20, 20)
    known = dict(first.cached)
    later = Simulated(monkeypatch, 5e-4, 2e-2)
    later.cached |= known
    later.go(20, 20)
    assert [told for told in later.told if told["type"] == "sample.created"] == [
        told for told in first.told if told["type"] == "sample.created"
    ]
    assert later.answering == pytest.approx(first.answering / 2)
    assert later.cached == known
    # With time for longer answers, the base gives longer ones.
    long = Simulated(monkeypatch, 5e-4, 5e-3)
    long.cached |= known
    long.cached |= {key: [0.06, 0.004, value[-1]] for key, value in known.items()}
    long.go(3000, 500)
    assert {event["answer"] for event in long.told if event["type"] == "sample.created"} == {
        f"{MOST_TOKENS} tokens"
    }


@pytest.mark.parametrize("edited", [None, 7, [], [0.1, 0.2], ["a", 0.2, []], [0.1, -1.0, [["a", False]] * 3]])
def test_edited_answers_are_made_again(monkeypatch: pytest.MonkeyPatch, edited: Any) -> None:
    machine = Simulated(monkeypatch, 5e-4, 2e-2)
    machine.cached[f"4 prompts, {USEFUL_TOKENS} tokens"] = edited
    machine.go(20, 20)
    assert [f"{USEFUL_TOKENS} tokens"] * 6 == [
        event["answer"] for event in machine.told if event["type"] == "sample.created"
    ]
    assert machine.cached[f"4 prompts, {USEFUL_TOKENS} tokens"] != edited
