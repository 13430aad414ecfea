"""What a job leaves behind: adapters or whole models, each in a folder that is all there or not at all.

A folder is written beside its place and renamed into it, so that a crash in the middle never shows half a
checkpoint. ``<data>/jobs/<job>/checkpoints/<step>/`` and ``<data>/jobs/<job>/final/``. A verdict that the
data base does not take for the moment waits beside them, so that the end of the process cannot lose it.
"""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.shapes import TERMINAL

from .store import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PART: Final = ".part"
OPTIMIZER: Final = "optimizer.pt"
VERDICT: Final = "verdict.json"


def job_folder(data: Path, job_id: str) -> Path:
    return data / "jobs" / job_id


def final_folder(data: Path, job_id: str) -> Path:
    return job_folder(data, job_id) / "final"


def checkpoint_folder(data: Path, job_id: str, step: int) -> Path:
    return job_folder(data, job_id) / "checkpoints" / str(step)


def checkpoint_steps(data: Path, job_id: str) -> list[int]:
    """The steps of every whole checkpoint of a job, ascending."""
    folder = job_folder(data, job_id) / "checkpoints"
    if not folder.is_dir():
        return []
    return sorted(int(entry.name) for entry in folder.iterdir() if entry.name.isdigit())


def drop_checkpoint(data: Path, job_id: str, step: int) -> None:
    """Remove a checkpoint, which is there whole up to that moment and then not at all."""
    folder = checkpoint_folder(data, job_id, step)
    shutil.rmtree(folder.rename(folder.with_name(f"{step}{PART}")))


def write_whole(target: Path, write: Callable[[Path], None]) -> int:
    """Let ``write`` fill a folder, then put it at ``target`` in one step; its size in bytes.

    The files are flushed to the disk first: a rename that survives a power cut must not name empty files.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.parent / f"{target.name}{PART}"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    write(part)
    size = 0
    for path in part.rglob("*"):
        if path.is_file():
            size += path.stat().st_size
            with path.open("rb") as file:
                os.fsync(file.fileno())
    if target.exists():
        shutil.rmtree(target)
    part.rename(target)
    return size


def sweep(data: Path, job_id: str) -> None:
    """Remove what a job that ended in the middle of writing left unfinished."""
    folder = job_folder(data, job_id)
    for part in [*folder.glob(f"*{PART}"), *folder.glob(f"checkpoints/*{PART}")]:
        shutil.rmtree(part, ignore_errors=True)
    shutil.rmtree(folder / "scratch", ignore_errors=True)


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
    """How a job ended whose end the data base does not know: as was kept, or as its adapter shows."""
    try:
        status, fields = json.loads((job_folder(data, job_id) / VERDICT).read_text())
        if status in TERMINAL and isinstance(fields, dict):
            return Verdict(status, fields)
    except (OSError, ValueError, TypeError):
        pass
    final = final_folder(data, job_id)
    if final.is_dir():  # it is written last, and whole
        size = sum(path.stat().st_size for path in final.iterdir())
        return Verdict("completed", {"artifacts": [describe(kind_of(final), "final", final, size)]})
    return None


def drop_verdict(data: Path, job_id: str) -> None:
    """Forget the kept verdict: the data base has it."""
    (job_folder(data, job_id) / VERDICT).unlink(missing_ok=True)


def kind_of(folder: Path) -> str:
    """The contract's word for what a folder holds: an adapter, or a model that was trained whole."""
    return "adapter" if (folder / "adapter_config.json").is_file() else "model"


def describe(kind: str, name: str, folder: Path, size: int, step: int | None = None) -> dict[str, Any]:
    """The contract's ``Artifact``; ``bytes`` is the whole folder's size."""
    artifact: dict[str, Any] = {"kind": kind, "name": name, "bytes": size, "path": str(folder)}
    if step is not None:
        artifact["step"] = step
    return artifact
