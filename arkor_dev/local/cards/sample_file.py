"""The answers to a job's sample prompts, kept as they are sent: a card shows them.

``evaluation/samples.jsonl`` in the job's folder has one a line, as its event does.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.events import SAMPLE_CREATED, TRAINING_RESUMED
from arkor_dev.local.evaluation import kept

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILE: Final = "samples.jsonl"
LIMIT: Final = 16 << 20
"""Bytes that are read."""


def heard(emit: Callable[..., None], job: Path) -> Callable[..., None]:
    """``emit``, of which the samples are kept in the folder ``job`` besides; a full disk costs only that."""

    def send(name: str, **fields: Any) -> None:
        emit(name, **fields)
        with contextlib.suppress(OSError):
            if name == SAMPLE_CREATED:
                _add(job / kept.FOLDER / FILE, fields)
            elif name == TRAINING_RESUMED:  # what was said of later steps counts no more
                _drop_after(job / kept.FOLDER / FILE, fields["step"])

    return send


def samples_in(job: Path) -> list[dict[str, Any]]:
    """What was kept, in its order; nothing of what cannot be read."""
    found = []
    with contextlib.suppress(OSError), (job / kept.FOLDER / FILE).open("rb") as file:
        for line in file.read(LIMIT).split(b"\n"):
            with contextlib.suppress(ValueError, RecursionError):
                sample = json.loads(line)
                if isinstance(sample, dict):
                    found.append(sample)
    return found


def _add(path: Path, fields: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(f"\n{json.dumps(fields, ensure_ascii=False)}\n")  # behind half a line of a crash, too


def _drop_after(path: Path, step: int) -> None:
    if path.is_file():
        left = [sample for sample in samples_in(path.parent.parent) if step and sample.get("step", 0) <= step]
        part = path.with_suffix(".part")
        part.write_text("".join(json.dumps(sample, ensure_ascii=False) + "\n" for sample in left), "utf-8")
        part.replace(path)
