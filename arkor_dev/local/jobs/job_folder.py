"""A job's folder: the one module that knows where the files of a job lie, and that opens them.

    <data>/jobs/<job>/
        job.json                      the job as the list has it (`record`)
        final/ · checkpoints/<step>/  adapters or whole models, each written whole (`atomic_folder`)
        resume/<step>/                what a paused or finished job goes on from: no adapter
        parent/                       the adapter that the job began with
        evaluation/                   results, the history of a run, answers to sample prompts
        votes.jsonl                   what people preferred
        exports/<id>/ · <id>.json     what was written for other programs
        reports/ · scratch/           of reporters and of a run on this machine
        verdict.json                  how the job ended, while the database does not take that

A folder may have come from another machine in an archive. So a file is opened by its name in the job's
folder, which leads nowhere else, no link is followed, and what is read has a limit.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import stat
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from arkor_dev.contract import strict_json
from arkor_dev.contract.errors import ConflictError, NotFoundError
from arkor_dev.contract.regular_files import (
    NotRegularError,
    folder_of,
    is_safe_name,
    open_inside,
    read_inside,
)

from .atomic_folder import PART

if TYPE_CHECKING:
    from collections.abc import Mapping
    from io import BufferedReader
    from pathlib import Path


JOBS: Final = "jobs"
FINAL: Final = "final"
CHECKPOINTS: Final = "checkpoints"
RESUME: Final = "resume"
PARENT: Final = "parent"
EVALUATION: Final = "evaluation"
EXPORTS: Final = "exports"
PROBE: Final = "probe"
"""A file that is written and removed at once, to see that it can be."""
SCRATCH: Final = ("forecast", "datasets")
"""Folders of the data folder in which nothing lies that a later process could use."""
LIMITS: Final = {
    "job.json": 2 << 20,
    "verdict.json": 1 << 20,
    "votes.jsonl": 4 << 20,
    "samples.jsonl": 64 << 20,
    "provenance.json": 8 << 20,
    "README.md": 1 << 20,
    "manifest.json": 1 << 20,
    "adapter_config.json": 1 << 20,
}
"""The most bytes of a job's files, by their own names."""
RESULT_LIMIT: Final = 8 << 20
"""Bytes of any other file of an evaluation or an export: Studio takes no longer answer of a backend."""
TEXT_LIMIT: Final = 256 << 20
"""Bytes of any file beside weights: a vocabulary may be tens of MiB."""
IMPORTING: Final = ".import-"
"""What the name of a folder begins with in which an archive is read."""
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NEW_ID: Final = re.compile(r"job_[0-9a-f]{12}")
_EXPORT_ID: Final = re.compile(r"exp_[0-9a-f]{12}")
_ENDINGS: Final = (".safetensors", ".json", ".jsonl", ".md", ".txt", ".jinja", ".model")
"""What a job's files end in: none of these is run as a program."""
STATE: Final = "state.pt"
"""The state of a training. It is read as data (``checkpoints.state``), never as a program."""


class JobFile(NamedTuple):
    """The file ``name`` in the folder of a job, or in one below it."""

    job: Path
    name: str

    @property
    def path(self) -> Path:
        """Where it lies, for messages and for other programs; `open` and `read` look for links."""
        return self.job / self.name

    def open(self) -> BufferedReader:
        """Open it for reading bytes; raises OSError, also for a link."""
        return open_inside(self.job, self.name)

    def read(self) -> bytes:
        """Return its content; raises OSError, also for a link or a file past its limit."""
        return read_inside(self.job, self.name, limit_of(self.name) or TEXT_LIMIT)

    def read_json(self) -> Any:
        """Return the value that it holds; None where it is missing, too large or not JSON."""
        try:
            return strict_json.parse(self.read())
        except (OSError, ValueError):
            return None

    def size(self) -> int:
        """Return its bytes, 0 where it is missing; raises OSError, also for a link."""
        try:
            with self.open() as file:
                return os.fstat(file.fileno()).st_size
        except FileNotFoundError:
            return 0

    def write(self, content: bytes) -> None:
        """Put ``content`` there, whole or not at all, flushed to the disk; raises OSError."""
        with folder_of(self.job, self.name, make=True) as (folder, last):
            part = f"{last}{PART}"
            with contextlib.suppress(FileNotFoundError):
                os.unlink(part, dir_fd=folder)
            try:
                with os.fdopen(_created(part, os.O_EXCL, folder), "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(part, last, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(part, dir_fd=folder)
                raise

    def write_json(self, value: object) -> None:
        """Put ``value`` there as JSON; raises OSError."""
        self.write(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())

    def append(self, line: bytes, *, flush: bool) -> None:
        """Add a line by one write, on a line of its own also behind one that a crash has torn.

        With ``flush`` it is on the disk then. Raises OSError, also for a link.
        """
        with (
            folder_of(self.job, self.name, make=True) as (folder, last),
            os.fdopen(_created(last, os.O_APPEND, folder), "r+b", buffering=0) as file,
        ):
            size = os.fstat(file.fileno()).st_size
            torn = size > 0 and os.pread(file.fileno(), 1, size - 1) != b"\n"
            file.write(b"\n" * torn + line + b"\n")
            if flush:
                os.fsync(file.fileno())

    def remove(self) -> None:
        """Remove it where it is there; raises OSError."""
        with contextlib.suppress(FileNotFoundError), folder_of(self.job, self.name) as (folder, last):
            os.unlink(last, dir_fd=folder)


def _created(name: str, how: int, folder: int) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | how
    handle = os.open(name, flags, 0o600, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise NotRegularError(errno.EINVAL, "not a regular file", name)
    return handle


def belongs(name: str) -> bool:
    """Whether a job has a file of this name that may come from another machine.

    Exports and reports are of the machine that made them, and no program is among the files of a job.
    """
    parts = name.split("/")
    if not is_safe_name(name) or any(part.endswith(PART) for part in parts):
        return False
    if parts == [VOTES]:
        return True
    if parts[0] in (CHECKPOINTS, RESUME):
        if len(parts) < 3 or not _is_step(parts[1]):
            return False
        if parts[2:] == [STATE]:
            return True
    elif parts[0] not in (FINAL, PARENT, EVALUATION) or len(parts) < 2:
        return False
    return name.endswith(_ENDINGS)


def limit_of(name: str) -> int | None:
    """The most bytes that a job's file of this name has; None for weights, which the disk bounds."""
    folder, _, last = name.rpartition("/")
    if last.endswith((".safetensors", STATE)):
        return None
    result = folder.partition("/")[0] in (EVALUATION, EXPORTS)
    return LIMITS.get(last, RESULT_LIMIT if result else TEXT_LIMIT)


# Folders


def jobs_folder(data: Path) -> Path:
    """The folder of all jobs' folders."""
    return data / JOBS


def job_folder(data: Path, job_id: str) -> Path:
    """The folder of a job, which need not be there; raises NotFoundError for what cannot be an id."""
    if not _ID.fullmatch(job_id):
        raise NotFoundError(f"There is no job {job_id}")
    return jobs_folder(data) / job_id


def final_folder(data: Path, job_id: str) -> Path:
    """The adapter or model that a job came to."""
    return job_folder(data, job_id) / FINAL


def checkpoint_folder(data: Path, job_id: str, step: int) -> Path:
    """The checkpoint of ``step``."""
    return job_folder(data, job_id) / CHECKPOINTS / str(step)


def parent_folder(data: Path, job_id: str) -> Path:
    """What a job begins with, where that is another one's checkpoint."""
    return job_folder(data, job_id) / PARENT


def resume_folder(data: Path, job_id: str, step: int) -> Path:
    """What was kept at a pause after ``step``, or at the end."""
    return job_folder(data, job_id) / RESUME / str(step)


def adapter_folder(data: Path, job_id: str, step: int | None) -> Path:
    """The checkpoint of ``step``, or what the job came to where that is None."""
    return final_folder(data, job_id) if step is None else checkpoint_folder(data, job_id, step)


def exports_folder(data: Path, job_id: str) -> Path:
    """What was written for other programs, which can be written again."""
    return job_folder(data, job_id) / EXPORTS


def export_folder(data: Path, job_id: str, export_id: str) -> Path:
    """The files of one export; raises NotFoundError for what cannot be an id."""
    _check_export(export_id)
    return exports_folder(data, job_id) / export_id


def scratch_folder(data: Path, job_id: str) -> Path:
    """Where a run puts what nobody needs after it."""
    return job_folder(data, job_id) / "scratch"


def job_ids(data: Path) -> list[str]:
    """The ids of all jobs that have a folder with something in it, whether the list has them or not."""
    folder = jobs_folder(data)
    found = [entry for entry in folder.iterdir() if _NEW_ID.fullmatch(entry.name)] if folder.is_dir() else []
    return sorted(
        entry.name for entry in found if entry.is_dir() and not entry.is_symlink() and any(entry.iterdir())
    )


def checkpoint_steps(data: Path, job_id: str) -> list[int]:
    """The steps of every checkpoint of a job, ascending."""
    return _steps_in(job_folder(data, job_id) / CHECKPOINTS)


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
    return _steps_in(job_folder(data, job_id) / RESUME)


def _steps_in(folder: Path) -> list[int]:
    if not folder.is_dir():
        return []
    return sorted(int(entry.name) for entry in folder.iterdir() if _is_step(entry.name))


def _is_step(name: str) -> bool:
    return name.isascii() and name.isdigit() and len(name) < 19


# Files


RECORD: Final = "job.json"
VOTES: Final = "votes.jsonl"
VERDICT: Final = "verdict.json"


def evaluation_file(job: Path, name: str) -> JobFile:
    """The file ``name`` of what was measured of the job in the folder ``job``."""
    return JobFile(job, f"{EVALUATION}/{name}")


def verdict_file(data: Path, job_id: str) -> JobFile:
    """How a job ended, while the database does not take that."""
    return JobFile(job_folder(data, job_id), VERDICT)


def record_file(data: Path, job_id: str) -> JobFile:
    """The job as the list had it last: the list can be rebuilt from it (`rebuild`)."""
    return JobFile(job_folder(data, job_id), RECORD)


def votes_file(job: Path) -> JobFile:
    """What people preferred of two answers, in the folder ``job``."""
    return JobFile(job, VOTES)


def report_file(data: Path, job_id: str, reporter: str) -> Path:
    """How far a job was reported to ``reporter``."""
    return job_folder(data, job_id) / "reports" / f"{reporter}.json"


def export_record(data: Path, job_id: str, export_id: str) -> JobFile:
    """What is told of one export; raises NotFoundError for what cannot be an id."""
    _check_export(export_id)
    return JobFile(job_folder(data, job_id), f"{EXPORTS}/{export_id}.json")


def export_file(data: Path, job_id: str, export_id: str, name: str) -> JobFile:
    """The file ``name`` of one export; raises NotFoundError for a name that is not a plain one."""
    _check_export(export_id)
    if not is_safe_name(name) or "/" in name:
        raise NotFoundError(f"The export {export_id} has no such file")
    return JobFile(job_folder(data, job_id), f"{EXPORTS}/{export_id}/{name}")


def export_ids(data: Path, job_id: str) -> set[str]:
    """The ids of all exports of which something lies there, whole or not."""
    folder = exports_folder(data, job_id)
    names = [entry.name.partition(".")[0] for entry in folder.iterdir()] if folder.is_dir() else []
    return {name for name in names if _EXPORT_ID.fullmatch(name)}


def remove_export(data: Path, job_id: str, export_id: str) -> None:
    """Remove all of one export, whole or not, and folders in which nothing is left by that."""
    _check_export(export_id)
    folder = exports_folder(data, job_id)
    for path in folder.iterdir() if folder.is_dir() and not folder.is_symlink() else ():
        if path.name.partition(".")[0] == export_id:
            _remove(path)
    with contextlib.suppress(OSError):  # there are others
        folder.rmdir()
        folder.parent.rmdir()  # of a job that was deleted while its export was written


def _check_export(export_id: str) -> None:
    if not _EXPORT_ID.fullmatch(export_id):
        raise NotFoundError(f"The job has no export {export_id}")


# What comes and goes


def drop_checkpoint(data: Path, job_id: str, step: int) -> None:
    """Remove a checkpoint, which is there whole up to that moment and then not at all."""
    folder = checkpoint_folder(data, job_id, step)
    shutil.rmtree(folder.rename(folder.with_name(f"{step}{PART}")))


def sweep(data: Path, job_id: str) -> None:
    """Remove what a job that ended in the middle of writing left unfinished."""
    folder = job_folder(data, job_id)
    for place in ("", f"{CHECKPOINTS}/", f"{RESUME}/", f"{EVALUATION}/", "reports/"):
        for part in folder.glob(f"{place}*{PART}"):
            _remove(part)
    for name in ("scratch", PROBE):
        _remove(folder / name)


def sweep_data(data: Path) -> None:
    """Remove what a process that was killed has left beside the jobs; nothing else uses the folder now."""
    for part in (*data.glob(f"*{PART}"), *jobs_folder(data).glob(f"{IMPORTING}*")):
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


def kind_of(folder: Path) -> str:
    """The contract's word for what a folder holds: an adapter, or a model that was trained whole."""
    return "adapter" if (folder / "adapter_config.json").is_file() else "model"


def describe(kind: str, name: str, folder: Path, size: int, step: int | None = None) -> dict[str, Any]:
    """The contract's ``Artifact``; ``bytes`` is the whole folder's size."""
    artifact: dict[str, Any] = {"kind": kind, "name": name, "bytes": size, "path": str(folder)}
    if step is not None:
        artifact["step"] = step
    return artifact
