"""A worker that says which libraries its process has imported before it began."""

from __future__ import annotations

import sys

PRESENT = [name for name in ("peft", "torch", "transformers") if name in sys.modules]

if __name__ == "__main__":
    from arkor_dev.local.workers.link import Link
    from tests.local.workers.questions import Libraries, Question

    link = Link()
    asked = link.receive(Question).text
    torch = sys.modules.get("torch")
    link.send(Libraries([*PRESENT], asked, __name__, bool(torch and torch.cuda.is_initialized())))
