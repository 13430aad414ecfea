"""What a job leaves behind: adapters or whole models, each in a folder that is all there or not at all.

``<data>/jobs/<job>/checkpoints/<step>/`` and ``<data>/jobs/<job>/final/``, and in ``resume/<step>/`` what a
job that was paused or is over goes on from, which is no adapter. Each is written whole (``whole_folder``). A
verdict that the data base does not take for the moment waits beside them, so that the end of the process
cannot lose it.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.errors import ConflictError, NotFoundError
from arkor_dev.contract.shapes import TERMINAL

from .store import Verdict
from .whole_folder import PART

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

VERDICT: Final = "verdict.json"
PROBE: Final = "probe"
"""A file that is written and taken away at once, to see that it can be."""
SCRATCH: Final = ("forecast", "datasets")
"""Folders of the data folder in which nothing lies that a later process could use."""


def job_folder(data: Path, job_id: str) -> Path:
    return data / "jobs" / job_id


def final_folder(data: Path, job_id: str) -> Path:
    return job_folder(data, job_id) / "final"


def checkpoint_folder(data: Path, job_id: str, step: int) -> Path:
    return job_folder(data, job_id) / "checkpoints" / str(step)


def parent_folder(data: Path, job_id: str) -> Path:
    """What a job begins with, where that is another one's checkpoint."""
    return job_folder(data, job_id) / "parent"


def resume_folder(data: Path, job_id: str, step: int) -> Path:
    return job_folder(data, job_id) / "resume" / str(step)


def exports_folder(data: Path, job_id: str) -> Path:
    """What was written for other programs, which can be written again."""
    return job_folder(data, job_id) / "exports"


def checkpoint_steps(data: Path, job_id: str) -> list[int]:
    """The steps of every checkpoint of a job, ascending."""
    return _steps_in(job_folder(data, job_id) / "checkpoints")


def saved_folder(data: Path, job: Mapping[str, Any], step: int | None) -> Path:
    """Where a job's checkpoint of ``step`` lies, or its final adapter; ConflictError or NotFoundError."""
    steps = checkpoint_steps(data, job["id"])
    if step is None:
        folder = final_folder(data, job["id"])
        if not folder.is_dir():
            instead = f"; its checkpoints are at steps {', '.join(map(str, steps))}" if steps else ""
            raise ConflictError(f"The job {job['name']} has no final adapter{instead}")
        return folder
    if step not in steps:
        there = f"it has steps {', '.join(map(str, steps))}" if steps else "it has none"
        raise NotFoundError(f"The job {job['name']} has no checkpoint of step {step}; {there}")
    return checkpoint_folder(data, job["id"], step)


def resume_steps(data: Path, job_id: str) -> list[int]:
    """The steps after which a job can go on without a checkpoint of theirs, ascending."""
    return _steps_in(job_folder(data, job_id) / "resume")


def _steps_in(folder: Path) -> list[int]:
    if not folder.is_dir():
        return []
    names = (entry.name for entry in folder.iterdir())
    return sorted(int(name) for name in names if name.isascii() and name.isdigit() and len(name) < 19)


def drop_checkpoint(data: Path, job_id: str, step: int) -> None:
    """Remove a checkpoint, which is there whole up to that moment and then not at all."""
    folder = checkpoint_folder(data, job_id, step)
    shutil.rmtree(folder.rename(folder.with_name(f"{step}{PART}")))


def sweep(data: Path, job_id: str) -> None:
    """Remove what a job that ended in the middle of writing left unfinished."""
    folder = job_folder(data, job_id)
    for place in ("", "checkpoints/", "resume/", "evaluation/", "reports/"):
        for part in folder.glob(f"{place}*{PART}"):
            _remove(part)
    for name in ("scratch", PROBE):
        _remove(folder / name)


def sweep_data(data: Path) -> None:
    """Remove what a process that was killed has left beside the jobs; nothing else uses the folder now."""
    for part in data.glob(f"*{PART}"):
        _remove(part)
    for name in SCRATCH:
        _remove(data / name)


def _remove(path: Path) -> None:
    """Take a file or a folder away, as far as that can be."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        return
    with contextlib.suppress(OSError):
        path.unlink()


def keep_verdict(data: Path, job_id: str, verdict: Verdict) -> None:
    """Write a job's verdict into its folder; does nothing when the disk is full there too."""
    folder = job_folder(data, job_id)
    part = folder / f"{VERDICT}{PART}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps([verdict.status, verdict.fields]))
        part.replace(folder / VERDICT)
    except OSError:
        part.unlink(missing_ok=True)


def kept_verdict(data: Path, job_id: str) -> Verdict | None:
    """How a job ended whose end the data base does not know, where that was kept."""
    try:
        status, fields = json.loads((job_folder(data, job_id) / VERDICT).read_text())
        if status in TERMINAL and isinstance(fields, dict):
            return Verdict(status, fields)
    except (OSError, ValueError, TypeError):
        pass
    return None


def drop_verdict(data: Path, job_id: str) -> None:
    """Forget the kept verdict: the data base has it, or there is no folder that could have one."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        (job_folder(data, job_id) / VERDICT).unlink()


def kind_of(folder: Path) -> str:
    """The contract's word for what a folder holds: an adapter, or a model that was trained whole."""
    return "adapter" if (folder / "adapter_config.json").is_file() else "model"


def describe(kind: str, name: str, folder: Path, size: int, step: int | None = None) -> dict[str, Any]:
    """The contract's ``Artifact``; ``bytes`` is the whole folder's size."""
    artifact: dict[str, Any] = {"kind": kind, "name": name, "bytes": size, "path": str(folder)}
    if step is not None:
        artifact["step"] = step
    return artifact
