"""Measures a run by executing some of its steps: small ones first, then as large as time and memory allow.

Each step is the training's own. Earlier steps predict the next one's cost, so none is started that would
exceed memory or the deadline; larger ones are extrapolated.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import torch

from arkor_dev.local.cpu_kernels.packing import shared_beginning
from arkor_dev.local.jobs.atomic_folder import write_whole
from arkor_dev.local.jobs.job_folder import STATE
from arkor_dev.local.training.replay.rows import LONGEST, TOGETHER
from arkor_dev.local.training.training_hooks import compute_again
from arkor_dev.local.workers import resources

from .eval_costs import Afterwards
from .lines import Line, Shape, shape_of
from .steps import Batch, Step, foreknown, sizes_in, sizes_of, spread, thinned

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from arkor_dev.local.training.preparation import Preparation
    from arkor_dev.local.training.run import Run

    from .answer_costs import Writing

SAFE: Final = 0.85
"""Share of the free memory that a measuring step may use, by prediction."""
TYPICAL: Final = 6
SMALLEST: Final = 64
"""Tokens of the first, smallest step."""
FEWEST: Final = 2
"""Fewest steps, however slow."""
OWN_SHARE: Final = 0.6
"""Share of the time for growing steps up to the longest batch; the rest is for typical steps."""


class Meter:
    """The limiting memory of a device, and the clock of its steps.

    On an NVIDIA GPU, the allocated GPU memory: what torch reserves never shrinks. On a Mac, whose GPU shares
    the memory, the process's plus what the GPU's driver holds for it; elsewhere the process's. ``free`` is
    what this process may hold in total, None for CPU memory.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self.free: int | None = None
        self._total = 0
        if device == "cuda":
            left, self._total = torch.cuda.mem_get_info()
            self.free = left + torch.cuda.memory_reserved()

    def clock(self) -> float:
        """Return the clock's seconds after the device has finished all its work."""
        if self._device == "cuda":
            torch.cuda.synchronize()
        elif self._device == "mps":
            torch.mps.synchronize()
        return time.monotonic()

    def forget(self) -> None:
        """Reset the peak."""
        if self._device == "cuda":
            torch.cuda.reset_peak_memory_stats()
            return
        if self._device == "mps":
            torch.mps.empty_cache()  # what its driver holds from now on is the peak
        resources.reset_peak_memory()

    def peak(self) -> int:
        if self._device == "cuda":
            return int(torch.cuda.max_memory_allocated())
        return resources.peak_memory() + self._shared()

    def now(self) -> int:
        if self._device == "cuda":
            return int(torch.cuda.memory_allocated())
        return resources.resident_memory() + self._shared()

    def _shared(self) -> int:
        return int(torch.mps.driver_allocated_memory()) if self._device == "mps" else 0

    def facts(self) -> dict[str, Any]:
        """Return a `Measurement`'s facts about a GPU."""
        if self._device != "cuda":
            return {}
        name = f"GPU-{torch.cuda.get_device_properties(0).uuid}"
        return {"host": resources.peak_memory(), "gpu": name, "device_total": self._total}


@dataclass(frozen=True, slots=True)
class Made:
    """An executed step: its batch, its duration, and its memory peak."""

    work: float
    held: float
    seconds: float
    peak: int


@dataclass
class Measuring:
    """Measures ``run``, not yet begun, until ``deadline`` (of ``time.monotonic``)."""

    run: Run
    free: int | None
    deadline: float
    progress: Callable[[int, int], None]
    rising: list[Made] = field(default_factory=list)
    """Steps, each larger than those before."""
    typical: list[Made] = field(default_factory=list)
    total: int = 0

    def measure(self, scratch: Path, long_rows: Batch, preparation: Preparation) -> dict[str, Any]:
        """Return the fields of a `Measurement` that steps provide; ``long_rows`` are further rows of the
        run.
        """
        run = self.run
        prompts = foreknown(run)
        self.meter = Meter(run.base.device)
        began = self.meter.clock()
        run.begin()
        beginning = self.meter.clock() - began
        steps = [[list(batch) for batch in run.loss.expected(step)] for step in prompts]
        weights = sum(weight.numel() * weight.element_size() for weight in run.model.parameters())
        self.sizes = sizes_of(run, max(run.train, key=lambda row: row.tokens))
        # Rows with random contents share no beginning.
        dropout = run.plan.adapter.dropout if run.plan.adapter else 0
        self.padded, self.shares = bool(run.loss.padded), not (dropout or run.plan.noise)
        if self.meter.free is not None:
            self.free = self.meter.free
        # The peak so far counts for the run, too: loading may have converted weights.
        self.at_rest, self.before = self.meter.now(), self.meter.peak()
        shapes = [[self._shape(batch) for batch in step] for step in steps]
        held = [max(map(self.sizes.held, batches)) for batches in shapes]
        works = [sum(map(self.sizes.work, batches)) for batches in shapes]
        longest = max(steps[held.index(max(held))], key=self._held)
        if long_rows:
            long_batches = run.loss.expected([long_rows[-len(longest) :]])
            longest = max((list(batch) for batch in long_batches), key=self._held)
        began = time.monotonic()
        whole = self._rise(longest, began + OWN_SHARE * (self.deadline - began))
        afterwards = Afterwards(preparation, run, self.deadline, self._work, self._seconds)
        writing = afterwards.writing()
        if run.replay and writing:
            asked = run.replay.longest_prompt
            batches = len(run.replay.examples) / TOGETHER
            beginning += batches * (writing.first(TOGETHER, asked) + LONGEST * writing.token(TOGETHER))
        self._typical(steps, held, works)
        memory = Line.rising(self._heights())
        recomputed, slower = None, 1.0
        expected = memory.at(self._held(longest))
        if not self.sizes.recomputed and self.free is not None and expected > SAFE * self.free:
            recomputed, slower = self._recomputed(longest)
        times = self._time_line()
        first = [
            round(times.at(work) + self._writing(writing, step), 4)
            for work, step in zip(works, prompts, strict=True)
        ]
        evaluation = afterwards.evaluation(writing)
        return {
            "first": first,
            "mean": sum(first) / len(first),
            "writing": writing,
            **evaluation,
            "beginning": beginning + max(0.0, self.rising[0].seconds - times.at(self.rising[0].work)),
            **self._saving(scratch),
            **self._peaks(held, self._held(longest), memory, whole, afterwards.batches),
            **self.meter.facts(),
            "memory": memory,
            "sizes": self.sizes,
            "longest": sizes_in(longest),
            "padded": self.padded,
            "shared": self._shared(longest),
            "weights": weights,
            "recomputed": recomputed,
            "slower": slower,
        }

    def _writing(self, writing: Writing | None, step: Step) -> float:
        """Return the seconds in which a step's answers are generated, each as long as it may be."""
        rows = [row for batch in step for row in batch]
        return writing.batches(self.run.loss.writes(rows, learning=True)) if writing else 0.0

    # Steps

    def _rise(self, longest: Batch, until: float) -> bool:
        """Run growing parts of the longest batch, at last all of it; return whether that was reached."""
        row = max(longest, key=lambda example: example.tokens)
        parts = [[thinned(row, SMALLEST)], [thinned(row, row.tokens // 2)], [row]]
        rest = [example for example in longest if example is not row]
        count = 2
        while count < len(longest):
            parts.append([row, *rest[: count - 1]])
            count *= 2
        parts.append(longest)
        self.total = len(parts) + TYPICAL
        # From a step's second batch on, the first one's gradients add to the activations.
        before = [parts[0]] if self.run.plan.accumulation > 1 else []
        for place, part in enumerate(parts):
            last = place == len(parts) - 1
            # If the whole batch is cheap, skip the sizes between.
            cheap = place > FEWEST and self._seconds(self._work(longest)) < 0.3 * (until - time.monotonic())
            if not last and cheap and self._affordable(longest, until):
                continue
            if place >= FEWEST and not self._affordable(part, until):
                return False
            self.rising.append(self._make([*before, part]))
        return True

    def _typical(self, steps: list[Step], held: list[float], works: list[float]) -> None:
        """Run some of the run's own steps, light and heavy, no larger than those already run."""
        most = 1.01 * self.rising[-1].held
        possible = [place for place, size in enumerate(held) if size <= most]
        for chosen in spread([works[place] for place in possible], TYPICAL):
            place = possible[chosen]
            if time.monotonic() + self._seconds(works[place]) > self.deadline:
                continue
            self.typical.append(self._make(steps[place]))

    def _make(self, step: Step) -> Made:
        self.meter.forget()
        began = self.meter.clock()
        self.run.learn(*step)
        seconds = self.meter.clock() - began
        self.progress(len(self.rising) + len(self.typical) + 1, self.total)
        work, held = sum(map(self._work, step)), max(map(self._held, step))
        return Made(work, held, seconds, self.meter.peak())

    def _shared(self, batch: Batch) -> int:
        if self.padded or not self.shares:
            return 0
        return shared_beginning([sequence.ids for row in batch for sequence in row.sequences])

    def _shape(self, batch: Batch) -> Shape:
        return shape_of(sizes_in(batch), self.padded, self._shared(batch))

    def _work(self, batch: Batch) -> float:
        return self.sizes.work(self._shape(batch))

    def _held(self, batch: Batch) -> float:
        return self.sizes.held(self._shape(batch))

    def _affordable(self, batch: Batch, until: float) -> bool:
        """Return whether a step on ``batch`` would end in time and leave free memory."""
        if time.monotonic() + self._seconds(self._work(batch)) > until:
            return False
        if self.free is None:
            return True
        return Line.rising(self._heights()).at(self._held(batch)) < SAFE * self.free

    def _seconds(self, work: float) -> float:
        """Predict a step's seconds from the largest one so far."""
        return self.rising[-1].seconds * work / self.rising[-1].work

    # Results

    def _heights(self) -> list[tuple[float, float]]:
        """Return the memory peaks over the predicted bytes; skip the first step, which is small and warms
        up.
        """
        return [(made.held, float(made.peak)) for made in self.rising[1:] or self.rising]

    def _time_line(self) -> Line:
        made = [*self.rising[1:], *self.typical] or self.rising
        return Line.through([(each.work, each.seconds) for each in made])

    def _saving(self, scratch: Path) -> dict[str, Any]:
        folder = scratch / "checkpoint"
        began = time.monotonic()
        size = write_whole(folder, self.run.save_checkpoint)
        seconds = time.monotonic() - began
        state = (folder / STATE).stat().st_size
        shutil.rmtree(folder)
        return {"saving": seconds, "checkpoint": size, "adapter": size - state}

    def _peaks(
        self, held: list[float], most: float, memory: Line, whole: bool, measured: list[Batch]
    ) -> dict[str, Any]:
        """Predict memory peaks by step from the line, corrected by what was measured.

        ``measured`` are the held-out batches.
        """
        highest = max(made.peak for made in [*self.rising, *self.typical])
        # Freed memory is not all returned: steps after the longest batch peaked a little higher.
        surplus = max(0.0, highest - memory.at(self.rising[-1].held)) if whole else 0.0
        parts = map(self._shape, measured)
        floor = max([self.before, *(round(self.at_rest + self.sizes.passed(part)) for part in parts)])
        peaks: list[tuple[int, int]] = []
        for number, bytes_held in enumerate(held, 1):
            height = max(floor, round(memory.at(bytes_held) + surplus))
            if not peaks or height > peaks[-1][1]:
                peaks.append((number, height))
        return {"peaks": peaks, "worst": max(peaks[-1][1], round(memory.at(most) + surplus))}

    def _recomputed(self, longest: Batch) -> tuple[Line | None, float]:
        """Measure memory and slowdown with activation checkpointing."""
        try:
            compute_again(self.run.model)
        except (ValueError, AttributeError):  # an architecture that does not support it
            return None, 1.0
        self.sizes = replace(self.sizes, recomputed=True)
        row = max(longest, key=lambda example: example.tokens)
        made = [self._make([[part]]) for part in (thinned(row, row.tokens // 2), row)]
        self.sizes = replace(self.sizes, recomputed=False)
        before = [each.seconds for each in self.rising if each.work == self._work([row])]
        slower = made[-1].seconds / before[0] if before else 1.3
        return Line.rising([(each.held, float(each.peak)) for each in made]), max(1.0, slower)
