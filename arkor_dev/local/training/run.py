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

from arkor_dev.contract.events import CHECKPOINT_SAVED, TRAINING_LOG, TRAINING_STARTED
from arkor_dev.local.jobs.artifacts import OPTIMIZER, checkpoint_folder, describe, final_folder, write_whole
from arkor_dev.local.workers.errors import JobFailure

from .adapter import adapted, beginning, save_adapter
from .batches import collate, endless
from .loss import Loss
from .optimizers import make_optimizer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from arkor_dev.local.modeling.base_model import Base

    from .encoding import Example
    from .number_format import Choice
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

    def begin(self) -> None:
        """Make what the steps need: the model with its adapter, the loss and the optimizer."""
        torch.manual_seed(self.seed)
        model = self.model = adapted(self.base.model, self.base_name, self.plan.adapter, self.four_bit)
        self.begun = beginning(model)
        self.loss = Loss(model, self.base.device, self.choice.dtype, self.plan.smoothing)
        self.trainable = [weight for weight in model.parameters() if weight.requires_grad]
        self.optimizer = make_optimizer(model, self.plan.optimizer)

    def run(self) -> dict[str, Any] | None:
        """Train to the end; the fields of ``training.completed``, or None when cancelled."""
        plan, started = self.plan, time.monotonic()
        self.begin()
        per_epoch = math.ceil(len(self.train) / plan.batch_size)
        self.emit(TRAINING_STARTED, metadata=self._metadata(per_epoch))
        pace, eval_loss, best, loss = Pace(), None, None, math.nan
        batches = endless(self.train, plan.batch_size, self.seed)
        for step in range(1, plan.steps + 1):
            if self.cancelled():
                return None
            self.step, began = step, time.monotonic()
            rate = plan.schedule.rate_at(step)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            batch = next(batches)
            pace.losses.append(self.learn(batch))
            pace.seconds += time.monotonic() - began
            pace.samples += len(batch)
            pace.tokens += sum(len(example.ids) for example in batch)
            epoch = round(step / per_epoch, 4)
            if step % plan.logging == 0 or step == plan.steps:
                row = {**pace.report(), "learningRate": rate}
                loss = row["loss"]
                self.emit(TRAINING_LOG, step=step, epoch=epoch, **row)
            if plan.evaluate and (step % plan.evaluate == 0 or step == plan.steps):
                eval_loss = self.evaluate()
                best = eval_loss if best is None else min(best, eval_loss)
                self.emit(TRAINING_LOG, step=step, epoch=epoch, evalLoss=eval_loss)
            if plan.save and step % plan.save == 0:
                self._checkpoint()
        final = final_folder(self.data, self.job_id)
        size = write_whole(final, self.save_adapter)
        seconds = round(time.monotonic() - started, 3)
        figures = {
            "loss": loss,
            "evalLoss": eval_loss,
            "bestEvalLoss": best,
            "steps": plan.steps,
            "seconds": seconds,
        }
        return {"metrics": figures, "artifacts": [describe("adapter", "final", final, size)]}

    def _metadata(self, per_epoch: int) -> dict[str, Any]:
        return {
            "totalSteps": self.plan.steps,
            "epochs": round(self.plan.steps / per_epoch, 4),
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

    def learn(self, batch: Sequence[Example]) -> float:
        """One step on ``batch``; its loss."""
        self.optimizer.zero_grad(set_to_none=True)
        total, count = self.loss(collate(batch))
        loss = total / count
        value = self._finite(float(loss.detach()))
        loss.backward()
        if self.plan.max_norm:
            torch.nn.utils.clip_grad_norm_(self.trainable, self.plan.max_norm)
        self.optimizer.step()
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
                loss, tokens = self.loss(collate(self.held_out[start : start + self.plan.batch_size]))
                total += float(loss)
                count += tokens
        self.model.train()
        return self._finite(total / count)

    def save_adapter(self, folder: Path) -> None:
        """Write the adapter in PEFT's format."""
        save_adapter(self.model, self.begun, folder)

    def save_checkpoint(self, folder: Path) -> None:
        """Write the adapter, and what going on from here takes."""
        self.save_adapter(folder)
        torch.save({"step": self.step, "optimizer": self.optimizer.state_dict()}, folder / OPTIMIZER)

    def _checkpoint(self) -> None:
        folder = checkpoint_folder(self.data, self.job_id, self.step)
        artifact = describe(
            "checkpoint", f"step {self.step}", folder, write_whole(folder, self.save_checkpoint), self.step
        )
        self.emit(CHECKPOINT_SAVED, step=self.step, artifacts=[artifact])
