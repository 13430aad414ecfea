"""Stored measurements of a job's settings, which are valid for any number of steps."""

from __future__ import annotations

import hashlib
import json
import math
import os
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.settings import SETTINGS
from arkor_dev.contract.settings.evaluation import samples_off
from arkor_dev.data.sources import parts_of, sources_of
from arkor_dev.local.evaluation.base_losses import known
from arkor_dev.local.workers.machine import speed_factors

from .answer_costs import ComparisonCosts, GenerationSpeed
from .linear_models import LinearModel, Sizes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from arkor_dev.contract.shapes import DatasetSource, JobConfig

FILE_NAME: Final = "forecasts.json"
MOST_MEASUREMENTS: Final = 100
WITHOUT_EFFECT: Final = frozenset(
    {
        "maxSteps", "numTrainEpochs", "saveSteps", "evalSteps", "loggingSteps", "learningRate", "weightDecay",
        "lrSchedulerType", "lrNumCycles", "lrPower", "lrNumDecaySteps", "warmupSteps", "warmupRatio",
        "maxGradNorm", "adamBeta1", "adamBeta2", "adamEpsilon", "loraAlpha", "useRslora",
        "earlyStoppingPatience", "earlyStoppingThreshold", "stopWhen", "saveTotalLimit", "onNonFinite",
        "samples", "reportTo", "pauseOnBattery",
    }
)  # fmt: skip
"""Settings that affect neither the time nor the memory of a step."""
TRUST: Final = (0.5, 2.0)
"""Limits for corrections by a run: a single run at the same time as another program says little."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """Times in seconds, sizes in bytes.

    ``first`` has the times of the first steps, ``mean`` is the mean time of later ones; ``peaks`` has the
    memory peaks of the first steps as ``[step, bytes]`` whenever the peak rises, and ``worst`` is the peak
    after them. ``longest`` has the numbers of tokens and learned tokens of each row in the heaviest batch,
    longest row first; ``padded`` says whether they are padded, ``shared`` is the length of their common
    prefix in tokens. ``units`` counts rows, or packs of ``packed_to`` tokens. ``lengths`` has percentiles of
    the rows' tokens. ``comparing`` is the cost of the final comparison, ``writing`` the speed of generation;
    None if there is none. ``late`` and ``heavy`` are real runs' ratios to the estimate in time and memory.

    Memory is that of the process on a CPU, else that of the device; ``host`` is then the memory of the
    process, and ``gpu`` the device's name in ``CUDA_VISIBLE_DEVICES``. If the model is spread over several
    ``gpus``, it is that of the fullest; these are the peaks of the measured steps, and the sizes.
    ``four_bit`` says that the weights are quantized. ``recomputed`` and ``streamed`` are the memory with
    activation checkpointing, and with streamed layers as well, if that was measured; ``slower`` and
    ``streamed_slower`` are the ratios of a step's time. ``streams``: all was measured with streamed layers.
    These recompute all activations; ``kept_ratio`` is the ratio of a step's time if they keep all instead,
    None if the job's settings forbid that.
    """

    device: str
    loading: float
    first: list[float]
    mean: float
    evaluation: float
    saving: float
    checkpoint: int
    adapter: int
    peaks: list[tuple[int, int]]
    worst: int
    memory: LinearModel
    sizes: Sizes
    longest: list[tuple[int, int]]
    padded: bool
    shared: int
    weights: int
    rows: int
    units: int
    packed_to: int
    held_out: int
    cut: int
    tokens: int
    learned: int
    looked: int
    lengths: list[int]
    recomputed: LinearModel | None = None
    slower: float = 1.0
    streamed: LinearModel | None = None
    streamed_slower: float = 1.0
    kept_ratio: float | None = None
    streams: bool = False
    host: int = 0
    gpu: str = ""
    device_total: int = 0
    gpus: list[tuple[int, int]] = field(default_factory=list)
    four_bit: bool = False
    comparing: ComparisonCosts | None = None
    writing: GenerationSpeed | None = None
    late: float = 1.0
    heavy: float = 1.0

    @property
    def as_run(self) -> bool:
        """Whether the job was measured with all its rows, and as it runs."""
        return self.looked == self.rows + self.held_out and self.streamed is None

    def training(self, steps: int) -> float:
        """Return the seconds of this many steps."""
        measured = self.first[:steps]
        return sum(measured) + (steps - len(measured)) * self.mean

    def peak(self, steps: int) -> int:
        """Return the peak memory of a run of this many steps."""
        if steps > len(self.first):
            return round(self.worst * self.heavy)
        return round(
            max((size for step, size in self.peaks if step <= steps), default=self.worst) * self.heavy
        )

    def corrected(self, seconds: float, size: float) -> Measurement:
        """Return a copy corrected by a run whose time was ``seconds`` times, and whose memory was ``size``
        times, its estimate.
        """
        low, high = TRUST
        late_factor = self.late * math.sqrt(min(max(seconds, low), high))
        heavy = self.heavy * min(max(size, low), high)
        return replace(self, late=min(max(late_factor, low), high), heavy=min(max(heavy, low), high))

    def as_json(self) -> dict[str, object]:
        comparing = self.comparing.as_json() if self.comparing else None
        return {**asdict(replace(self, comparing=None)), "comparing": comparing}

    @classmethod
    def of_json(cls, stored: Mapping[str, Any]) -> Measurement:
        """Parse stored JSON. Raises TypeError or KeyError for another version's data."""
        recomputed, comparing, writing = stored["recomputed"], stored["comparing"], stored["writing"]
        streamed = stored["streamed"]
        return cls(
            **{
                **stored,
                "memory": LinearModel(**stored["memory"]),
                "comparing": ComparisonCosts.of_json(comparing) if comparing else None,
                "writing": GenerationSpeed(**writing) if writing else None,
                "recomputed": LinearModel(**recomputed) if recomputed else None,
                "streamed": LinearModel(**streamed) if streamed else None,
                "sizes": Sizes(**stored["sizes"]),
                "longest": [(tokens, learned) for tokens, learned in stored["longest"]],
                "gpus": [(peak, total) for peak, total in stored["gpus"]],
                "peaks": [(step, size) for step, size in stored["peaks"]],
            }
        )


class MeasurementStore:
    """The measurements of a data folder, in one file; the newest ``MOST_MEASUREMENTS`` are kept."""

    def __init__(self, data: Path) -> None:
        self._path = data / FILE_NAME
        self._stored: dict[str, Any] | None = None

    def get(self, key: str) -> Measurement | None:
        """Return a measurement, updated with the cached results of the job's base model."""
        try:
            measurement = Measurement.of_json(self._all()[key])
        except (KeyError, TypeError, ValueError, AttributeError):
            return None
        if not measurement.comparing:
            return measurement
        return replace(measurement, comparing=measurement.comparing.with_cached(known(self._path.parent)))

    def put(self, key: str, measurement: Measurement) -> None:
        """Store a measurement; on a full disk, it is kept until the process ends."""
        stored = self._all()
        stored.pop(key, None)
        stored[key] = measurement.as_json()
        for old in list(stored)[:-MOST_MEASUREMENTS]:
            del stored[old]
        part = self._path.with_suffix(".part")
        try:
            part.write_text(json.dumps(stored))
            part.replace(self._path)
        except OSError:
            part.unlink(missing_ok=True)

    def _all(self) -> dict[str, Any]:
        if self._stored is None:
            try:
                stored = json.loads(self._path.read_text())
            except (OSError, ValueError):
                stored = {}
            self._stored = stored if isinstance(stored, dict) else {}
        return self._stored


def key_of(config: JobConfig, model: Path, data: Iterable[Path]) -> str:
    """Return a measurement's key: model, data, machine, versions, and the relevant settings."""
    given: Mapping[str, object] = config
    settings = {
        row.field: row.default if given.get(row.field) is None else given[row.field]
        for row in SETTINGS
        if row.field not in WITHOUT_EFFECT and row.field != "model"
    }
    names = ("datasetSource", "evalDatasetSource", "datasetFormat", "evaluations")
    inputs = [config.get(name) for name in names]
    inputs.append(samples_off(config.get("samples")))  # then no general questions are answered, either
    files = [_stamp(path) for path in [*sorted(model.iterdir()), *data] if path.is_file()]
    parts = [speed_factors(), files, inputs, settings, config.get("evalSteps") != 0]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:24]


def data_parts(config: JobConfig) -> list[DatasetSource]:
    """Return every part of a config's data sets."""
    return [part for _, source in sources_of(config) for part in parts_of(source)]


def _stamp(path: Path) -> tuple[str, int, int]:
    """Identify a file's state: name, size, modification time."""
    stat = path.stat()
    return os.fspath(path), stat.st_size, stat.st_mtime_ns
