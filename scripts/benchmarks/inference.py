"""Answers of this machine: one, four and eight at once, the first token, a stop, memory.

Beside transformers' own ``generate`` in the same number format, and, where llama-cpp-python is installed and
``ARKOR_BENCH_GGUF`` names a file, beside its loop. Each side has a process of its own.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arkor_dev.local.inference.client import SPIN
from arkor_dev.local.models.catalog import starter_folder
from arkor_dev.local.workers.process import DEFAULTS

from .figures import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("ARKOR_TEST_CACHE") or Path("~/.cache/arkor-dev").expanduser())


def measure(*, quick: bool) -> Iterator[Figure]:
    """Tokens a second and seconds of every side; with ``quick`` of the tests' tiny model."""
    with tempfile.TemporaryDirectory() as folder:
        model, tokens = starter_folder(CACHE), 96
        if quick:
            model, tokens = Path(folder) / "tiny", 12
            subprocess.run([sys.executable, "-m", "tests.local.tiny_model", str(model)], check=True, cwd=ROOT)
        elif not model.is_dir():
            raise SystemExit(f"The starter model is not in {model}: arkor-dev --local fetches it")
        ours = _side("ours", model, tokens)
        other = _side("generate", model, tokens, ours["format"])
    for count in (1, 4, 8):
        name = f"{count} at once, generate beside, {ours['format']}"
        yield Figure(name, ours[f"rate{count}"], "tokens/s", other[f"rate{count}"])
    small = None if quick else 3
    yield Figure("8 at once, one beside", ours["rate8"], "tokens/s", ours["rate1"], least=small)
    yield Figure("first token, generate beside", 1000 * ours["first"], "ms", 1000 * other["first"])
    yield Figure("  of the next question", 1000 * ours["next"], "ms", most=None if quick else 150)
    yield Figure("a stop, until the slot is free", 1000 * ours["stop"], "ms", most=None if quick else 100)
    yield Figure("peak memory, generate beside", ours["peak"], "MiB", other["peak"])
    file = os.environ.get("ARKOR_BENCH_GGUF")
    if file and importlib.util.find_spec("llama_cpp"):
        quicker = _side("llama", Path(file), tokens)
        name = f"one answer of llama.cpp's loop ({Path(file).name}), ours beside"
        yield Figure(name, quicker["rate1"], "tokens/s", ours["rate1"])
        yield Figure("  its first token, ours beside", 1000 * quicker["first"], "ms", 1000 * ours["first"])
        yield Figure("  its peak memory, ours beside", quicker["peak"], "MiB", ours["peak"])


def _side(side: str, place: Path, tokens: int, *more: str) -> dict[str, Any]:
    path = os.pathsep.join([str(ROOT / "scripts"), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.answerers", side, str(place), str(tokens), *more],
        env={**DEFAULTS, **os.environ, **SPIN, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"the {side} side failed:\n{done.stderr[-2000:]}")
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures
