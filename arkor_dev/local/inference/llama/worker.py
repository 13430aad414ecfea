"""The process that answers by llama.cpp; its messages are those of ``inference.worker``.

A question has ``gguf``, the base model's file, and ``lora``, the adapter's or None, beside what it has there.
"""

from __future__ import annotations

import sys
from typing import Any

from arkor_dev.local.inference.worker import InferenceWorker


def _engine() -> Any:
    from arkor_dev.local.modeling import lean_transformers

    # transformers imports torch where there is one, also for a tokenizer, which needs nothing of it: without
    # it the first answer comes seconds sooner, and 250 MB stay free.
    sys.modules["torch"] = None  # type: ignore[assignment]
    lean_transformers.install()
    from .engine import LlamaEngine

    return LlamaEngine()


if __name__ == "__main__":
    InferenceWorker().run(_engine)
