"""A worker that says which libraries its process has imported before it began."""

from __future__ import annotations

import sys

PRESENT = [name for name in ("peft", "torch", "transformers") if name in sys.modules]

if __name__ == "__main__":
    from arkor_dev.local.workers.link import Link

    link = Link()
    asked = link.receive()["ask"]
    torch = sys.modules.get("torch")
    link.send(libraries=PRESENT, asked=asked, name=__name__, cuda=bool(torch and torch.cuda.is_initialized()))
