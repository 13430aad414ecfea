"""Measuring a run by making some of its steps: first small ones, then as large as time and memory allow.

Each step is the training's own. What one more step would take is known from those before it, so none is
made that does not fit into memory, nor one that would outlast the time; what is larger is the line's to say.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import torch

from arkor_dev.local.jobs.artifacts import OPTIMIZER, write_whole
from arkor_dev.local.modeling.base_model import bare
from arkor_dev.local.training.encoding import IGNORED
from arkor_dev.local.workers import peak_memory

from .lines import Line, Shape
from .steps import Batch, foreknown, shape_of, sizes_of, spread

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from arkor_dev.local.training.run import Run

SAFE: Final = 0.85
"""The part of the free memory that a measuring step may take, by what is known before it."""
TYPICAL: Final = 6
SMALLEST: Final = 64
"""Tokens of the first, smallest step."""
FEWEST: Final = 2
"""Steps that are made however slow they are."""
OWN_SHARE: Final = 0.6
"""The part of the time that is for the steps up to the longest batch; the rest is for typical ones."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step that was made: how long it took, and how high memory rose in it."""

    shape: Shape
    seconds: float
    peak: int


class Meter:
    """The memory that is short where a model is computed: the GPU's own, else the process's."""

    def __init__(self, device: str) -> None:
        self._cuda = device == "cuda"
        self.free: int | None = None
        self._total = 0
        if self._cuda:
            left, self._total = torch.cuda.mem_get_info()
            self.free = left + torch.cuda.memory_reserved()

    def forget(self) -> None:
        """Let the peak count from now on."""
        if self._cuda:
            torch.cuda.reset_peak_memory_stats()
        else:
            peak_memory.forget()

    def peak(self) -> int:
        return int(torch.cuda.max_memory_reserved()) if self._cuda else peak_memory.peak()

    def now(self) -> int:
        return int(torch.cuda.memory_reserved()) if self._cuda else peak_memory.resident()

    def facts(self) -> dict[str, int]:
        """What a `Measurement` says of a GPU."""
        if not self._cuda:
            return {}
        return {"host": peak_memory.peak(), "device_free": self.free or 0, "device_total": self._total}


@dataclass
class Measuring:
    """Measures ``run``, which has not begun, until ``deadline`` (of ``time.monotonic``) at the latest."""

    run: Run
    free: int | None
    deadline: float
    progress: Callable[[int, int], None]
    rising: list[Step] = field(default_factory=list)
    """Steps each of which is larger than those before."""
    typical: list[Step] = field(default_factory=list)

    def measure(self, scratch: Path, long_rows: Batch) -> dict[str, Any]:
        """What steps tell of a `Measurement`, by field; ``long_rows`` are the run's too, beside its rows."""
        run = self.run
        batches = foreknown(run)
        began = time.monotonic()
        run.begin()
        beginning = time.monotonic() - began
        weights = sum(weight.numel() * weight.element_size() for weight in run.model.parameters())
        inner = bare(run.model)
        self.sizes = sizes_of(inner, bool(getattr(inner, "is_gradient_checkpointing", False)))
        self.meter = Meter(run.base.device)
        if self.meter.free is not None:
            self.free = self.meter.free
        self.at_rest = self.meter.now()
        longest = max(batches, key=lambda batch: self.sizes.held(shape_of(batch)))
        if long_rows:
            longest = long_rows[-len(longest) :]
        began = time.monotonic()
        self._rise(longest, began + OWN_SHARE * (self.deadline - began))
        whole = self.rising[-1].shape == shape_of(longest)
        self._typical(batches)
        memory = Line.rising(self._heights())
        recomputed, slower = None, 1.0
        expected = memory.at(self.sizes.held(shape_of(longest)))
        if not self.sizes.recomputed and self.free is not None and expected - self.at_rest > SAFE * self.free:
            recomputed, slower = self._recomputed(longest)
        return {
            **self._times(batches),
            **self._evaluation(),
            **self._saving(scratch),
            **self._peaks(batches, longest, memory, whole),
            "memory": memory,
            "sizes": self.sizes,
            "longest": shape_of(longest),
            "weights": weights,
            "recomputed": recomputed,
            "slower": slower,
            "beginning": beginning + self._warming(),
            **self.meter.facts(),
        }

    # The steps

    def _rise(self, longest: Batch, until: float) -> None:
        """Make ever larger parts of the longest batch, and at last the whole."""
        row = max(longest, key=lambda example: len(example.ids))
        parts = [[_cut(row, min(SMALLEST, len(row.ids)))], [_cut(row, len(row.ids) // 2)], [row]]
        count = 2
        rest = [example for example in longest if example is not row]
        while count < len(longest):
            parts.append([row, *rest[: count - 1]])
            count *= 2
        parts = [
            part
            for part in parts
            if any(label != IGNORED for example in part for label in example.labels[1:])
        ]
        parts.append(longest)
        self.total = len(parts) + TYPICAL
        skip_to = 0
        for place, part in enumerate(parts):
            last = place == len(parts) - 1
            if place < skip_to and not last:
                continue
            if len(self.rising) >= FEWEST and not self._affordable(part, until):
                break
            self.rising.append(self._step(part))
            # Where the whole is cheap, there is no need for what lies between.
            if place >= 2 and self._seconds(longest) < 0.3 * (until - time.monotonic()):
                skip_to = len(parts) - 1

    def _typical(self, batches: list[Batch]) -> None:
        most = self.sizes.held(self.rising[-1].shape)
        for batch in spread(batches, self.sizes, TYPICAL):
            if self.sizes.held(shape_of(batch)) <= 1.01 * most and self._affordable(batch, self.deadline):
                self.typical.append(self._step(batch))

    def _step(self, batch: Batch) -> Step:
        self.meter.forget()
        began = time.monotonic()
        self.run.learn(batch)
        seconds = time.monotonic() - began
        self.progress(len(self.rising) + len(self.typical) + 1, self.total)
        return Step(shape_of(batch), seconds, self.meter.peak())

    def _affordable(self, batch: Batch, until: float) -> bool:
        """Whether a step on ``batch`` would end in time, and leave the machine some memory."""
        if time.monotonic() + self._seconds(batch) > until:
            return False
        if self.free is None:
            return True
        line = Line.rising(self._heights())
        return line.at(self.sizes.held(shape_of(batch))) - self.at_rest < SAFE * self.free

    def _seconds(self, batch: Batch) -> float:
        """What a step on ``batch`` would take, by the largest one that was made."""
        largest = self.rising[-1]
        return largest.seconds * self.sizes.work(shape_of(batch)) / self.sizes.work(largest.shape)

    # What they tell

    def _heights(self) -> list[tuple[float, float]]:
        """How high memory rose, over what the steps should hold; the first one is small, and warms up."""
        steps = self.rising[1:] or self.rising
        return [(self.sizes.held(step.shape), float(step.peak)) for step in steps]

    def _time_line(self) -> Line:
        steps = [*self.rising[1:], *self.typical] or self.rising
        return Line.through([(self.sizes.work(step.shape), step.seconds) for step in steps])

    def _warming(self) -> float:
        """Seconds that the first step takes besides its own: libraries get ready in it."""
        first = self.rising[0]
        return max(0.0, first.seconds - self._time_line().at(self.sizes.work(first.shape)))

    def _times(self, batches: list[Batch]) -> dict[str, Any]:
        line = self._time_line()
        first = [line.at(self.sizes.work(shape_of(batch))) for batch in batches]
        return {"first": [round(seconds, 4) for seconds in first], "mean": sum(first) / len(first)}

    def _evaluation(self) -> dict[str, Any]:
        """Seconds of one evaluation, by that of as many held-out rows as there is time for."""
        run, held_out = self.run, self.run.held_out
        size = run.plan.batch_size
        batches = [list(held_out[start : start + size]) for start in range(0, len(held_out), size)]
        works = [self.sizes.work(shape_of(batch)) for batch in batches]
        if not batches:
            return {"evaluation": 0.0}
        left = self.deadline - time.monotonic()
        likely = [self._seconds(batch) / 2 for batch in batches]
        count = 1
        while count < len(batches) and sum(likely[: count + 1]) < left:
            count += 1
        run.held_out = [row for batch in batches[:count] for row in batch]
        began = time.monotonic()
        run.evaluate()
        seconds = time.monotonic() - began
        run.held_out = held_out
        return {"evaluation": seconds * sum(works) / sum(works[:count])}

    def _saving(self, scratch: Path) -> dict[str, Any]:
        folder = scratch / "checkpoint"
        began = time.monotonic()
        size = write_whole(folder, self.run.save_checkpoint)
        seconds = time.monotonic() - began
        state = (folder / OPTIMIZER).stat().st_size
        shutil.rmtree(folder)
        return {"saving": seconds, "checkpoint": size, "adapter": size - state}

    def _peaks(self, batches: list[Batch], longest: Batch, memory: Line, whole: bool) -> dict[str, Any]:
        """To which height memory rises at which step: by the line, brought to what was seen."""
        highest = max(step.peak for step in [*self.rising, *self.typical])
        said = memory.at(self.sizes.held(self.rising[-1].shape))
        # Freed memory is not all given back: what came after the longest batch rose a little higher.
        surplus = max(0.0, highest - said) if whole else 0.0
        floor = self.at_rest
        for start in range(0, len(self.run.held_out), self.run.plan.batch_size):
            part = self.run.held_out[start : start + self.run.plan.batch_size]
            floor = max(floor, round(self.at_rest + self.sizes.passed(shape_of(list(part)))))
        peaks: list[tuple[int, int]] = []
        for number, batch in enumerate(batches, 1):
            size = max(floor, round(memory.at(self.sizes.held(shape_of(batch))) + surplus))
            if not peaks or size > peaks[-1][1]:
                peaks.append((number, size))
        worst = max(peaks[-1][1], round(memory.at(self.sizes.held(shape_of(longest))) + surplus))
        return {"peaks": peaks, "worst": worst}

    def _recomputed(self, longest: Batch) -> tuple[Line | None, float]:
        """What steps hold, and how much longer they take, where layers are computed again on the way back."""
        model = self.run.model
        try:
            model.enable_input_require_grads()
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        except (ValueError, AttributeError):
            return None, 1.0
        sizes = replace(self.sizes, recomputed=True)
        row = max(longest, key=lambda example: len(example.ids))
        before = next(
            (step for step in self.rising if step.shape.rows == 1 and step.shape.width == len(row.ids)), None
        )
        halves = [_cut(row, len(row.ids) // 2)], [row]
        steps = [self._step(part) for part in halves if any(label != IGNORED for label in part[0].labels[1:])]
        points = [(sizes.held(step.shape), float(step.peak)) for step in steps]
        slower = steps[-1].seconds / before.seconds if before else 1.3
        return Line.rising(points), max(1.0, slower)


def _cut(row: Any, tokens: int) -> Any:
    return replace(row, ids=row.ids[:tokens], labels=row.labels[:tokens])
