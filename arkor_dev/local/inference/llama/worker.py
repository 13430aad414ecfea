"""The process that answers with llama.cpp. It has the same messages as ``inference.worker``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from arkor_dev.local.inference.worker import InferenceWorker

if TYPE_CHECKING:
    from .engine import LlamaEngine


def _engine() -> LlamaEngine:
    # If torch is installed, transformers imports it even for a tokenizer, which does not need it. Without
    # torch the first answer comes seconds earlier, and 250 MB stay free.
    sys.modules["torch"] = None  # type: ignore[assignment]
    from .engine import LlamaEngine

    return LlamaEngine()


if __name__ == "__main__":
    InferenceWorker().run(_engine)
