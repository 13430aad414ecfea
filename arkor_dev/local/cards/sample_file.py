"""Saves the answers to a job's sample prompts as they are sent, for its card.

``evaluation/samples.jsonl`` in the job's folder has one answer per line, in the shape of its event.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Final

from arkor_dev.contract import strict_json
from arkor_dev.contract.events import SAMPLE_CREATED, TRAINING_RESUMED
from arkor_dev.contract.strict_json import StrictJSONError
from arkor_dev.local.jobs.job_folder import evaluation_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from arkor_dev.contract.events import Event
    from arkor_dev.contract.json_types import JsonObject
    from arkor_dev.local.jobs.job_folder import JobFile

LIMIT: Final = 16 << 20
"""Maximum number of bytes to read."""


def sample_observer(job: Path) -> Callable[[Event], None]:
    """Return an observer of a run's events that stores samples in the folder ``job``; ignores a full disk."""

    def observe(event: Event) -> None:
        with contextlib.suppress(OSError):
            if event["type"] == SAMPLE_CREATED:
                _file(job).append(json.dumps(event, ensure_ascii=False).encode(), flush=False)
            elif event["type"] == TRAINING_RESUMED:  # answers of later steps are void
                _drop_after(job, event["step"])

    return observe


def samples_in(job: Path) -> list[JsonObject]:
    """Return the saved samples in order, without unreadable ones."""
    samples = []
    with contextlib.suppress(OSError), _file(job).open() as file:
        for line in file.read(LIMIT).split(b"\n"):
            with contextlib.suppress(StrictJSONError):
                sample = strict_json.parse(line)
                if isinstance(sample, dict):
                    samples.append(sample)
    return samples


def _file(job: Path) -> JobFile:
    return evaluation_file(job, "samples.jsonl")


def _drop_after(job: Path, step: int) -> None:
    samples = samples_in(job)
    remaining = [
        sample for sample in samples if step and isinstance(at := sample.get("step"), int) and at <= step
    ]
    if remaining != samples:
        _file(job).write(
            "".join(json.dumps(sample, ensure_ascii=False) + "\n" for sample in remaining).encode()
        )
