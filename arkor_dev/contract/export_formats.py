"""The export formats. Written by scripts/generate.py from arkor_dev/local/exports/formats.py."""

from __future__ import annotations

from typing import Final, Literal, get_args

ExportForm = Literal[
    "adapter",
    "merged",
    "onnx",
    "gguf",
    "gguf-lora",
    "ollama",
]
EXPORT_FORMATS: Final[tuple[str, ...]] = get_args(ExportForm)
"""The first is the default."""
QUANTIZED_FORMATS: Final[tuple[str, ...]] = (
    "gguf",
    "ollama",
)
"""Those whose weights have a quantization type."""
