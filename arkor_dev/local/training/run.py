"""The training of a causal language model, as a plain loop.

The loop is our own, at the same speed as a library's, so that every step can be reported, stopped and
saved. Loss is the mean cross entropy over completion tokens. Everything random comes from one seed: the
same job on the same machine gives the same adapter.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from arkor_dev.contract.events import (
    CHECKPOINT_REMOVED,
    CHECKPOINT_SAVED,
    TRAINING_LOG,
    TRAINING_MESSAGE,
    TRAINING_STARTED,
)
from arkor_dev.local.jobs.artifacts import (
    OPTIMIZER,
    checkpoint_folder,
    checkpoint_steps,
    describe,
    drop_checkpoint,
    final_folder,
    kind_of,
    write_whole,
)
from arkor_dev.local.metrics.stopwatch import Stopwatch
from arkor_dev.local.workers.errors import JobFailure

from .adapter import adapted, beginning, hold_in, save_adapter, save_whole, whole
from .batches import endless
from .encoding import IGNORED
from .loss import Loss
from .optimizers import make_optimizer
from .while_training import add_noise, compute_again

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from arkor_dev.local.modeling.base_model import Base
    from arkor_dev.local.modeling.number_format import Choice

    from .encoding import Example
    from .plan import Plan


@dataclass(slots=True)
class Pace:
    """Loss and speed since the last report; evaluation and saving do not count as training time."""

    losses: list[float] = field(default_factory=list)
    seconds: float = 0.0
    samples: int = 0
    tokens: int = 0

    def report(self) -> dict[str, float]:
        """Mean loss, and samples and tokens (padding left out) a second; starts anew."""
        seconds = max(self.seconds, 1e-9)
        row = {
            "loss": sum(self.losses) / len(self.losses),
            "samplesPerSecond": self.samples / seconds,
            "tokensPerSecond": self.tokens / seconds,
        }
        self.losses, self.seconds, self.samples, self.tokens = [], 0.0, 0, 0
        return row


@dataclass(slots=True)
class Best:
    """The best evaluation; with ``patience`` its weights too, and when there has been no better for too long.

    As in transformers an evaluation is better where the loss is lower by more than ``threshold``.
    """

    patience: int | None
    threshold: float
    last: float | None = None
    loss: float | None = None
    step: int = 0
    worse: int = 0
    weights: list[Any] = field(default_factory=list)

    def take(self, step: int, loss: float, weights: Sequence[Any]) -> None:
        """Note what was measured after ``step``."""
        self.last = loss
        better = self.loss is None or loss < self.loss - self.threshold
        self.worse = 0 if better else self.worse + 1
        if self.loss is None or loss < self.loss:
            self.loss, self.step = loss, step
            if self.patience:
                self.weights = [weight.detach().to("cpu", copy=True) for weight in weights]

    @property
    def enough(self) -> bool:
        """Whether patience is at its end."""
        return self.patience is not None and self.worse >= self.patience

    def restore(self, step: int, weights: Sequence[Any]) -> str | None:
        """Make ``weights`` the best ones, after ``step``; what happened, in words, where they were others."""
        if not self.weights or self.step == step:
            return None
        with torch.no_grad():
            for weight, best in zip(weights, self.weights, strict=True):
                weight.copy_(best)
        ended = (
            f"Stopped after step {step}, as {self.patience} evaluations were not better. "
            if self.enough
            else ""
        )
        return (
            f"{ended}Kept is what step {self.step} had learned, whose evaluation was best ({self.loss:.4f})"
        )


@dataclass
class Run:
    """One job's training. ``emit(name, **fields)`` sends an event; ``cancelled()`` is asked between steps.

    ``settings`` is the record of what it runs with, by the contract's fields.
    """

    base: Base
    base_name: str
    base_note: str | None
    plan: Plan
    train: Sequence[Example]
    held_out: Sequence[Example]
    data: Path
    job_id: str
    four_bit: bool
    seed: int
    settings: Mapping[str, object]
    emit: Callable[..., None]
    cancelled: Callable[[], bool]
    choice: Choice
    step: int = 0
    clock: Stopwatch = field(default_factory=Stopwatch)

    def begin(self) -> None:
        """Make what the steps need: the model with its adapter, the loss and the optimizer."""
        torch.manual_seed(self.seed)
        plan = self.plan
        base, name = self.base.model, self.base_name
        if self.base.device == "cpu" and plan.adapter:
            hold_in(base, self.choice.dtype)
        self.model = adapted(base, name, plan.adapter, self.four_bit) if plan.adapter else whole(base, name)
        model, self.begun = self.model, beginning(self.model) if plan.adapter else {}
        if plan.compute_again:
            compute_again(model)
        if plan.noise:
            add_noise(model, plan.noise)
        self.loss = Loss(
            model, self.base.device, self.choice.dtype, self.train, plan.smoothing, noisy=plan.noise > 0
        )
        self.trainable = [weight for weight in model.parameters() if weight.requires_grad]
        self.optimizer = make_optimizer(model, plan.optimizer)
        # Only float16 has so small a range that gradients vanish in it.
        self.scaler = torch.amp.GradScaler(self.base.device, enabled=self.choice.dtype == torch.float16)

    def run(self) -> dict[str, Any] | None:
        """Train to the end; the fields of ``training.completed``, or None when cancelled."""
        plan, started = self.plan, time.monotonic()
        self.clock.start(self.base.device)
        self.begin()
        self.emit(TRAINING_STARTED, metadata=self._metadata())
        if self.base.device == "cpu" and self.loss.padded:
            self.emit(TRAINING_MESSAGE, message=f"Shorter rows are padded: {self.loss.padded}")
        pace, best, loss = Pace(), Best(plan.patience, plan.threshold), math.nan
        steps = endless(self.train, plan, plan.order_seed)
        for step in range(1, plan.steps + 1):
            if self.cancelled():
                return None
            self.step, began = step, time.monotonic()
            rate = plan.schedule.rate_at(step)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            self.clock.lap("other")
            batches = next(steps)
            self.clock.lap("data")
            pace.losses.append(self.learn(*batches))
            pace.seconds += time.monotonic() - began
            pace.samples += sum(len(batch) for batch in batches)
            pace.tokens += sum(len(row.ids) for batch in batches for row in batch)
            epoch = round(step / plan.per_epoch, 4)
            if step % plan.logging == 0 or step == plan.steps:
                row = {**pace.report(), "learningRate": rate}
                loss = row["loss"]
                self.emit(TRAINING_LOG, step=step, epoch=epoch, **row)
            if plan.evaluate and (step % plan.evaluate == 0 or step == plan.steps):
                self.clock.lap("other")
                best.take(step, self.evaluate(), self.trainable)
                self.clock.lap("eval")
                self.emit(TRAINING_LOG, step=step, epoch=epoch, evalLoss=best.last)
            if plan.save and step % plan.save == 0:
                self.clock.lap("other")
                self._checkpoint()
                self.clock.lap("save")
            if best.enough:
                break
        if message := best.restore(self.step, self.trainable):
            self.emit(TRAINING_MESSAGE, message=message)
        self.clock.lap("other")
        final = final_folder(self.data, self.job_id)
        size = write_whole(final, self.save)
        self.clock.lap("save")
        seconds = round(time.monotonic() - started, 3)
        figures = {
            "loss": loss,
            "evalLoss": best.last,
            "bestEvalLoss": best.loss,
            "steps": self.step,
            "seconds": seconds,
            "secondsIn": self.clock.total(),
        }
        return {"metrics": figures, "artifacts": [describe(kind_of(final), "final", final, size)]}

    def _metadata(self) -> dict[str, Any]:
        return {
            "totalSteps": self.plan.steps,
            "epochs": round(self.plan.steps / self.plan.per_epoch, 4),
            "device": self.base.device,
            "dtype": self.choice.name,
            "dtypeReason": self.choice.reason,
            "trainRows": len(self.train),
            "evalRows": len(self.held_out),
            "trainableParameters": sum(weight.numel() for weight in self.trainable),
            "model": self.base_name,
            "settings": dict(self.settings),
            **({"modelNote": self.base_note} if self.base_note else {}),
        }

    def learn(self, *batches: Sequence[Example]) -> float:
        """One step on the rows of ``batches``, the mean over all their tokens that are learned; its loss.

        The memory that it takes is that of one batch.
        """
        self.optimizer.zero_grad(set_to_none=True)
        count = sum(label != IGNORED for batch in batches for row in batch for label in row.labels[1:])
        value = 0.0
        for batch in batches:
            loss = self.loss(batch)[0] / count
            value += self._finite(float(loss.detach()))
            self.clock.lap("forward")
            self.scaler.scale(loss).backward()
            self.clock.lap("backward")
        if self.plan.max_norm:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.trainable, self.plan.max_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.clock.lap("optimizer")
        return value

    def _finite(self, loss: float) -> float:
        if not math.isfinite(loss):
            rate = self.plan.schedule.height
            raise JobFailure(
                f"The loss became {loss} at step {self.step}: the learning rate {rate:g} is too high for "
                f"this model and data; try learningRate {rate / 10:g}"
            )
        return loss

    def evaluate(self) -> float:
        """Mean cross entropy a completion token over every held-out row."""
        self.model.eval()
        total, count = 0.0, 0
        with torch.no_grad():
            for start in range(0, len(self.held_out), self.plan.batch_size):
                loss, tokens = self.loss(self.held_out[start : start + self.plan.batch_size])
                total += float(loss)
                count += tokens
        self.model.train()
        return self._finite(total / count)

    def save(self, folder: Path) -> None:
        """Write what has learned: an adapter in PEFT's format, or the whole model."""
        if self.plan.adapter:
            save_adapter(self.model, self.begun, folder)
        else:
            save_whole(self.model, self.base.tokenizer, folder)

    def save_checkpoint(self, folder: Path) -> None:
        """Write what has learned, and what going on from here takes."""
        self.save(folder)
        torch.save({"step": self.step, "optimizer": self.optimizer.state_dict()}, folder / OPTIMIZER)

    def _checkpoint(self) -> None:
        folder = checkpoint_folder(self.data, self.job_id, self.step)
        artifact = describe(
            "checkpoint", f"step {self.step}", folder, write_whole(folder, self.save_checkpoint), self.step
        )
        self.emit(CHECKPOINT_SAVED, step=self.step, artifacts=[artifact])
        if self.plan.kept:
            for step in checkpoint_steps(self.data, self.job_id)[: -self.plan.kept]:
                drop_checkpoint(self.data, self.job_id, step)
                self.emit(CHECKPOINT_REMOVED, step=step)
