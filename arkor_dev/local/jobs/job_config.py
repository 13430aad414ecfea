"""What a job may ask for: checks a submitted ``config`` and turns it into a complete plan.

Unknown fields are tolerated, since other backends know more of them. A value that is known and wrong is
refused before a job exists, by the field's name.
"""

from __future__ import annotations

import math
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.local.workers.errors import JobFailure, RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEDULES: Final = ("linear", "cosine", "constant", "constant_with_warmup")
NUMBER_FORMATS: Final = ("float32", "bfloat16")
DATASET_TYPES: Final = ("file", "huggingface", "blob")

INTEGERS: Final = {
    "maxSteps": (1, 10_000_000),
    "batchSize": (1, 1024),
    "warmupSteps": (0, 10_000_000),
    "loggingSteps": (1, 10_000_000),
    "saveSteps": (0, 10_000_000),
    "evalSteps": (0, 10_000_000),
    "loraR": (1, 1024),
    "maxLength": (8, 1_000_000),
    "seed": (0, 2**32 - 1),
}
NUMBERS: Final = {
    "numTrainEpochs": (0.0, 10_000.0),
    "learningRate": (0.0, 10.0),
    "loraAlpha": (0.0, 10_000.0),
}
SWITCHES: Final = ("loadIn4bit", "trainOnResponsesOnly", "dryRun")


def _wrong(field: str, reason: str) -> RequestError:
    return RequestError(400, f"config.{field} {reason}")


def _check_number(
    config: Mapping[str, Any], field: str, whole: bool, low: float, high: float, above: bool
) -> None:
    value = config.get(field)
    if value is None or (field == "maxSteps" and value == -1):
        return
    kinds = (int,) if whole else (int, float)
    finite = not isinstance(value, float) or math.isfinite(value)  # a whole number may be too large to ask
    if isinstance(value, bool) or not isinstance(value, kinds) or not finite:
        raise _wrong(field, f"must be {'a whole number' if whole else 'a number'}, not {value!r}")
    if value > high or value < low or (above and value == low):
        raise _wrong(
            field, f"must be {'above' if above else 'from'} {low:g} and at most {high:g}, not {value!r}"
        )


def check_config(config: object) -> dict[str, Any]:
    """Return ``config`` unchanged, or raise :class:`RequestError` 400 naming the field and the reason."""
    if not isinstance(config, dict):
        raise RequestError(400, "config must be an object with model and datasetSource")
    model = config.get("model")
    if not isinstance(model, str) or not model.strip():
        raise _wrong("model", "must name a base model: the starter model, a model hub's id, or a folder")
    for field, (low, high) in INTEGERS.items():
        _check_number(config, field, True, low, high, above=False)
    for field, (bottom, top) in NUMBERS.items():
        _check_number(config, field, False, bottom, top, above=True)
    _check_number(config, "weightDecay", False, 0.0, 1.0, above=False)
    # Other backends take other forms of it, so only a number is ours to judge.
    if isinstance(config.get("datasetSplit"), int | float):
        _check_number(config, "datasetSplit", False, 0.0, 0.9, above=False)
    for field in SWITCHES:
        if not isinstance(config.get(field, False), bool | None):
            raise _wrong(field, f"must be true or false, not {config[field]!r}")
    schedule = config.get("lrSchedulerType")
    if schedule is not None and schedule not in SCHEDULES:
        raise _wrong("lrSchedulerType", f"must be one of {', '.join(SCHEDULES)}, not {schedule!r}")
    number_format = config.get("numberFormat")
    if number_format is not None and number_format not in NUMBER_FORMATS:
        raise _wrong("numberFormat", f"must be one of {', '.join(NUMBER_FORMATS)}, not {number_format!r}")
    optim = config.get("optim")
    if optim is not None and (not isinstance(optim, str) or not ("adamw" in optim or optim == "sgd")):
        raise _wrong("optim", f"must be adamw or sgd, not {optim!r}")
    _check_source(config.get("datasetSource"))
    return config


def _check_source(source: object) -> None:
    if not isinstance(source, dict) or source.get("type") not in DATASET_TYPES:
        raise _wrong("datasetSource", f"must be an object whose type is one of {', '.join(DATASET_TYPES)}")
    needed = {"file": "path", "huggingface": "name", "blob": "url"}[source["type"]]
    if not isinstance(source.get(needed), str) or not source[needed].strip():
        raise _wrong(f"datasetSource.{needed}", "is missing")
    for field in ("split", "subset", "token"):
        if not isinstance(source.get(field, ""), str | None):
            raise _wrong(f"datasetSource.{field}", "must be text")
    if source["type"] == "blob" and not source["url"].startswith(("http://", "https://")):
        raise _wrong("datasetSource.url", "must begin with http:// or https://")


def inside(project: Path, path: str) -> Path:
    """The real path of a data file, which must lie in the project once symlinks are resolved."""
    root = project.resolve()
    try:
        # Pythons differ in what Path.resolve does with a loop of symlinks; the system's own answer is one.
        real = Path(os.path.realpath(root / path))
        if not real.is_relative_to(root):
            raise JobFailure(
                f"The data file {path!r} lies outside the project {root.name}: move it into the project"
            )
        regular = stat.S_ISREG(real.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        raise JobFailure(
            f"The data file {path!r} does not exist in the project {root.name}: check dataset's path"
        ) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise JobFailure(f"The data file {path!r} cannot be resolved: {reason}") from None
    if not regular:
        raise JobFailure(
            f"The data file {path!r} is not a file: name a .jsonl file with one JSON object a line"
        )
    return real
