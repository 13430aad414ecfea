"""What a format may lose: docs/exports.md says the same as the proof holds it to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("torch")

from arkor_dev.contract.bodies import QUANTIZATIONS
from arkor_dev.contract.export_formats import EXPORT_FORMATS
from arkor_dev.local.exports.proof import BOUNDS, Tolerances

DOC = Path(__file__).parents[3] / "docs" / "exports.md"
ROW = re.compile(r"\| ((?:`[a-z0-9_-]+`(?:, )?)+) \| ([0-9.]+) \| (?:(\d+) %|\S+) \| ([0-9.]+) % \|")


def test_the_documented_bounds_are_those_of_the_proof() -> None:
    told: dict[str, Tolerances] = {}
    for names, divergence, learned, sure in ROW.findall(DOC.read_text(encoding="utf-8")):
        bounds = Tolerances(float(divergence), round(float(sure) / 100, 6), float(learned or 0) / 100)
        told |= dict.fromkeys(re.findall(r"`([^`]+)`", names), bounds)
    # An adapter as GGUF is held to what 16 bits are; of the other two it is the weights that are asked for.
    assert told.pop("gguf-lora") == BOUNDS["f16"]
    assert told == BOUNDS
    # That of onnx is proved by its outputs.
    assert told.keys() == {*QUANTIZATIONS, *EXPORT_FORMATS} - {"onnx", "gguf", "gguf-lora", "ollama"}
