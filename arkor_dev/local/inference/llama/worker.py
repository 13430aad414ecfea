"""The process that answers by llama.cpp; its messages are those of ``inference.worker``.

A question has ``gguf``, the base model's file, and ``lora``, the adapter's or None, beside what it has there.
"""

from __future__ import annotations

from typing import Any

from arkor_dev.local.inference.worker import Work


def _engine() -> Any:
    from arkor_dev.local.modeling import lean_transformers

    lean_transformers.install()
    from .engine import Engine

    return Engine()


if __name__ == "__main__":
    Work().run(_engine)
