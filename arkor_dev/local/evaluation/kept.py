"""What is kept of evaluations in a job's folder, whole or not at all.

``evaluation/final.json`` and ``evaluation/step-20.json`` have the figures and those of each row, as the
contract's answer does; ``evaluation/history.json`` what the run measured on its way.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

FOLDER: Final = "evaluation"
HISTORY: Final = "history.json"


def result_file(job: Path, step: int | None) -> Path:
    """Where the evaluation of the final adapter of the job in the folder ``job`` lies, or of a checkpoint."""
    return job / FOLDER / ("final.json" if step is None else f"step-{step}.json")


def write(path: Path, value: object) -> None:
    """Write ``value`` as JSON, flushed to the disk; raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False, separators=(",", ":"))
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def read(path: Path) -> Any:
    """What was written; None where there is nothing that can be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
