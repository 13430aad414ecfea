"""``python -m tests.local.training.resident``: the most memory of a run whose layers are streamed.

Its input is ``[MODEL, DATA]`` as JSON. It prints the most bytes that were resident of the model's files, and
by how much the process's own memory grew.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

from tests.local.training.test_streamed_layers import run_of

WATCHED: Final = ("5.mlp", "0.mlp")
"""Layers at which the memory is measured, forward and backward: it takes as long as they do."""


def resident_bytes() -> dict[str, int]:
    """Resident bytes of this process: of mapped weights, and of memory of its own."""
    sizes = {"weights": 0, "anonymous": 0}
    mapped = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        name, _, rest = line.partition(":")
        if "-" in line.split(maxsplit=1)[0]:
            mapped = line.endswith(".safetensors")
        elif (name == "Rss" and mapped) or name == "Anonymous":
            sizes["weights" if name == "Rss" else "anonymous"] += 1024 * int(rest.split()[0])
    return sizes


def measure(model: Path, data: Path) -> dict[str, int]:
    """Train for two steps, and evaluate."""
    run = run_of(model, data, "float32", offload="layers", batchSize=1)
    run.begin()
    before, most = resident_bytes(), {"weights": 0, "anonymous": 0}

    def note(*_: object) -> None:
        for kind, size in resident_bytes().items():
            most[kind] = max(most[kind], size)

    for name, part in run.model.named_modules():
        if name.endswith(WATCHED):
            part.register_forward_hook(note)
            part.register_full_backward_hook(note)
    steps = run.steps()
    for _ in range(2):
        run.learn(*next(steps))
    run.evaluate()
    return {"weights": most["weights"], "anonymous": most["anonymous"] - before["anonymous"]}


if __name__ == "__main__":
    print(json.dumps(measure(*map(Path, json.load(sys.stdin)))))  # noqa: T201
