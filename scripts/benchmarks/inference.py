"""Measures answers on this machine: one, four and eight at once, the first token, a stop, and memory.

Both engines are compared with transformers' own ``generate`` in the same dtype, and with llama-cpp-python's
loop. Each side runs in a separate process. llama.cpp's files are created if they are not in the cache.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from arkor_dev.local.gguf.files import cached_base, make_lora, make_model
from arkor_dev.local.gguf.installed import lacking
from arkor_dev.local.inference.client import SPIN
from arkor_dev.local.inference.engines.gguf_files import QUANTIZATION

from . import fairness
from .figures import Figure
from .sides import in_a_process
from .starter import CACHE, starter

if TYPE_CHECKING:
    from collections.abc import Iterator


def measure(*, quick: bool) -> Iterator[Figure]:
    """Yield tokens per second and seconds of every side; with ``quick``, for the tests' tiny model."""
    with tempfile.TemporaryDirectory() as folder:
        if quick:
            model, tokens = Path(folder) / "tiny", 12  # created with its adapter
        else:
            model, tokens = starter(), 96
        adapter = Path(folder) / "adapter"
        in_a_process("answerers", "adapter", model, 1, adapter)
        ours = in_a_process("answerers", "ours", model, tokens, adapter, settings=SPIN)
        other = in_a_process("answerers", "generate", model, tokens, ours["format"], adapter, settings=SPIN)
        if lacking() is None:
            base, lora = _files(model, adapter, Path(folder) if quick else None)
            by_llama = in_a_process("answerers", "quick", model, tokens, base, adapter, lora, settings=SPIN)
            alone = in_a_process("answerers", "llama", base, tokens, settings=SPIN)
        yield from fairness.measure(model, quick=quick)
    for count in (1, 4, 8):
        name = f"{count} at once, generate beside, {ours['format']}"
        yield Figure(name, ours[f"rate{count}"], "tokens/s", other[f"rate{count}"])
    for count in (1, 4, 8):
        yield Figure(
            f"{count} at once, held to a schema, free beside",
            ours[f"held{count}"],
            "tokens/s",
            ours[f"rate{count}"],
        )
    for name, key, least in (
        ("one with an adapter, generate beside", "adapted1", None),
        ("  generate with it merged in float32 beside", "merged1", 1.2),
    ):
        yield Figure(name, ours["adapted1"], "tokens/s", other[key], least=None if quick else least)
    small = None if quick else 3
    yield Figure("8 at once, one beside", ours["rate8"], "tokens/s", ours["rate1"], least=small)
    yield Figure("first token, generate beside", 1000 * ours["first"], "ms", 1000 * other["first"])
    yield Figure("  of the next question", 1000 * ours["next"], "ms", most=None if quick else 150)
    yield Figure("a stop, until the slot is free", 1000 * ours["stop"], "ms", most=None if quick else 100)
    yield Figure("peak memory, generate beside", ours["peak"], "MiB", other["peak"])
    if lacking() is not None:
        return
    for count in (1, 4, 8):
        name = f"llama.cpp ({by_llama['format']}), {count} at once, ours beside"
        yield Figure(name, by_llama[f"rate{count}"], "tokens/s", ours[f"rate{count}"])
    yield Figure("  8 at once, one beside", by_llama["rate8"], "tokens/s", by_llama["rate1"])
    adapted = by_llama["adapted1"]
    yield Figure("  one with an adapter, ours beside", adapted, "tokens/s", ours["adapted1"])
    name = "  one with an adapter, generate beside"
    yield Figure(name, adapted, "tokens/s", other["adapted1"], least=None if quick else 5)
    yield Figure("  first token, ours beside", 1000 * by_llama["first"], "ms", 1000 * ours["first"])
    yield Figure("  of the next question", 1000 * by_llama["next"], "ms", most=None if quick else 150)
    yield Figure(
        "  a stop, until the slot is free", 1000 * by_llama["stop"], "ms", most=None if quick else 100
    )
    yield Figure("  peak memory, ours beside", by_llama["peak"], "MiB", ours["peak"])
    yield Figure("llama.cpp's own loop, ours with it beside", alone["rate1"], "tokens/s", by_llama["rate1"])


def _files(model: Path, adapter: Path, own: Path | None) -> tuple[Path, Path]:
    """Return the model's and the adapter's files for the engine; those of a model that is created anew each
    time are in ``own``.
    """

    def unheard(*_: object) -> None:
        """Ignore the progress."""

    lora = adapter.parent / "lora.gguf"
    make_lora(adapter, model, lora, 1.0, CACHE, unheard)
    if own is None:
        return cached_base(model, model.name, QUANTIZATION, CACHE, unheard), lora
    make_model(model, own / "base.gguf", QUANTIZATION, model.name, CACHE, unheard)
    return own / "base.gguf", lora
