"""A loss that runs away is told of once; one that is noisy, small or falling is not."""

from __future__ import annotations

import random
from statistics import median
from typing import TYPE_CHECKING

import pytest

from arkor_dev.contract.events import TrainingMessage
from arkor_dev.local.metrics.divergence import WINDOW, DivergenceMonitor

if TYPE_CHECKING:
    from collections.abc import Iterable

    from arkor_dev.local.execution.messages import TrainingEvent


def told(losses: Iterable[float]) -> list[TrainingMessage]:
    watch = DivergenceMonitor()
    said = (
        watch.record({"type": "training.log", "step": step, "loss": loss})
        for step, loss in enumerate(losses, 1)
    )
    return [message for message in said if message is not None]


def test_a_rising_loss_is_reported_once() -> None:
    losses = [3.0 - 0.1 * step for step in range(20)] + [1.1 + 0.2 * step for step in range(60)]
    (message,) = told(losses)
    assert message["code"] == "diverging"
    assert 25 <= message["step"] <= 40
    middle = median(losses[message["step"] - WINDOW : message["step"]])
    assert f"is {middle:.3f}, and was" in message["message"]
    assert "learning_rate" in message["message"]


@pytest.mark.parametrize("seed", range(20))
def test_noise_is_not_divergence(seed: int) -> None:
    chance = random.Random(seed)
    falling = (0.6 + 2.5 * 0.99**step for step in range(1000))
    assert told(loss * (1 + chance.gauss(0, 0.25)) for loss in falling) == []


@pytest.mark.parametrize(
    "losses",
    [
        [0.01] * 30 + [0.2] * 30,
        [1.0] * 30 + [9.0] + [1.0] * 30,
        [1.0] * 5 + [9.0] * 4,
        [float("nan")] * 50,
        [1.0] * 30 + [float("inf")] * 30,
    ],
    ids=["nearly nothing", "one odd batch", "too few", "no numbers", "out of range"],
)
def test_short_runs_are_not_divergence(losses: list[float]) -> None:
    assert told(losses) == []


def test_only_training_losses_count() -> None:
    watch = DivergenceMonitor()
    for step in range(50):
        assert watch.record({"type": "training.log", "step": step, "evalLoss": float(step)}) is None
        message = TrainingMessage(type="training.message", message=f"loss {step * step}", step=step)
        assert watch.record(message) is None


def test_the_divergence_message_follows_its_log_event() -> None:
    from arkor_dev.local.training.run_events import RunEvents
    from arkor_dev.local.training.worker import TrainingWork

    class Link:
        def __init__(self) -> None:
            self.sent: list[TrainingEvent] = []

        def send(self, event: TrainingEvent) -> None:
            self.sent.append(event)

    work = TrainingWork.__new__(TrainingWork)
    link = Link()
    work.link, work.divergence, work.silent = link, DivergenceMonitor(), False  # type: ignore[assignment]
    emit = RunEvents(work._send, work._look_for_divergence)
    for step in range(1, 60):
        emit({"type": "training.log", "step": step, "loss": 1.0 if step < 30 else 4.0})
    (at,) = (n for n, message in enumerate(link.sent) if message.event["type"] == "training.message")
    said, row = link.sent[at].event, link.sent[at - 1].event
    assert said["type"] == "training.message"
    assert row["type"] == "training.log"
    assert said["step"] == row["step"]
    assert len(link.sent) == 60
