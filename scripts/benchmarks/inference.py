"""Answers of this machine: one, four and eight at once, the first token, a stop, memory.

Beside transformers' own ``generate`` in the same number format, and, where llama-cpp-python is installed and
``ARKOR_BENCH_GGUF`` names a file, beside its loop. Each side has a process of its own.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from arkor_dev.local.inference.client import SPIN

from .figures import Figure
from .sides import ROOT, in_a_process
from .starter import starter

if TYPE_CHECKING:
    from collections.abc import Iterator


def measure(*, quick: bool) -> Iterator[Figure]:
    """Tokens a second and seconds of every side; with ``quick`` of the tests' tiny model."""
    with tempfile.TemporaryDirectory() as folder:
        if quick:
            model, tokens = Path(folder) / "tiny", 12
            subprocess.run([sys.executable, "-m", "tests.local.tiny_model", str(model)], check=True, cwd=ROOT)
        else:
            model, tokens = starter(), 96
        ours = in_a_process("answerers", "ours", model, tokens, settings=SPIN)
        other = in_a_process("answerers", "generate", model, tokens, ours["format"], settings=SPIN)
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
    small = None if quick else 3
    yield Figure("8 at once, one beside", ours["rate8"], "tokens/s", ours["rate1"], least=small)
    yield Figure("first token, generate beside", 1000 * ours["first"], "ms", 1000 * other["first"])
    yield Figure("  of the next question", 1000 * ours["next"], "ms", most=None if quick else 150)
    yield Figure("a stop, until the slot is free", 1000 * ours["stop"], "ms", most=None if quick else 100)
    yield Figure("peak memory, generate beside", ours["peak"], "MiB", other["peak"])
    file = os.environ.get("ARKOR_BENCH_GGUF")
    if file and importlib.util.find_spec("llama_cpp"):
        quicker = in_a_process("answerers", "llama", Path(file), tokens, settings=SPIN)
        name = f"one answer of llama.cpp's loop ({Path(file).name}), ours beside"
        yield Figure(name, quicker["rate1"], "tokens/s", ours["rate1"])
        yield Figure("  its first token, ours beside", 1000 * quicker["first"], "ms", 1000 * ours["first"])
        yield Figure("  its peak memory, ours beside", quicker["peak"], "MiB", ours["peak"])
