"""Computes a job's estimate from a measurement: docs/contract.md#forecasts. Pure functions."""

from __future__ import annotations

import bisect
import functools
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.rules import counted
from arkor_dev.contract.settings.own_sets import FIELD, RUBRIC
from arkor_dev.local.modeling.activation_limit import activation_limit
from arkor_dev.local.modeling.gpu_count import CONTEXT, is_unspecified
from arkor_dev.local.training.job_settings import EffectiveSettings
from arkor_dev.local.training.plan import Plan

from .linear_models import shape_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from arkor_dev.contract.shapes import Forecast, ForecastFix, JobConfig
    from arkor_dev.local.jobs.running.job_runner import RunningJob
    from arkor_dev.local.workers.machine import Memory

    from .linear_models import LinearModel, Shape
    from .measurement import Measurement

MARGIN: Final = 1.05
"""Reserve added to the estimate, since other programs' memory use varies."""
LENGTH_STEP: Final = 32
SHORTEST: Final = 64
FIXES: Final = 4
QUARTER: Final = 0.3
"""Size of 4-bit weights relative to 16-bit ones, scales included."""


def estimate(
    measured: Measurement,
    config: JobConfig,
    memory: Memory,
    disk: int | None,
    busy: bool,
    gpu: int | None = None,
    gpus: int = 1,
) -> Forecast:
    """Estimate a job with ``config``; while another job is running (``busy``), don't say whether it fits.

    ``gpu`` is the free memory of the measured device, if it has its own; None if unknown. The machine has
    ``gpus``.
    """
    if measured.four_bit:  # the model itself may be stored in 4 bits
        config = {**config, "loadIn4bit": True}
    if measured.streams:
        config = {**config, "offload": "layers"}
    plan = _plan(measured, config)
    evaluations = _times(plan.evaluate, plan.steps) + (plan.evaluate > 0 and plan.steps % plan.evaluate > 0)
    saves = _times(plan.save, plan.steps)
    time_factor = measured.late
    comparison = 0.0
    if measured.comparing:
        comparison = measured.comparing.seconds(plan.steps, plan.evaluate)
        comparison += measured.comparing.answering(plan.steps, plan.evaluate, measured.writing)
    count, peak = spread_over(measured, config, gpus)
    slower = 1.0
    available = memory.free
    if measured.host:
        available = None if gpu is None else gpu - CONTEXT
    if (streamed_peak := _if_streamed(measured, config, plan, peak, memory.free)) is not None:
        peak, slower = streamed_peak, measured.streamed_slower
    if measured.kept_ratio is not None and (measured.streams or streamed_peak is not None):
        kept, share = _kept_activations(measured, config, plan, peak, available)
        peak, slower = peak + kept, slower * (1 - share * (1 - measured.kept_ratio))
    seconds_of = {
        "loadingSeconds": measured.loading,
        "trainingSeconds": slower * measured.training(plan.steps),
        "evaluationSeconds": evaluations * measured.evaluation,
        "savingSeconds": (saves + 1) * measured.saving,
    }
    if measured.writing:
        without_samples = sum(seconds_of.values())
        seconds_of["samplesSeconds"] = measured.writing.samples(
            config, plan, measured.held_out, without_samples
        )
    seconds_of["evaluationSeconds"] += comparison
    parts = {name: round(seconds * time_factor, 1) for name, seconds in seconds_of.items()}
    # The best checkpoint is kept in addition to the newest ones.
    limit = config.get("saveTotalLimit")
    kept_checkpoints = min(saves, limit + (plan.evaluate > 0)) if limit else saves
    # A completed job's resume point is kept, too, unless its last checkpoint has it.
    state = 0 if saves and plan.steps % plan.save == 0 else measured.checkpoint - measured.adapter
    written = kept_checkpoints * measured.checkpoint + measured.adapter + state
    forecast: Forecast = {
        "seconds": round(sum(parts.values()), 1),
        **parts,  # type: ignore[typeddict-item]
        "steps": plan.steps,
        "memory": {
            "peakBytes": measured.host or peak,
            "freeBytes": memory.free,
            "totalBytes": memory.total,
        },
        "rows": measured.rows + measured.held_out,
        "cutRows": measured.cut,
        "tokens": measured.tokens,
        "learnedTokens": measured.learned,
        "lookedAtRows": measured.looked,
        "diskBytes": written,
        "checkpoints": kept_checkpoints,
        "freeDiskBytes": disk,
    }
    if notes := notes_of(config):
        forecast["notes"] = notes
    if streamed_peak is not None:
        forecast["streaming"] = {"slower": round(slower, 2)}
    elif measured.streams:
        forecast["streaming"] = {}
    if measured.host:
        forecast["device"] = {
            "name": measured.device,
            "peakBytes": peak,
            "freeBytes": available,
            "totalBytes": measured.device_total,
        }
        if count > 1:
            per_gpu = measured.gpus or [(peak, measured.device_total)] * count
            most = max(used for used, _ in per_gpu)
            forecast["gpus"] = [
                {"peakBytes": round(peak * used / most), "totalBytes": total} for used, total in per_gpu
            ]
    if available is not None and not busy:
        forecast["fits"] = peak * MARGIN <= available and (disk is None or disk > written)
        if peak * MARGIN > available:
            forecast["fixes"] = fixes(measured, config, plan, peak, available / MARGIN, gpus)
    return forecast


def notes_of(config: Mapping[str, object]) -> list[str]:
    """Return phrases about what the time includes at most, or leaves out."""
    notes, times, sets = list[str](), config.get("maxResampleTimes"), config.get(FIELD)
    if isinstance(times, int) and times:
        notes.append(f"at most, if all prompts are replaced {counted(times, 'time')} per step")
    if isinstance(sets, list) and any(own.get("metric") == RUBRIC for own in sets):
        notes.append("without the time of the judge")
    return notes


def _if_streamed(
    measured: Measurement, config: JobConfig, plan: Plan, peak: int, free: int | None
) -> int | None:
    """Return the peak with streamed layers if a job fits only so, and its settings leave that open."""
    if free is None or measured.streamed is None or config.get("offload") not in (None, "auto"):
        return None
    limit = free / MARGIN
    streamed = round(_Fixes(measured, config, plan, peak, limit).peak(plan.batch_size, streamed=True))
    return streamed if peak > limit >= streamed else None


def _kept_activations(
    measured: Measurement, config: JobConfig, plan: Plan, peak: int, free: int | None
) -> tuple[int, float]:
    """Return the bytes of activations that streamed layers keep besides ``peak``, as many as fit into
    ``free`` bytes, and their share of all.
    """
    sizes, shape = measured.sizes, shape_of(measured.longest, measured.padded, measured.shared)
    whole = sizes.kept_bytes(shape, plan.accumulation)
    if free is None or config.get("gradientCheckpointing") is not None or not whole:
        return 0, 0.0
    reserve = replace(sizes, recomputed=True).saved_bytes(shape)
    limit = activation_limit(free - peak, reserve, 0 if measured.host else measured.weights)
    kept = min(whole, limit, max(0.0, free / MARGIN - peak))
    return round(kept), kept / whole


def spread_over(measured: Measurement, config: JobConfig, gpus: int) -> tuple[int, int]:
    """Return over how many of the machine's ``gpus`` a job of ``config`` is spread, and the peak on the
    fullest.

    If the settings leave that open and one GPU is too small, it is the smallest number that holds the job.
    """
    plan = _plan(measured, config)
    peak = measured.peak(plan.steps)
    if measured.gpus:
        return len(measured.gpus), peak
    limit = (measured.device_total - CONTEXT) / MARGIN
    if gpus > 1 and is_unspecified(config) and measured.host and peak > limit:
        fix = _Fixes(measured, config, plan, peak, limit).over(gpus)
        if fix:
            return int(fix["settings"]["gpus"]), fix["peakBytes"]  # type: ignore[call-overload]
    return 1, peak


def fit_together(
    jobs: Sequence[tuple[Measurement | None, RunningJob]], free_bytes: int, gpus: int = 1
) -> bool:
    """Return whether jobs, the first one new, fit in ``free_bytes`` and on a device of the ``gpus``."""
    if any(measured and measured.kept_ratio is not None for measured, _ in jobs):
        return False  # activations of streamed layers take what is free
    peaks = [
        (measured, job, spread_over(measured, job.config, gpus)[1]) for measured, job in jobs if measured
    ]
    if MARGIN * sum(measured.host or peak for measured, _, peak in peaks) > free_bytes:
        return False
    first = peaks[0][0]
    on_device = sum(peak for measured, job, peak in peaks if measured.host and job.same_device)
    return not first.host or MARGIN * on_device <= first.device_total


def _plan(measured: Measurement, config: JobConfig) -> Plan:
    return Plan.of(EffectiveSettings(config), measured.units, measured.held_out, measured.packed_to)


def _times(every: int, steps: int) -> int:
    return steps // every if every else 0


def fixes(
    measured: Measurement, config: JobConfig, plan: Plan, need: int, limit: float, gpus: int = 1
) -> list[ForecastFix]:
    """Return settings with which a step stays within ``limit`` bytes, closest to the original first."""
    search = _Fixes(measured, config, plan, need, limit)
    if (spread := search.over(gpus)) is not None:
        return [spread, *search.search()][:FIXES]
    return list(search.search())[:FIXES]


class _Fixes:
    """Tries changes to the settings, singly and combined, and keeps those that fit."""

    def __init__(self, measured: Measurement, config: JobConfig, plan: Plan, need: int, limit: float) -> None:
        self.measured, self.config, self.plan, self.limit = measured, config, plan, limit
        # The prediction for the heaviest batch, scaled to the estimate.
        predicted = measured.memory.at(measured.sizes.saved_bytes(self.shape(measured.longest)))
        self.surplus = max(0.0, need - predicted)
        self.cheaper = replace(measured.sizes, recomputed=True)

    def shape(self, rows: Sequence[tuple[int, int]]) -> Shape:
        return shape_of(rows, self.measured.padded, self.measured.shared)

    def peak(
        self,
        batch: int,
        length: int | None = None,
        recomputed: bool = False,
        offloaded: bool = False,
        streamed: bool = False,
    ) -> float:
        """Return a run's peak with this batch size, truncation ``length``, and layers ``recomputed`` or
        not, and what they save ``offloaded`` or not. Layers that are ``streamed`` are also recomputed,
        unless the settings forbid that.
        """
        rows = self.measured.longest
        # A pack holds several rows.
        batch_rows = rows[: math.ceil(len(rows) * batch / self.plan.batch_size)]
        if length is not None:
            batch_rows = [(min(tokens, length), min(learned, length)) for tokens, learned in batch_rows]
        line: LinearModel | None = self.measured.recomputed if recomputed else self.measured.memory
        if streamed:
            line = self.measured.streamed
        recomputed |= streamed and self.config.get("gradientCheckpointing") is not False
        sizes = self.cheaper if recomputed else self.measured.sizes
        if offloaded:
            sizes = replace(sizes, offloaded=True)
        return math.inf if line is None else line.at(sizes.saved_bytes(self.shape(batch_rows))) + self.surplus

    def search(self) -> Iterator[ForecastFix]:
        size, recompute = self.plan.batch_size, self.measured.recomputed is not None
        batch = self._most(range(1, size), self.peak)
        if batch:
            yield self._fix(self._fewer(batch), self.peak(batch))
        recomputed_peak = self.peak(size, recomputed=True)
        if recompute and recomputed_peak <= self.limit:
            yield self._fix({"gradientCheckpointing": True}, recomputed_peak)
        checkpoints = recompute or self.measured.sizes.recomputed
        if self.measured.device == "cuda" and checkpoints and recomputed_peak > self.limit:
            # Only where checkpointing is not enough: it costs less time.
            offloaded_peak = self.peak(size, recomputed=recompute, offloaded=True)
            if offloaded_peak <= self.limit and not self.config.get("activationOffloading"):
                also = {"gradientCheckpointing": True} if recompute else {}
                yield self._fix({**also, "activationOffloading": True}, offloaded_peak)
        streamed_peak = self.peak(size, streamed=True)
        if streamed_peak <= self.limit and self.config.get("offload") == "none":
            yield self._fix({"offload": "layers"}, streamed_peak)
        if recompute and not batch and recomputed_peak > self.limit:
            batch = self._most(range(1, size), lambda rows: self.peak(rows, recomputed=True))
            if batch:
                settings = {**self._fewer(batch), "gradientCheckpointing": True}
                yield self._fix(settings, self.peak(batch, recomputed=True))
        # Combine shorter rows with a smaller batch only if neither suffices on its own.
        combinations = ((size, False),) if batch else ((size, False), (1, False), (1, recompute))
        for rows, checkpointing in combinations:
            peak = functools.partial(self.peak, rows, recomputed=checkpointing)
            # Truncating most rows would change what is trained, which is no fix.
            least = max(SHORTEST, self.measured.lengths[len(self.measured.lengths) // 2])
            length = self._most(range(least, self.measured.longest[0][0], LENGTH_STEP), peak)
            if length:
                fewer = self._fewer(rows) if rows < size else {}
                cheaper = {"gradientCheckpointing": True} if checkpointing else {}
                yield self._fix({**fewer, "maxLength": length, **cheaper}, peak(length))
                break
        # A streamed model has most weights elsewhere, and may be in 4 bit all at once.
        in_memory = self.measured.device == "cuda" and not self.measured.streams
        if in_memory and not self.config.get("loadIn4bit"):
            need = self.peak(size) - (1 - QUARTER) * self.measured.weights
            if need <= self.limit:
                yield self._fix({"loadIn4bit": True}, need)

    def over(self, gpus: int) -> ForecastFix | None:
        """Return the smallest number of ``gpus`` over which the layers could be spread; None if none fits."""
        config, sizes = self.config, self.measured.sizes
        if self.measured.device != "cuda" or (config.get("workers") or 1) > 1:
            return None
        need = self.peak(self.plan.batch_size)
        if self.measured.streams:
            need += self.measured.weights  # a model that is spread is not streamed
        rest = min(need, 2 * sizes.vocabulary * sizes.hidden * sizes.value)  # embeddings and output layer
        for count in range((config.get("gpus") or 1) + 1, gpus + 1):
            peak = rest + (need - rest) * math.ceil(sizes.layers / count) / sizes.layers
            if peak <= self.limit:
                return self._fix({"gpus": count}, peak)
        return None

    def _most(self, choices: range, peak: Callable[[int], float]) -> int:
        """Return the last choice that fits, or 0. Memory must not decrease along ``choices``."""
        fitting = bisect.bisect_right(choices, self.limit, key=peak)
        return choices[fitting - 1] if fitting else 0

    def _fewer(self, rows: int) -> dict[str, int]:
        """Use a smaller batch with the same number of rows per step."""
        accumulated = math.ceil(self.plan.batch_size * self.plan.accumulation / rows)
        return {"batchSize": rows, "gradientAccumulationSteps": accumulated}

    def _fix(self, settings: Mapping[str, int | str], peak: float) -> ForecastFix:
        return {"settings": {**settings}, "words": self._describe(settings), "peakBytes": round(peak)}

    def _describe(self, settings: Mapping[str, int | str]) -> str:
        parts = []
        for field, value in settings.items():
            match field:
                case "batchSize":
                    parts.append(f"a batch size of {value:,}")
                case "gradientAccumulationSteps":
                    parts[-1] += f", {value:,} accumulated"
                case "gradientCheckpointing":
                    slower = max(1, round(100 * (self.measured.slower - 1)))
                    parts.append(f"gradient checkpointing ({slower} % slower)")
                case "activationOffloading":
                    parts.append("activations in the computer's memory")
                case "offload":
                    parts.append(f"streamed layers ({self.measured.streamed_slower:.1f} times as long)")
                case "maxLength":
                    parts.append(f"a maximum length of {value:,} tokens ({self._cut_words(int(value))})")
                case "gpus":
                    parts.append(f"the model spread over {value} GPUs")
                case "loadIn4bit":
                    parts.append("the model in 4 bit")
        return " and ".join(parts)

    def _cut_words(self, length: int) -> str:
        lengths = self.measured.lengths
        share = 100 * (len(lengths) - bisect.bisect_right(lengths, length)) / max(1, len(lengths))
        return "truncates no row" if share == 0 else f"truncates {max(1, round(share))} % of the rows"
