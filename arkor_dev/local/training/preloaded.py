"""The process that imports the training's libraries before a worker is needed; then it is that worker.

Its first line of standard input, a `RunModule`, names the module to run. It creates no thread and opens
no GPU before that, so the module finds the process as if it had been started for it.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import runpy
import sys
from typing import Final

from arkor_dev.local.workers.codec import Codec
from arkor_dev.local.workers.link import die_with_parent
from arkor_dev.local.workers.messages import RunModule

MODULES: Final = (
    "arkor_dev.local.forecast.measure",
    "arkor_dev.local.training.final_evaluation.measure",
    "arkor_dev.local.training.run",
    "arkor_dev.local.training.samples.sampler",
    "arkor_dev.local.cards.writer",
    "transformers.models.llama.modeling_llama",
    "torch._dynamo",  # torch's optimizers import it at their first step
)


def preload() -> None:
    """Import the libraries; what is missing or broken is reported by the module that needs it."""
    gc.disable()  # modules are never garbage, and looking for it takes a sixth of the time
    for name in MODULES:
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    gc.freeze()
    gc.enable()


def first_line() -> bytes:
    """Read to the end of the first line: what follows is the module's."""
    line = b""
    while not line.endswith(b"\n") and (byte := os.read(0, 1)):
        line += byte
    return line


def main() -> None:
    die_with_parent()
    os.environ["HF_HUB_OFFLINE"] = "1"  # as the training sets before it imports the same libraries
    preload()
    line = first_line()
    if not line:
        return
    module = Codec[RunModule](RunModule).decode(line).module
    sys.argv = [module]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
    os._exit(0)
