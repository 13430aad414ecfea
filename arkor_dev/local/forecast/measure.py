"""Measures a run by executing some of its steps: small ones first, then as large as time and memory allow.

Each step runs the training code. Earlier steps predict the next one's cost, so that no step is started that
would exceed memory or the deadline; larger ones are extrapolated.
"""

from __future__ import annotations

import math
import shutil
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, TypedDict

import torch

from arkor_dev.local.cpu_kernels.allocator import return_freed_memory
from arkor_dev.local.cpu_kernels.packing import shared_beginning
from arkor_dev.local.jobs.atomic_folder import write_atomically
from arkor_dev.local.jobs.job_folder import STATE
from arkor_dev.local.training.adapter import prepare_frozen
from arkor_dev.local.training.replay.rows import LONGEST
from arkor_dev.local.training.training_hooks import gradient_checkpointing
from arkor_dev.local.workers import resources

from .eval_costs import EvaluationCosts, EvaluationFigures
from .linear_models import LinearModel, Shape, shape_of
from .steps import Batch, Step, first_steps, sizes_in, sizes_of, spread, thinned

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from arkor_dev.local.training.preparation import RunPreparation
    from arkor_dev.local.training.run import TrainingLoop

    from .answer_costs import GenerationSpeed
    from .linear_models import Sizes

SAFE: Final = 0.85
"""Share of the free memory that a measured step may use, according to the prediction."""
TYPICAL: Final = 6
SMALLEST: Final = 64
"""Number of tokens in the first and smallest step."""
USUAL_KEPT: Final = 0.75
"""Usual ratio of a step's time with kept activations to that with recomputed ones, if it is not measured."""
LEAST_KEPT: Final = 0.2
"""Share of the layers that must keep their activations for their time to be measured."""
FEWEST: Final = 2
"""Minimum number of steps, however slow they are."""
OWN_SHARE: Final = 0.6
"""Share of the time for steps that grow up to the longest batch; the rest is for typical steps."""


class Meter:
    """The limiting memory of a device, and the clock of its steps.

    On an NVIDIA GPU, this is the allocated GPU memory, since reserved memory never shrinks; of several, that
    of the fullest. On a Mac, whose GPU shares the main memory, it is the memory of the process plus the
    driver's allocations for it; elsewhere, the memory of the process. ``free`` is the number of bytes that
    this process may hold in total, None for CPU memory.
    """

    def __init__(self, device: str, gpus: int = 1) -> None:
        self._device, self._gpus = device, range(gpus)
        self.free: int | None = None
        if device == "cuda":
            self._peaks = [0] * gpus
            self._totals = [torch.cuda.mem_get_info(gpu)[1] for gpu in self._gpus]
            self.free = min(
                torch.cuda.mem_get_info(gpu)[0] + torch.cuda.memory_reserved(gpu) + self._less(gpu)
                for gpu in self._gpus
            )

    def _less(self, gpu: int) -> int:
        """Return by how many bytes a GPU is smaller than the first, as which all of them count."""
        return int(self._totals[0] - self._totals[gpu])

    def _most(self, size: Callable[[int], int]) -> int:
        """Return the ``size`` of the fullest GPU."""
        return max(int(size(gpu)) + self._less(gpu) for gpu in self._gpus)

    def clock(self) -> float:
        """Return the clock's seconds after the device has finished all its work."""
        if self._device == "cuda":
            for gpu in self._gpus:
                torch.cuda.synchronize(gpu)
        elif self._device == "mps":
            torch.mps.synchronize()
        return time.monotonic()

    def forget(self) -> None:
        """Reset the peak."""
        if self._device == "cuda":
            for gpu in self._gpus:
                torch.cuda.reset_peak_memory_stats(gpu)
            return
        if self._device == "mps":
            torch.mps.empty_cache()  # from now on, the driver's allocations are the peak
        resources.reset_peak_memory()

    def peak(self) -> int:
        if self._device == "cuda":
            for gpu in self._gpus:
                self._peaks[gpu] = max(self._peaks[gpu], torch.cuda.max_memory_allocated(gpu))
            return self._most(torch.cuda.max_memory_allocated)
        return resources.peak_memory() + self._shared()

    def now(self) -> int:
        if self._device == "cuda":
            return self._most(torch.cuda.memory_allocated)
        return resources.resident_memory() + self._shared()

    def _shared(self) -> int:
        return int(torch.mps.driver_allocated_memory()) if self._device == "mps" else 0

    def facts(self) -> DeviceFacts:
        """Return a `Measurement`'s facts about a GPU."""
        if self._device != "cuda":
            return {}
        name = f"GPU-{torch.cuda.get_device_properties(0).uuid}"
        gpus = list(zip(self._peaks, self._totals, strict=True)) if len(self._peaks) > 1 else []
        return {
            "host": resources.peak_memory(),
            "gpu": name,
            "device_total": self._totals[0],
            "gpus": gpus,
        }


class DeviceFacts(TypedDict, total=False):
    """What a `Measurement` says about a GPU; nothing on other devices."""

    host: int
    gpu: str
    device_total: int
    gpus: list[tuple[int, int]]


class SavingCosts(TypedDict):
    """The seconds to save a checkpoint, and the bytes of it and of its adapter."""

    saving: float
    checkpoint: int
    adapter: int


class MemoryPeaks(TypedDict):
    """The memory peaks of the first steps whenever they rise, and the peak after them."""

    peaks: list[tuple[int, int]]
    worst: int


class StepFigures(EvaluationFigures, SavingCosts, MemoryPeaks, DeviceFacts):
    """The fields of a `Measurement` that come from steps."""

    first: list[float]
    mean: float
    writing: GenerationSpeed | None
    memory: LinearModel
    sizes: Sizes
    longest: list[tuple[int, int]]
    padded: bool
    shared: int
    weights: int
    recomputed: LinearModel | None
    slower: float
    streamed: LinearModel | None
    streamed_slower: float
    kept_ratio: float | None


@dataclass(frozen=True, slots=True)
class MeasuredStep:
    """An executed step: its batch, its duration, and its memory peak."""

    work: float
    saved_bytes: float
    seconds: float
    peak: int


@dataclass
class StepMeasurement:
    """Measures ``run``, which has not begun, until ``deadline`` (of ``time.monotonic``)."""

    run: TrainingLoop
    free: int | None
    deadline: float
    progress: Callable[[int, int], None]
    rising: list[MeasuredStep] = field(default_factory=list)
    """The executed steps, each larger than those before."""
    typical: list[MeasuredStep] = field(default_factory=list)
    total: int = 0

    def measure(
        self, scratch: Path, long_rows: Batch, preparation: RunPreparation
    ) -> tuple[float, StepFigures]:
        """Return the seconds before the first step, and the fields of a `Measurement` that come from steps.

        ``long_rows`` are further rows.
        """
        run = self.run
        prompts = first_steps(run)
        self.meter = Meter(run.base.device, run.base.gpus)
        started = self.meter.clock()
        run.begin()
        start_seconds = self.meter.clock() - started
        steps = [[list(batch) for batch in run.loss.expected(step)] for step in prompts]
        weights = sum(
            weight.numel() * weight.element_size()
            for weight in run.model.parameters()
            if weight.device.type == run.base.device  # not a vision tower's layers, which are not used
        )
        self.sizes = sizes_of(run, max(run.train, key=lambda row: row.tokens))
        # Rows with random contents share no prefix.
        dropout = run.plan.adapter.dropout if run.plan.adapter else 0
        self.padded, self.shares = bool(run.loss.padded), not (dropout or run.plan.noise)
        if self.meter.free is not None:
            self.free = self.meter.free
        # The run reaches the peak so far, too: loading may have converted weights.
        self.at_rest, self.before = self.meter.now(), self.meter.peak()
        shapes = [[self._shape(batch) for batch in step] for step in steps]
        saved = [max(map(self.sizes.saved_bytes, batches)) for batches in shapes]
        works = [sum(map(self.sizes.work, batches)) for batches in shapes]
        longest = max(steps[saved.index(max(saved))], key=self._saved_bytes)
        if long_rows:
            long_batches = run.loss.expected([long_rows[-len(longest) :]])
            longest = max((list(batch) for batch in long_batches), key=self._saved_bytes)
        started = time.monotonic()
        reached_longest = self._rise(longest, started + OWN_SHARE * (self.deadline - started))
        costs = EvaluationCosts(preparation, run, self.deadline, self._work, self._seconds)
        writing = costs.writing()
        if run.replay and run.replay.to_answer and writing:
            prompt_tokens = run.replay.longest_prompt
            start_seconds += writing.batches(
                [(prompt_tokens, len(batch), LONGEST) for batch in run.replay.batches[: run.replay.used]]
            )
        self._typical(steps, saved, works)
        memory = LinearModel.through_last(self._heights())
        recomputed, slowdown = None, 1.0
        expected = memory.at(self._saved_bytes(longest))
        if not self.sizes.recomputed and self.free is not None and expected > SAFE * self.free:
            recomputed, slowdown = self._recomputed(longest)
        times = self._time_line()
        first = [
            round(times.at(work) + self._writing(writing, step), 4)
            for work, step in zip(works, prompts, strict=True)
        ]
        evaluation = costs.evaluation(writing)
        beginning = start_seconds + max(0.0, self.rising[0].seconds - times.at(self.rising[0].work))
        figures: StepFigures = {
            "first": first,
            "mean": sum(first) / len(first),
            "writing": writing,
            **evaluation,
            **self._saving(scratch),
            **self._peaks(saved, self._saved_bytes(longest), memory, reached_longest, longest, costs.batches),
            **self.meter.facts(),
            "memory": memory,
            "sizes": self.sizes,
            "longest": sizes_in(longest),
            "padded": self.padded,
            "shared": self._shared(longest),
            "weights": weights,
            "recomputed": recomputed,
            "slower": slowdown,
            "streamed": None,
            "streamed_slower": 1.0,
            "kept_ratio": self._kept_ratio(longest, expected) if run.plan.selective_checkpointing else None,
        }
        streaming = preparation.can_stream and not run.plan.streams
        if streaming and self.free is not None and expected > SAFE * self.free:
            recomputes = preparation.config.get("gradientCheckpointing") is not False
            streamed, figures["streamed_slower"] = self._streamed(longest, recomputes=recomputes)
            figures["streamed"] = streamed
            if preparation.may_keep_activations:
                peak = streamed.at(self._recomputed_bytes(longest))
                figures["kept_ratio"] = self._kept_ratio(longest, peak)
        return beginning, figures

    def _writing(self, writing: GenerationSpeed | None, step: Step) -> float:
        """Return the seconds to generate a step's answers, each of the maximum length."""
        rows = [row for batch in step for row in batch]
        return writing.batches(self.run.loss.writes(rows, learning=True)) if writing else 0.0

    # Steps

    def _rise(self, longest: Batch, until: float) -> bool:
        """Run growing parts of the longest batch, and finally all of it; return whether it got that far."""
        row = max(longest, key=lambda example: example.tokens)
        parts = [[thinned(row, SMALLEST)], [thinned(row, row.tokens // 2)], [row]]
        shorter = [example for example in longest if example is not row]
        count = 2
        while count < len(longest):
            parts.append([row, *shorter[: count - 1]])
            count *= 2
        parts.append(longest)
        self.total = len(parts) + TYPICAL
        # From a step's second batch on, accumulated gradients add to the activations.
        before = [parts[0]] if self.run.plan.accumulation > 1 else []
        for index, part in enumerate(parts):
            last = index == len(parts) - 1
            # If the whole batch is cheap, skip the sizes between.
            cheap = index > FEWEST and self._seconds(self._work(longest)) < 0.3 * (until - time.monotonic())
            if not last and cheap and self._affordable(longest, until):
                continue
            if index >= FEWEST and not self._affordable(part, until):
                return False
            self.rising.append(self._run_step([*before, part]))
        return True

    def _typical(self, steps: list[Step], saved: list[float], works: list[float]) -> None:
        """Run some of the run's own steps, light and heavy, no larger than those already run."""
        limit = 1.01 * self.rising[-1].saved_bytes
        possible = [index for index, size in enumerate(saved) if size <= limit]
        for chosen in spread([works[index] for index in possible], TYPICAL):
            index = possible[chosen]
            if time.monotonic() + self._seconds(works[index]) > self.deadline:
                continue
            self.typical.append(self._run_step(steps[index]))

    def _run_step(self, step: Step) -> MeasuredStep:
        self.meter.forget()
        started = self.meter.clock()
        self.run.learn(*step)
        seconds = self.meter.clock() - started
        self.progress(len(self.rising) + len(self.typical) + 1, self.total)
        work, saved = sum(map(self._work, step)), max(map(self._saved_bytes, step))
        return MeasuredStep(work, saved, seconds, self.meter.peak())

    def _shared(self, batch: Batch) -> int:
        if self.padded or not self.shares:
            return 0
        return shared_beginning([sequence.ids for row in batch for sequence in row.sequences])

    def _shape(self, batch: Batch) -> Shape:
        return shape_of(sizes_in(batch), self.padded, self._shared(batch))

    def _work(self, batch: Batch) -> float:
        return self.sizes.work(self._shape(batch))

    def _saved_bytes(self, batch: Batch) -> float:
        return self.sizes.saved_bytes(self._shape(batch))

    def _affordable(self, batch: Batch, until: float) -> bool:
        """Return whether a step on ``batch`` would finish in time and within the memory."""
        if time.monotonic() + self._seconds(self._work(batch)) > until:
            return False
        if self.free is None:
            return True
        return LinearModel.through_last(self._heights()).at(self._saved_bytes(batch)) < SAFE * self.free

    def _seconds(self, work: float) -> float:
        """Predict a step's seconds from the largest one so far."""
        return self.rising[-1].seconds * work / self.rising[-1].work

    # Results

    def _heights(self) -> list[tuple[float, float]]:
        """Return the memory peaks by predicted bytes, without the first step, which is small and warms up."""
        return [(step.saved_bytes, float(step.peak)) for step in self.rising[1:] or self.rising]

    def _time_line(self) -> LinearModel:
        steps = [*self.rising[1:], *self.typical] or self.rising
        return LinearModel.fit([(step.work, step.seconds) for step in steps])

    def _saving(self, scratch: Path) -> SavingCosts:
        folder = scratch / "checkpoint"
        started = time.monotonic()
        size = write_atomically(folder, self.run.save_checkpoint)
        seconds = time.monotonic() - started
        state = (folder / STATE).stat().st_size
        shutil.rmtree(folder)
        return {"saving": seconds, "checkpoint": size, "adapter": size - state}

    def _peaks(
        self,
        saved: list[float],
        largest: float,
        memory: LinearModel,
        reached_longest: bool,
        longest: Batch,
        measured: list[Batch],
    ) -> MemoryPeaks:
        """Predict memory peaks by step from the fitted line, corrected by the measured peaks.

        ``longest`` is the largest batch, and ``measured`` are the held-out batches.
        """
        highest = max(step.peak for step in [*self.rising, *self.typical])
        # Not all freed memory is returned to the system: steps after the longest batch peaked a little
        # higher.
        surplus = max(0.0, highest - memory.at(self.rising[-1].saved_bytes)) if reached_longest else 0.0
        if self.run.plan.streams:
            surplus = max(surplus, self._waiting(self.sizes, longest))
        parts = map(self._shape, measured)
        floor = max(
            [self.before, *(round(self.at_rest + self.sizes.evaluation_bytes(part)) for part in parts)]
        )
        peaks: list[tuple[int, int]] = []
        for number, bytes_held in enumerate(saved, 1):
            height = max(floor, round(memory.at(bytes_held) + surplus))
            if not peaks or height > peaks[-1][1]:
                peaks.append((number, height))
        return {"peaks": peaks, "worst": max(peaks[-1][1], round(memory.at(largest) + surplus))}

    def _recomputed(self, longest: Batch) -> tuple[LinearModel | None, float]:
        """Measure memory and slowdown with activation checkpointing."""
        try:
            gradient_checkpointing(self.run.model)
        except (ValueError, AttributeError):  # this architecture does not support it
            return None, 1.0
        return self._with(replace(self.sizes, recomputed=True), longest)

    def _streamed(self, longest: Batch, *, recomputes: bool) -> tuple[LinearModel, float]:
        """Measure memory and slowdown with streamed layers; from then on, they are streamed.

        They keep their activations only if the settings demand that, as ``recomputes`` says.
        """
        run, stream = self.run, self.run.base.stream
        prepare_frozen(run.base, run.choice.dtype, streams=True)
        gradient_checkpointing(run.model, stream)
        if stream and not recomputes:
            stream.activations.limit = math.inf
        return_freed_memory()
        sizes = replace(self.sizes, recomputed=recomputes)
        line, slower = self._with(sizes, longest)
        return LinearModel(line.base + self._waiting(sizes, longest), line.slope), slower

    def _recomputed_bytes(self, batch: Batch) -> float:
        """Return the bytes of a step on ``batch`` with activation checkpointing."""
        return replace(self.sizes, recomputed=True).saved_bytes(self._shape(batch))

    def _kept_ratio(self, longest: Batch, peak: float) -> float:
        """Measure the ratio of a streamed step's time if all layers keep their activations to that if none
        does, where a step without them has this ``peak``.
        """
        row = max(longest, key=lambda example: example.tokens)
        stream, seconds = self.run.base.stream, 2 * self._seconds(self._work([row]))
        if not stream or self.free is None or time.monotonic() + seconds > self.deadline:
            return USUAL_KEPT
        activations = stream.activations
        recomputed = self._run_step([[row]]).seconds
        activations.limit = max(0.0, SAFE * self.free - peak)
        activations.count()
        kept = self._run_step([[row]]).seconds
        activations.limit, share = 0.0, activations.share
        if share < LEAST_KEPT:
            return USUAL_KEPT
        # As if it had been all of them.
        return min(1.0, max(0.5, 1 - (1 - kept / recomputed) / share))

    def _waiting(self, sizes: Sizes, longest: Batch) -> float:
        """Return the bytes that the other batches of a step keep while layers are streamed."""
        return sizes.waiting_bytes(self._shape(longest), self.run.plan.accumulation)

    def _with(self, sizes: Sizes, longest: Batch) -> tuple[LinearModel, float]:
        """Measure memory, by the bytes of these ``sizes``, and slowdown."""
        before_sizes, self.sizes = self.sizes, sizes
        row = max(longest, key=lambda example: example.tokens)
        steps = [self._run_step([[part]]) for part in (thinned(row, row.tokens // 2), row)]
        self.sizes = before_sizes
        before = [step.seconds for step in self.rising if step.work == self._work([row])]
        slowdown = steps[-1].seconds / before[0] if before else 1.3
        return LinearModel.through_last([(step.saved_bytes, float(step.peak)) for step in steps]), max(
            1.0, slowdown
        )
