"""What each extra needs; "" is the package. Written by scripts/generate.py from pyproject.toml."""

from __future__ import annotations

from typing import Final

REQUIREMENTS: Final[dict[str, tuple[str, ...]]] = {
    "": ("aiohttp>=3.14.1", "aiohttp-sse>=3", "yarl>=1.17", "rich>=13.7", "platformdirs>=4"),
    "local": ("torch>=2.6,<3", "transformers>=4.57", "peft>=0.19.1", "llguidance>=1.9,<2"),
    "gpu": ("nvidia-ml-py>=12.535",),
    "tensorboard": ("tensorboard>=2.16",),
    "trackio": ("trackio>=0.4",),
    "wandb": ("wandb>=0.17",),
    "mlflow": ("mlflow>=2.14",),
    "hub": ("datasets>=3", "huggingface_hub>=0.34"),
    "parquet": ("pyarrow>=15",),
    "gguf": ("llama-cpp-python>=0.3.36,<0.4", "sentencepiece>=0.2", "gguf>=0.10"),
    "ray": ("ray[default]>=2.52,<3",),
    "storage": ("fsspec>=2024.2",),
    "sweep": ("optuna>=4",),
    "classify": ("scikit-learn>=1.4",),
    "documents": ("pypdf>=5", "python-docx>=1.1"),
    "mcp": ("mcp>=2",),
    "notebook": ("anywidget>=0.9",),
    "embed": ("sentence-transformers>=6",),
    "onnx": ("onnxscript>=0.7", "onnxruntime>=1.23"),
    "gpu4bit": ("bitsandbytes>=0.45",),
}
