"""The training loop for causal language models.

A plain loop, as fast as a library's trainer, in which every step can be reported, stopped and saved. The
training method (``methods``) defines the loss. All randomness comes from one seed: on the same CPU the same
job gives the same adapter, even if it was interrupted and resumed. A GPU's sums may differ in order.
"""

from __future__ import annotations

import math
import time
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from arkor_dev.contract.events import (
    TRAINING_CANCELLED,
    TRAINING_COMPLETED,
    TRAINING_LOG,
    TRAINING_MESSAGE,
    TRAINING_PAUSED,
    TRAINING_RESUMED,
    TRAINING_STARTED,
    Figure,
    RunMetadata,
    RunMetrics,
    TrainingCancelled,
    TrainingCompleted,
    TrainingLog,
    TrainingMessage,
    TrainingPaused,
    TrainingResumed,
    TrainingStarted,
    log_with,
)
from arkor_dev.contract.regular_files import sha256_of
from arkor_dev.local.checkpoints.checkpoint_writer import CheckpointWriter, NoSpaceError
from arkor_dev.local.checkpoints.figures import Best, EvaluationLosses, StepPace, figures_of, set_figures
from arkor_dev.local.checkpoints.origin import facts_of
from arkor_dev.local.checkpoints.resume_points import drop_later
from arkor_dev.local.checkpoints.rollback import NonFiniteError, Rollback, check_finite, non_finite
from arkor_dev.local.checkpoints.state import (
    StateError,
    StateParts,
    check_weights,
    restore_newest,
    write_state,
)
from arkor_dev.local.cpu_kernels.allocator import keep_freed_memory
from arkor_dev.local.environments.pool import EnvironmentFailure
from arkor_dev.local.evaluation.answer_scorer import JudgeFailure
from arkor_dev.local.evaluation.answers import Stopped
from arkor_dev.local.evaluation.base_losses import BaseLosses
from arkor_dev.local.evaluation.by_length import by_row, measured, of_rows, rows_in
from arkor_dev.local.evaluation.general import TokenCounts
from arkor_dev.local.evaluation.so_far import OPEN
from arkor_dev.local.evaluation.stage import PACKED, tokens_of
from arkor_dev.local.execution.messages import Ended
from arkor_dev.local.jobs.atomic_folder import RunOrigin
from arkor_dev.local.metrics.stopwatch import PARTS, Stopwatch
from arkor_dev.local.modeling.classes import Classes, is_classifier
from arkor_dev.local.modeling.example import weight_of
from arkor_dev.local.modeling.layer_stream import WeightsLostError
from arkor_dev.local.workers.errors import JobFailure

from .activation_budget import ActivationBudget
from .adapter import (
    WEIGHTS,
    adapted,
    full_model,
    initial_weights,
    load_weights,
    prepare_frozen,
    restore_initial_weights,
    save_adapter,
    save_whole,
)
from .greedy import switched_off
from .layerwise import LayerwiseGradients
from .methods.interface import Method
from .optimizers import make_optimizer
from .phases import EVALUATING, SAMPLING, SAVING, TRAINING, Phases
from .replay.rows import LONGEST as REPLAYED
from .replay.rows import SETTINGS as REPLAY_SETTINGS
from .rows.batches import Batch, endless
from .run_context import RunContext
from .stop import Stop
from .training_hooks import add_noise, gradient_checkpointing, offload

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from torch.nn import Module

    from arkor_dev.contract.events import VerdictSoFar
    from arkor_dev.contract.shapes import EvaluationSet
    from arkor_dev.local.checkpoints.resume_points import ResumePlan
    from arkor_dev.local.modeling.base_model import Base
    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.modeling.number_format import DtypeChoice

    from .figure import MethodFigure
    from .objective import Objective
    from .plan import Plan
    from .replay.rows import Replay
    from .run_events import RunEvents


@dataclass(frozen=True, slots=True)
class ModelSource:
    """The base model's ``name``, a ``note`` about it for the user, and whether it is loaded in 4 bit."""

    name: str
    note: str | None = None
    four_bit: bool = False


@dataclass(slots=True)
class Saving:
    """How a run is saved.

    Args:
        origin: Returns all that bit-exactness depends on.
        step_done: Called for each step that the job can resume from.
        describe_files: Passed to the `CheckpointWriter`, which `make_writer` creates.
        make_writer: Creates the writer of checkpoints.
    """

    origin: Callable[[], RunOrigin] = RunOrigin
    step_done: Callable[[int], None] = lambda _: None
    describe_files: Callable[..., None] = lambda *_: None
    make_writer: Callable[..., CheckpointWriter] = CheckpointWriter


def _not_watched() -> None:
    """Return no verdict so far."""


def _unchanged() -> None:
    """Leave the result as it was trained."""


@dataclass
class TrainingLoop:
    """One job's training.

    Args:
        method: The training method, which defines the loss.
        base: The base model.
        source: What the base model is called.
        plan: The settings with every default resolved.
        train: The encoded training rows.
        held_out: The encoded rows of evaluations.
        data: The backend's data folder.
        job_id: The job's id.
        seed: The seed of all randomness.
        settings: The effective settings by the contract's fields.
        emit: Sends an event.
        choice: The dtype to compute in.
        stop: Whether to stop before the next step.
        saving: How checkpoints are written.
        resume_plan: From where to resume, if the job was interrupted.
        parent: The folder of an adapter to start from.
        project: The project's folder.
        sets: The job's custom evaluation sets.
        replay: The rows to add to each step.
        second: The model that the method needs besides the base model.
        second_adapter: The folder of the adapter that it needs on the same base instead.
        classes: The classes that a new head learns to tell apart, if the model is to be a classifier.
        chooses: For each held-out row, whether it takes part in choosing the best step; by default all do.

    ``compare_with_base`` is called after each evaluation for the verdict so far, and ``settled`` says whether
    it is. ``adjust_result`` is called when all steps are done and saved; it may change the weights of the
    result to those of another step, which is then ``kept_step``. ``row_losses`` are the held-out rows' mean
    losses at the last evaluation.
    """

    method: Method
    base: Base
    source: ModelSource
    plan: Plan
    train: Sequence[Example]
    held_out: Sequence[Example]
    data: Path
    job_id: str
    seed: int
    settings: Mapping[str, object]
    emit: RunEvents
    choice: DtypeChoice
    stop: Stop = field(default_factory=Stop)
    saving: Saving = field(default_factory=Saving)
    resume_plan: ResumePlan | None = None
    parent: Path | None = None
    project: Path = Path()
    sets: Sequence[EvaluationSet] = ()
    replay: Replay | None = None
    second: Base | None = None
    second_adapter: Path | None = None
    classes: Classes | None = None
    chooses: Sequence[bool] = ()
    phases: Phases = field(default_factory=Phases)
    clock: Stopwatch = field(default_factory=Stopwatch, init=False)
    compare_with_base: Callable[[], VerdictSoFar | None] = field(
        default_factory=lambda: _not_watched, init=False
    )
    adjust_result: Callable[[], None] = field(default_factory=lambda: _unchanged, init=False)
    step: int = field(default=0, init=False)
    settled: bool = field(default=False, init=False)
    kept_step: int = field(default=0, init=False)
    row_losses: list[float] = field(default_factory=list, init=False)
    _to_evaluate: bool = field(default=False, init=False)

    @property
    def rows(self) -> dict[str, int]:
        """The number of training rows, ``train``, and of held-out rows, ``heldOut``."""
        return {"train": rows_in(self.train), "heldOut": rows_in(self.held_out)}

    def begin(self) -> None:
        """Create the adapter, the objective and the optimizer."""
        torch.manual_seed(self.seed)
        plan, self.began = self.plan, time.monotonic()
        base, name = self.base.model, self.source.name
        if self.base.device == "cpu":
            keep_freed_memory()
        if plan.adapter and (self.base.device == "cpu" or self.base.stream):
            prepare_frozen(self.base, self.choice.dtype, streams=plan.streams)
        self.model = (
            adapted(base, name, plan.adapter, self.classes) if plan.adapter else full_model(base, name)
        )
        # PiSSA and OLoRA move a part of the base's weights into the adapter. On another machine that part may
        # differ in its last bits, so a resumed run starts from the saved one.
        model, self.initial_weights = self.model, initial_weights(self.model) if plan.adapter else {}
        stream = self.base.stream if plan.streams else None
        if plan.gradient_checkpointing or stream:
            gradient_checkpointing(model, stream)
        if plan.noise:
            add_noise(model, plan.noise)
        self.loss = self.objective_of(model)
        self.layerwise = LayerwiseGradients(stream, self.loss) if stream else None
        weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        self.trainable = list(weights.values())
        if self.parent:
            if self.classes:
                self._check_classes(self.parent)
            load_weights(weights, self.parent)
        if self.parent or self.initial_weights:
            # A new LoRA adapter adds zero, so its reference is the base; these already have an effect.
            self.loss.set_reference()
        self.optimizer = make_optimizer(model, plan.optimizer)
        # Only float16's range is so small that gradients underflow.
        self.scaler = torch.amp.GradScaler(self.base.device, enabled=self.choice.dtype == torch.float16)
        self.parts = StateParts(weights, self.optimizer, self.scaler, self.base.device)
        self.pace, self.rollback = StepPace(), Rollback(plan.rolls_back)
        self.best = Best(plan.patience, plan.threshold)
        self._activations: ActivationBudget | None = None
        if stream and not plan.gradient_checkpointing:
            stream.activations.limit = math.inf
        elif stream and plan.selective_checkpointing:
            longest = plan.packed_to or max(row.tokens for row in self.train)
            self._activations = ActivationBudget(stream, plan.batch_size * longest)
        self.last_loss: float | None = math.nan

    def _check_classes(self, parent: Path) -> None:
        """Raise :class:`JobFailure` if the adapter in ``parent`` is not a classifier with these classes."""
        if not is_classifier(parent):
            raise JobFailure("The adapter that this job starts from is not a classifier: start without it")
        if self.classes and Classes.read(parent).names != self.classes.names:
            raise JobFailure(
                "The classifier that this job starts from has other labels than the rows: start without it"
            )

    def objective_of(self, model: Module) -> Objective:
        """Return the training method's objective of ``model``."""
        objective = self.method.objective(model, self.base.device, self.choice.dtype, self.train, self.plan)
        context = RunContext(
            self.base,
            self.plan,
            self.seed,
            self.emit,
            self.stop,
            self.train,
            self.project,
            self.data,
            self.job_id,
            self.sets,
            self.replay,
            self.second,
            self.second_adapter,
        )
        objective.join(context)
        return objective

    def metadata(self) -> RunMetadata:
        """Return the facts that its first event reports; the model must have been created."""
        figures = [*self.method.figures, *self.loss.more_figures()]
        measure = self.method.measure
        metadata = facts_of(self.saving.origin())
        metadata |= {
            "totalSteps": self.plan.steps,
            "epochs": round(self.plan.steps / self.plan.per_epoch, 4),
            "device": self.base.device,
            "dtype": self.choice.name,
            "dtypeReason": self.choice.reason,
            "trainRows": self.rows["train"],
            "evalRows": self.rows["heldOut"],
            "trainableParameters": sum(weight.numel() for weight in self.trainable),
            "model": self.source.name,
            "settings": dict(self.settings),
        }
        if figures:
            metadata["figures"] = [_figure_fields(figure) for figure in figures]
        if measure != Method.measure:
            metadata["measure"] = _figure_fields(measure)
        if self.source.note:
            metadata["modelNote"] = self.source.note
        return metadata

    def work(self, general: Sequence[Example] = ()) -> TokenCounts:
        """Count the tokens read by the training, and by the comparison with the base."""
        plan = self.plan
        unit = plan.packed_to or self.loss.reads(self.train) / len(self.train)
        return TokenCounts(
            step=unit * plan.batch_size * plan.accumulation,
            held_out=tokens_of(self.held_out),
            question=tokens_of(general) / max(1, len(general)),
        )

    def base_losses(self) -> BaseLosses:
        """Return the loss cache for the base model; the run must have begun."""
        origin = self.saving.origin()
        if not origin.get("model"):  # its files could not be read completely
            return BaseLosses(self.data, {})
        setup = {
            key: origin.get(key) for key in ("model", "format", "device", "processor", "threads", "versions")
        }
        padded, whole_model = bool(self.loss.padded), self.plan.adapter is None
        own = {field: value for field, value in self.plan.method.items() if field not in REPLAY_SETTINGS}
        start = self.parent if self.method.relative else None
        return BaseLosses(
            self.data,
            {
                **setup,
                "method": self.method.name,
                **own,
                "fourBit": self.source.four_bit,
                "padded": padded,
                "whole": whole_model,
                **({"start": sha256_of(start / WEIGHTS)} if start else {}),
            },
        )

    @property
    def measured_at_once(self) -> int:
        """The number of held-out rows that are measured at once."""
        least = max(self.plan.batch_size, self.loss.together)
        if self.loss.padded or self.method.measure.higher or self.method.in_batch:
            return least  # more would be more padding, are generated in their own batches, or change the loss
        tokens = accumulate(sorted((row.tokens for row in self.held_out), reverse=True))
        return max(least, sum(total <= PACKED for total in tokens))

    def run(self) -> Ended:
        """Train to the end, or until cancelled or paused."""
        plan = self.plan
        self.clock.start(self.base.device)
        self.begin()
        where = (self.data, self.job_id, plan.max_checkpoints)
        saving = self.saving
        self.writer = saving.make_writer(
            *where, self.emit, saving.step_done, saving.origin, saving.describe_files, self.best
        )
        if self.resume_plan:
            self._resume(self.resume_plan)
        self.phases.work = self.work()
        self.phases.generates = bool(self.loss.writes(self.held_out, learning=False))
        self.phases.start(plan, self.step)
        self.emit(TrainingStarted(type=TRAINING_STARTED, metadata=self.metadata()))
        if self.loss.padded and not self.step:
            self._say(f"Shorter rows are padded: {self.loss.padded}")
        self.rollback.keep(self.step, self.state)
        try:
            if self.replay and not self._prepare_replay(self.replay):
                return (
                    Ended(TrainingCancelled(type=TRAINING_CANCELLED))
                    if self.stop.cancelled()
                    else self._pause(self.stop.pausing() or "ended")
                )
            steps = self._own_steps(self.step)
            complete = self.step and not self._to_evaluate
            if complete and self._saves() and not self.writer.has_checkpoint(self.step):
                # The disk was full, so this step's state was saved without its checkpoint; or it is another
                # job's, which may be deleted.
                self._checkpoint()
            while self._to_evaluate or (self.step < plan.steps and not self._enough):
                if self.stop.cancelled():
                    return Ended(TrainingCancelled(type=TRAINING_CANCELLED))
                if reason := self.stop.pausing():
                    return self._pause(reason)
                self.clock.lap("other")
                try:
                    if not self._to_evaluate:  # else the last evaluation was interrupted
                        self._make_step(self._with_replayed(next(steps)))
                    if self._to_evaluate:
                        self._evaluate_step()
                    if self._saves():
                        self._checkpoint()
                except NonFiniteError as fault:
                    steps = self._roll_back(fault)
                except Stopped:
                    # While answers were generated or scored, before the step learned anything or in its
                    # evaluation: what was not finished comes again.
                    steps = self._own_steps(self.step)
            self.clock.lap("other")
            with self.phases.during(SAVING, always=True):
                self.writer.point(self.step, self.state)
                self.clock.lap("save")
                return self._finish()
        except Stopped:  # while the result was adjusted: all steps are saved
            if self.stop.cancelled():
                return Ended(TrainingCancelled(type=TRAINING_CANCELLED))
            return self._pause(self.stop.pausing() or "ended")
        except NoSpaceError as error:
            return self._pause("disk", error)
        except JudgeFailure as failure:
            return self._pause("judge", failure)
        except EnvironmentFailure as failure:
            return self._pause("environment", failure)
        except WeightsLostError as error:
            # In the middle of a step: the newest resume point is used.
            return Ended(
                TrainingPaused(
                    type=TRAINING_PAUSED, step=self.writer.step or 0, reason="weights", message=str(error)
                )
            )
        finally:
            self.loss.close()

    def _make_step(self, batches: Sequence[Sequence[Example]]) -> None:
        """Run one step, then report and evaluate as due."""
        self.clock.lap("data")
        self.phases.enter(TRAINING)
        plan, pace, began = self.plan, self.pace, time.monotonic()
        step = self.step + 1
        rate = plan.schedule.rate_at(step) * self.rollback.factor
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        losses = []
        for updated in self.loss.updates(step, batches):
            self.step = step  # Only now: `updates` may sample answers first, which can be stopped.
            self.clock.lap("data")
            losses.append(self.learn(*updated))
        if self._activations:
            self._activations.settle(updated)
        pace.losses.append(sum(losses) / len(losses))
        pace.note(self.loss.figures())
        seconds = time.monotonic() - began
        pace.seconds += seconds
        self.phases.record_step(step, seconds)
        pace.samples += sum(len(batch) for batch in batches)
        pace.tokens += sum(row.tokens for batch in updated for row in batch)
        epoch = round(step / plan.per_epoch, 4)
        if step % plan.logging == 0 or step == plan.steps:
            row = pace.report(TrainingLog(type=TRAINING_LOG, step=step, epoch=epoch, learningRate=rate))
            self.last_loss = row["loss"]
            self.phases.add_remaining(row)
            self.emit(row)
        self._to_evaluate = plan.evaluate > 0 and (step % plan.evaluate == 0 or step == plan.steps)

    def _evaluate_step(self) -> None:
        """Evaluate after a step, and report it."""
        self.clock.lap("other")
        with self.phases.during(EVALUATING):
            evaluated = self.evaluate()
        so_far = self.compare_with_base()
        self.best.record(self.step, evaluated, self.trainable)
        self._to_evaluate = False
        self.settled = self._agreed(so_far is not None and so_far["state"] != OPEN)
        self.clock.lap("eval")
        figures = {f"eval{name[0].upper()}{name[1:]}": value for name, value in self.loss.figures().items()}
        epoch = round(self.step / self.plan.per_epoch, 4)
        row = TrainingLog(type=TRAINING_LOG, step=self.step, epoch=epoch)
        # The loss of a method that maximises rewards is their negative, which is not worth showing.
        if not self.method.measure.higher:
            row["evalLoss"] = self.best.last
        if so_far:
            row["verdictSoFar"] = so_far
        self.emit(log_with(row, figures))
        self.rollback.keep(self.step, self.state)

    @property
    def _enough(self) -> bool:
        """Whether the run ends before its last step."""
        return self.best.enough or (self.plan.stops_settled and self.settled)

    def _agreed(self, settled: bool) -> bool:
        """Return whether the verdict is settled, for all workers of the run."""
        return settled

    def _roll_back(self, fault: NonFiniteError) -> Iterator[list[Batch]]:
        """Roll back to the last good state and a lower rate; return the steps, or raise ``fault``."""
        step, state = self.rollback.pop(fault)
        began, spent = self.began, self.clock.seconds
        self._load_state(state)
        self.step, self.began, self.clock.seconds = step, began, spent
        self.phases.start(self.plan, step)
        for event in self.rollback.slow_down(fault, self.step, self.metadata):
            self.emit(event)
        return self._own_steps(self.step)

    def steps(self, done: int = 0) -> Iterator[list[Batch]]:
        """Yield steps endlessly, skipping the first ``done``: lists of batches whose gradients accumulate.

        Replayed rows without an answer are placeholders.
        """
        for step, batches in enumerate(self._own_steps(done), done + 1):
            yield self.replay.join(step, batches) if self.replay else batches

    def _own_steps(self, done: int) -> Iterator[list[Batch]]:
        """Yield :meth:`steps` without replayed rows."""
        return endless(self.train, self.plan, self.plan.order_seed, done)

    def _with_replayed(self, batches: list[Batch]) -> list[Batch]:
        """Return the next step's batches with its replayed rows; the base first answers what is missing.

        Raises :class:`Stopped`.
        """
        if not self.replay:
            return batches
        if needed := self.replay.needed(self.step + 1, sum(map(len, batches))):
            self._answer_replayed(self.replay, needed)
        return self.replay.join(self.step + 1, batches)

    def _prepare_replay(self, replay: Replay) -> bool:
        """Keep the base's states on rows whose answers are known; return False if the job was stopped.

        A model that can no longer compute as its base after a step also generates all answers now. Raises
        :class:`JobFailure` if the base's weights have changed already.
        """
        self.phases.later.append(lambda: self._replay_seconds(replay))
        if replay.waiting and (self.plan.adapter is None or self.initial_weights):
            if self.step or self.parent:
                raise JobFailure(
                    "replay needs the base model's answers, but this model has been changed since: remove "
                    "replay"
                )
            try:
                self._answer_replayed(replay, replay.batches)
            except Stopped:
                return False
        complete = [batch for batch in replay.batches if not replay.waiting.intersection(batch)]
        return all(map(self._keep_base_states, [replay.answered_rows, *map(replay.rows_of, complete)]))

    def _answer_replayed(self, replay: Replay, batches: Sequence[Sequence[int]]) -> None:
        """Generate the base's answers to ``batches`` of replayed prompts. Raises :class:`Stopped`."""
        can_switch = self.plan.adapter and not self.initial_weights
        base: AbstractContextManager[None] = switched_off(self.model) if can_switch else nullcontext()
        self.clock.lap("data")
        with self.phases.during(SAMPLING, always=True), base:
            for batch in batches:
                began = time.monotonic()
                replay.answer(batch, self.loss, self.base, self.base_losses(), self.stop.requested)
                self.phases.written = len(batch), (time.monotonic() - began) / REPLAYED, False
        if can_switch and not all(self._keep_base_states(replay.rows_of(batch)) for batch in batches):
            raise Stopped
        self.clock.lap("eval")

    def _replay_seconds(self, replay: Replay) -> float:
        """Estimate the seconds of the answers that later steps need."""
        return sum(self.phases.writing(len(batch), REPLAYED, False) for batch in replay.remaining)

    def _keep_base_states(self, rows: Sequence[Example]) -> bool:
        """Run the base model on replayed ``rows`` for the loss; return False if the job was stopped."""
        self.clock.lap("other")
        done = self.loss.keep_base_states(rows, self.stop.requested)
        self.clock.lap("eval")
        return done

    def _finish(self) -> Ended:
        self.kept_step = self.step
        if message := self.best.restore(self.step, self.trainable):
            self.kept_step = self.best.step
        check_finite(self.step, self.trainable)
        self.clock.lap("other")
        self.adjust_result()
        self.clock.lap("eval")
        artifact = self.writer.final(self.kept_step, self.save)
        if message and self.kept_step == self.best.step:  # otherwise the result was adjusted to another one
            self._say(message)
        if self.plan.stops_settled and self.settled and self.step < self.plan.steps:
            self._say(f"Stopped after step {self.step}, as the verdict is settled (stop_when)")
        self.clock.lap("save")
        higher = self.method.measure.higher
        metrics: RunMetrics = {
            "loss": self.last_loss,
            "evalLoss": None if higher else self.best.last,
            "bestEvalLoss": None if higher else self.best.lowest,
            "steps": self.step,
            "seconds": round(time.monotonic() - self.began, 3),
            "secondsIn": self.clock.total(),
        }
        artifacts = [artifact, *self.writer.best(self.kept_step)]
        return Ended(TrainingCompleted(type=TRAINING_COMPLETED, metrics=metrics, artifacts=artifacts))

    def _pause(self, reason: str, fault: JobFailure | NoSpaceError | None = None) -> Ended:
        """Save all state that the next step depends on; if the disk is full, the newest resume point is used
        instead.
        """
        try:
            if self.step:
                self.writer.point(self.step, self.state)
        except NoSpaceError as error:
            reason, fault = "disk", fault or error
        event = TrainingPaused(type=TRAINING_PAUSED, step=self.writer.step or 0, reason=reason)
        if fault:
            event["message"] = str(fault)
        if isinstance(fault, NoSpaceError) and fault.needs is not None:
            event["needs"] = fault.needs
        return Ended(event)

    def _resume(self, resume_plan: ResumePlan) -> None:
        """Load the newest readable state; if there is none, start from the beginning."""
        step, passed = restore_newest(resume_plan, self._load_state)
        if resume_plan.other_job and not step:
            raise JobFailure(f"The job cannot continue another: {' '.join(passed)}")
        if step and resume_plan.other_job:
            self.step = step
        elif step:
            self.step = self.writer.step = step
        if resume_plan.further is not None and self.step <= resume_plan.further:
            self.best.worse = 0  # early stopping's patience ran out and ended the previous run
            self.settled = False
        drop_later(self.data, self.job_id, self.step)
        self.emit(TrainingResumed(type=TRAINING_RESUMED, step=self.step, message=resume_plan.message))
        for sentence in passed:
            self._say(sentence)

    def _say(self, message: str) -> None:
        self.emit(TrainingMessage(type=TRAINING_MESSAGE, message=message))

    def state(self) -> dict[str, object]:
        """Return all state that the next step depends on, and the figures so far."""
        return {
            **self.parts.state(),
            "begun": self.initial_weights,
            "replayed": self.replay.state() if self.replay else [],
            "method": self.loss.state(),
            **figures_of(self.pace, self.best),
            "lastLoss": self.last_loss,
            "seconds": time.monotonic() - self.began,
            "secondsIn": self.clock.total(),
            "rateFactor": self.rollback.factor,
            "toEvaluate": self._to_evaluate,
            "settled": self.settled,
        }

    def _load_state(self, state: Mapping[str, Any]) -> None:
        """Restore ``state``. Raises StateError if it belongs to a different run."""
        try:
            loss, seconds = float(state["lastLoss"]), float(state["seconds"])
            initial, spent = state["begun"], {part: float(state["secondsIn"][part]) for part in PARTS}
            check_weights(initial, self.initial_weights)
            if self.replay:
                self.replay.load_state(state["replayed"], self.plan)
            self.loss.load_state(state["method"])
            set_figures(state, self.pace, self.best)
        except (KeyError, TypeError, ValueError) as error:
            raise StateError(f"it belongs to another run ({error!r})") from None
        if initial:
            restore_initial_weights(self.model, self.initial_weights, initial)
            self.initial_weights = initial
        self.parts.load_state(state)
        self.last_loss, self.began, self.clock.seconds = loss, self.began - seconds, spent
        self.rollback.factor = float(state.get("rateFactor", 1))
        self._to_evaluate = bool(state.get("toEvaluate"))
        self.settled = bool(state.get("settled"))

    def learn(self, *batches: Sequence[Example]) -> float:
        """Run a step on ``batches``' weighted mean loss, one at a time; return the data rows' loss."""
        self.optimizer.zero_grad(set_to_none=True)
        weight = weight_of(batches) or 1  # a forecast may measure rows that are only penalized
        own = weight_of([[row for row in batch if not row.replayed] for batch in batches])
        value = self._gradients(batches, weight) * (weight / own if own else 0)
        if self.plan.max_norm:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.trainable, self.plan.max_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.clock.lap("optimizer")
        return value

    def _gradients(self, batches: Sequence[Sequence[Example]], count: float) -> float:
        """Add the gradients of ``batches``' summed loss over ``count``; return the data rows' part."""
        losses = []
        with closing(self._each(batches)) as each:
            for batch in each:
                with offload(self.model) if self.plan.offload else nullcontext():
                    loss = self.loss(batch)[0] / count
                losses.append(loss.detach() - self.loss.of_replayed() / count)
                if self.base.device == "cpu":
                    self._finite(float(losses[-1]), batch)
                self.clock.lap("forward")
                self.scaler.scale(loss).backward()
                self.clock.lap("backward")
        self.clock.lap("backward")
        if not losses:
            return 0.0
        # The CPU waits for a GPU only once per step, after all of the step's work is queued.
        return sum(
            self._finite(value, batch)
            for value, batch in zip(torch.stack(losses).tolist(), batches, strict=True)
        )

    def _each(self, batches: Sequence[Sequence[Example]]) -> Generator[Sequence[Example]]:
        """Yield the batches; streamed layers compute several at a time."""
        yield from self.layerwise.each(batches) if self.layerwise else batches

    def _finite(self, value: float, rows: Sequence[Example] = ()) -> float:
        if not math.isfinite(value):
            rate = self.plan.schedule.height * self.rollback.factor
            raise non_finite(value, self.step, rate, rows, self.loss)
        return value

    def evaluate(self) -> EvaluationLosses:
        """Return the weighted mean loss over the held-out rows: for cross entropy, per learned token."""
        losses = measured(self.loss.row_losses, self.held_out, self.measured_at_once)
        self.row_losses = by_row(self.held_out, losses)
        loss = self._finite(_mean(losses))
        return EvaluationLosses(
            loss, _mean(of_rows(self.held_out, losses, self.chooses)) if self.chooses else loss
        )

    def save(self, folder: Path) -> None:
        """Save the trained weights: an adapter in PEFT's format, or the whole model."""
        if self.plan.adapter:
            save_adapter(self.model, self.initial_weights, folder, self.classes)
            self.loss.save(folder)
        else:
            save_whole(self.model, self.base.tokenizer, folder)

    def save_checkpoint(self, folder: Path) -> None:
        """Save the trained weights and the state for resuming."""
        self.save(folder)
        write_state(folder, self.state())

    def _saves(self) -> bool:
        return self.plan.save > 0 and self.step % self.plan.save == 0

    def _checkpoint(self) -> None:
        self.clock.lap("other")
        check_finite(self.step, self.trainable)
        self.rollback.keep(self.step, self.state)
        with self.phases.during(SAVING):
            self.writer.checkpoint(self.step, self.save_checkpoint)
        self.clock.lap("save")


def _mean(losses: Sequence[tuple[float, float]]) -> float:
    return sum(loss for loss, _ in losses) / sum(weight for _, weight in losses)


def _figure_fields(figure: MethodFigure) -> Figure:
    return {"name": figure.name, "label": figure.label, "unit": figure.unit}
