"""What was measured of a job's settings, as it is kept: enough for every number of steps."""

from __future__ import annotations

import hashlib
import json
import math
import os
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.settings import SETTINGS
from arkor_dev.contract.settings.evaluation import asks_nothing
from arkor_dev.data.sources import parts_of
from arkor_dev.local.evaluation.base_losses import known
from arkor_dev.local.workers.machine import makers_of_speed

from .answer_costs import Comparing, Writing
from .lines import Line, Sizes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from arkor_dev.contract.shapes import DatasetSource

KEPT: Final = "forecasts.json"
KEPT_MOST: Final = 100
WITHOUT_EFFECT: Final = frozenset(
    {
        "maxSteps", "numTrainEpochs", "saveSteps", "evalSteps", "loggingSteps", "learningRate", "weightDecay",
        "lrSchedulerType", "lrNumCycles", "lrPower", "lrNumDecaySteps", "warmupSteps", "warmupRatio",
        "maxGradNorm", "adamBeta1", "adamBeta2", "adamEpsilon", "loraAlpha", "useRslora",
        "earlyStoppingPatience", "earlyStoppingThreshold", "saveTotalLimit", "onNonFinite", "samples",
        "reportTo", "pauseOnBattery",
    }
)  # fmt: skip
"""Settings that change neither a step's time nor its memory."""
TRUST: Final = (0.5, 2.0)
"""How far a run may correct what was measured: one beside a busy program says little."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """Times in seconds, sizes in bytes.

    ``first`` are the times of the first steps and ``mean`` that of those after them; ``peaks`` says for the
    same steps to which height memory has risen, as ``[step, bytes]`` where it rises, and ``worst`` is the
    height after them. ``longest`` are the tokens and the learned ones of the rows of the heaviest batch, the
    longest row first; whether they are ``padded`` to it, and how many tokens they begin with are ``shared``.
    ``units`` are the rows, or the packs of ``packed_to`` tokens that they are in. ``lengths`` are percentiles
    of the rows' tokens. ``comparing`` is what comparing the adapter with its base takes, ``writing`` how fast
    answers are written; None where there is nothing of the kind.
    ``late`` and ``heavy`` are how much longer and larger runs were than was measured.

    Memory is the process's where the processor computes, else the device's; ``host`` is then the process's,
    and ``gpu`` is what ``CUDA_VISIBLE_DEVICES`` calls the device.
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
    memory: Line
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
    recomputed: Line | None = None
    slower: float = 1.0
    host: int = 0
    gpu: str = ""
    device_total: int = 0
    comparing: Comparing | None = None
    writing: Writing | None = None
    late: float = 1.0
    heavy: float = 1.0

    def training(self, steps: int) -> float:
        """Seconds of so many steps."""
        known = self.first[:steps]
        return sum(known) + (steps - len(known)) * self.mean

    def peak(self, steps: int) -> int:
        """The most that a run of so many steps holds."""
        if steps > len(self.first):
            return round(self.worst * self.heavy)
        return round(
            max((size for step, size in self.peaks if step <= steps), default=self.worst) * self.heavy
        )

    def corrected(self, seconds: float, size: float) -> Measurement:
        """As a run has shown it that took so many times the ``seconds`` and the ``size`` of its forecast."""
        low, high = TRUST
        late = self.late * math.sqrt(min(max(seconds, low), high))
        heavy = self.heavy * min(max(size, low), high)
        return replace(self, late=min(max(late, low), high), heavy=min(max(heavy, low), high))

    def as_json(self) -> dict[str, Any]:
        comparing = self.comparing.as_json() if self.comparing else None
        return {**asdict(replace(self, comparing=None)), "comparing": comparing}

    @classmethod
    def of_json(cls, kept: Mapping[str, Any]) -> Measurement:
        """Raises TypeError or KeyError for what another version has kept."""
        recomputed, comparing, writing = kept["recomputed"], kept["comparing"], kept["writing"]
        return cls(
            **{
                **kept,
                "memory": Line(**kept["memory"]),
                "comparing": Comparing.of_json(comparing) if comparing else None,
                "writing": Writing(**writing) if writing else None,
                "recomputed": Line(**recomputed) if recomputed else None,
                "sizes": Sizes(**kept["sizes"]),
                "longest": [(tokens, learned) for tokens, learned in kept["longest"]],
                "peaks": [(step, size) for step, size in kept["peaks"]],
            }
        )


class Kept:
    """The measurements of one data folder, in a file; the newest ``KEPT_MOST`` stay."""

    def __init__(self, data: Path) -> None:
        self._path = data / KEPT
        self._known: dict[str, Any] | None = None

    def get(self, key: str) -> Measurement | None:
        """What was measured, with what is known by now of the base that a run is compared with."""
        try:
            found = Measurement.of_json(self._all()[key])
        except (KeyError, TypeError, ValueError, AttributeError):
            return None
        if not found.comparing:
            return found
        return replace(found, comparing=found.comparing.knowing(known(self._path.parent)))

    def put(self, key: str, measurement: Measurement) -> None:
        """Keep it; on a full disk it is known until the process ends."""
        known = self._all()
        known.pop(key, None)
        known[key] = measurement.as_json()
        for old in list(known)[:-KEPT_MOST]:
            del known[old]
        part = self._path.with_suffix(".part")
        try:
            part.write_text(json.dumps(known))
            part.replace(self._path)
        except OSError:
            part.unlink(missing_ok=True)

    def _all(self) -> dict[str, Any]:
        if self._known is None:
            try:
                found = json.loads(self._path.read_text())
            except (OSError, ValueError):
                found = {}
            self._known = found if isinstance(found, dict) else {}
        return self._known


def key_of(config: Mapping[str, Any], model: Path, data: Iterable[Path]) -> str:
    """What a measurement is kept by: model, data, machine, versions, and the settings that matter."""
    settings = {
        row.field: row.default if config.get(row.field) is None else config[row.field]
        for row in SETTINGS
        if row.field not in WITHOUT_EFFECT and row.field != "model"
    }
    names = ("datasetSource", "evalDatasetSource", "datasetFormat", "evaluations")
    told = [config.get(name) for name in names]
    told.append(asks_nothing(config.get("samples")))  # nor are general questions answered
    files = [_stamp(path) for path in [*sorted(model.iterdir()), *data] if path.is_file()]
    parts = [makers_of_speed(), files, told, settings, config.get("evalSteps") != 0]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:24]


def sources_of(config: Mapping[str, Any]) -> list[DatasetSource]:
    """Every data set of a config, the one to evaluate on included."""
    named = (config.get(name) for name in ("datasetSource", "evalDatasetSource"))
    return [part for source in named if source for part in parts_of(source)]


def _stamp(path: Path) -> tuple[str, int, int]:
    """A file as it is now: name, size, time of change."""
    stat = path.stat()
    return os.fspath(path), stat.st_size, stat.st_mtime_ns
