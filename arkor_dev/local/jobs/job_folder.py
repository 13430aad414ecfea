"""The layout of a job's folder: only this module knows the paths of a job's files and opens them.

    <data>/jobs/<job>/
        job.json                      the job as listed (`record`)
        final/ · checkpoints/<step>/  adapters or models, each written atomically (`atomic_folder`)
        resume/<step>/                the state from which a paused or finished job resumes
        parent/                       the adapter that the job started from
        evaluation/                   results, the history of a run, answers to sample prompts
        votes.jsonl                   blind preferences
        attribution/                  answers traced to rows, and rows that contradict others
        forgotten.json                which rows it was trained without, and hashes of their passages
        certificate.json              the copies of those rows that were found elsewhere
        exports/<id>/ · <id>.json     exports for other programs
        reports/ · scratch/           files of reporters and of a run on this machine
        verdict.json                  how the job ended, while the database cannot store it

A folder may come from another machine in an archive. So files are opened by names that cannot leave the
folder, links are not followed, and reads are limited.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import stat
from typing import TYPE_CHECKING, Final, NamedTuple

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
    from io import BufferedReader
    from pathlib import Path

    from arkor_dev.contract.shapes import Artifact, Job


JOBS: Final = "jobs"
FINAL: Final = "final"
CHECKPOINTS: Final = "checkpoints"
RESUME: Final = "resume"
PARENT: Final = "parent"
EVALUATION: Final = "evaluation"
ATTRIBUTION: Final = "attribution"
EXPORTS: Final = "exports"
PROBE: Final = "probe"
"""A file written and removed immediately, to test that the folder is writable."""
SCRATCH: Final = ("forecast", "datasets")
"""Temporary folders in the data folder, of no use to a later process."""
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
"""Size limits of a job's files by name, in bytes."""
RESULT_LIMIT: Final = 8 << 20
"""Size limit of other evaluation and export files: Studio accepts no larger response from a backend."""
TEXT_LIMIT: Final = 256 << 20
"""Size limit of any file except weights: a vocabulary may take tens of MiB."""
IMPORTING: Final = ".import-"
"""Prefix of the folder into which an archive is read."""
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NEW_ID: Final = re.compile(r"job_[0-9a-f]{12}")
_STEP: Final = re.compile(r"0|[1-9][0-9]{0,17}")
_EXPORT_ID: Final = re.compile(r"exp_[0-9a-f]{12}")
_ATTRIBUTION_ID: Final = re.compile(r"why_[0-9a-f]{16}|rows")
_ENDINGS: Final = (".safetensors", ".json", ".jsonl", ".md", ".txt", ".jinja", ".model")
"""File name suffixes of a job's files: none of them is run as a program."""
STATE: Final = "state.pt"
"""The training state. Read as data (``checkpoints.state``), never executed."""


class JobFile(NamedTuple):
    """The file ``name`` in a job's folder or below it."""

    job: Path
    name: str

    @property
    def path(self) -> Path:
        """Its path, for messages and other programs; unlike `open` and `read`, not checked for links."""
        return self.job / self.name

    def open(self) -> BufferedReader:
        """Open it for reading bytes. Raises OSError, also for a link."""
        return open_inside(self.job, self.name)

    def read(self) -> bytes:
        """Return its content. Raises OSError, also for a link or a file above its limit."""
        return read_inside(self.job, self.name, limit_of(self.name) or TEXT_LIMIT)

    def read_json(self) -> object:
        """Parse it as JSON; return None if it is missing, too large or invalid."""
        try:
            return strict_json.parse(self.read())
        except (OSError, ValueError):
            return None

    def size(self) -> int:
        """Return its size in bytes, 0 if it is missing. Raises OSError, also for a link."""
        try:
            with self.open() as file:
                return os.fstat(file.fileno()).st_size
        except FileNotFoundError:
            return 0

    def write(self, content: bytes) -> None:
        """Replace its content atomically, flushed to disk. Raises OSError."""
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
        """Write ``value`` as JSON. Raises OSError."""
        self.write(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())

    def append(self, line: bytes, *, flush: bool) -> None:
        """Append a line in a single write, on a new line even after one torn by a crash.

        ``flush`` flushes it to disk. Raises OSError, also for a link; nothing is appended then.
        """
        with (
            folder_of(self.job, self.name, make=True) as (folder, last),
            os.fdopen(_created(last, os.O_APPEND, folder), "r+b", buffering=0) as file,
        ):
            size = os.fstat(file.fileno()).st_size
            torn = size > 0 and os.pread(file.fileno(), 1, size - 1) != b"\n"
            content = b"\n" * torn + line + b"\n"
            if file.write(content) != len(content):  # all that the disk had room for
                os.ftruncate(file.fileno(), size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
            if flush:
                os.fsync(file.fileno())

    def remove(self) -> None:
        """Remove it if it exists. Raises OSError."""
        with contextlib.suppress(FileNotFoundError), folder_of(self.job, self.name) as (folder, last):
            os.unlink(last, dir_fd=folder)


def _created(name: str, extra_flags: int, folder: int) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | extra_flags
    handle = os.open(name, flags, 0o600, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise NotRegularError(errno.EINVAL, "not a regular file", name)
    return handle


def belongs(name: str) -> bool:
    """Return whether ``name`` is a job file that may come from another machine.

    Exports, reports and certificates of deleted rows stay on the machine that made them: a certificate
    says what was found there, and the hashes beside it let others test guesses of the rows' text. Job
    folders contain no programs.
    """
    parts = name.split("/")
    if not is_safe_name(name) or any(part.endswith(PART) for part in parts):
        return False
    if len(parts) == 1:
        return name == VOTES
    if parts[0] in (CHECKPOINTS, RESUME):
        if len(parts) < 3 or not _is_step(parts[1]):
            return False
        if parts[2:] == [STATE]:
            return True
    elif parts[0] not in (FINAL, PARENT, EVALUATION) or len(parts) < 2:
        return False
    return name.endswith(_ENDINGS)


def limit_of(name: str) -> int | None:
    """Return the size limit of a job's file; None for weights, which only the disk limits."""
    folder, _, last = name.rpartition("/")
    if last.endswith((".safetensors", STATE)):
        return None
    result = folder.partition("/")[0] in (EVALUATION, EXPORTS)
    return LIMITS.get(last, RESULT_LIMIT if result else TEXT_LIMIT)


# Folders


def jobs_folder(data: Path) -> Path:
    return data / JOBS


def job_folder(data: Path, job_id: str) -> Path:
    """Return a job's folder, which need not exist. Raises NotFoundError for an invalid id."""
    if not _ID.fullmatch(job_id):
        raise NotFoundError(f"There is no job {job_id}")
    return jobs_folder(data) / job_id


def final_folder(data: Path, job_id: str) -> Path:
    """Return the folder of the final adapter or model."""
    return job_folder(data, job_id) / FINAL


def checkpoint_folder(data: Path, job_id: str, step: int) -> Path:
    return job_folder(data, job_id) / CHECKPOINTS / str(step)


def parent_folder(data: Path, job_id: str) -> Path:
    """Return the folder of the parent checkpoint, which exists if the job started from one."""
    return job_folder(data, job_id) / PARENT


def resume_folder(data: Path, job_id: str, step: int) -> Path:
    """Return the folder of the resume point written at a pause after ``step``, or at the end."""
    return job_folder(data, job_id) / RESUME / str(step)


def adapter_folder(data: Path, job_id: str, step: int | None) -> Path:
    """Return the folder of the checkpoint of ``step``, or of the result if it is None."""
    return final_folder(data, job_id) if step is None else checkpoint_folder(data, job_id, step)


def exports_folder(data: Path, job_id: str) -> Path:
    """Return the folder of all exports, which can be made again."""
    return job_folder(data, job_id) / EXPORTS


def export_folder(data: Path, job_id: str, export_id: str) -> Path:
    """Return the folder of an export's files. Raises NotFoundError for an invalid id."""
    _check_export(export_id)
    return exports_folder(data, job_id) / export_id


def scratch_folder(data: Path, job_id: str) -> Path:
    """Return the folder for a run's temporary files."""
    return job_folder(data, job_id) / "scratch"


def job_ids(data: Path) -> list[str]:
    """Return the ids of all jobs with a non-empty folder, whether or not they are in the list."""
    folder = jobs_folder(data)
    names = [entry for entry in folder.iterdir() if _NEW_ID.fullmatch(entry.name)] if folder.is_dir() else []
    return sorted(
        entry.name for entry in names if entry.is_dir() and not entry.is_symlink() and any(entry.iterdir())
    )


def checkpoint_steps(data: Path, job_id: str) -> list[int]:
    """Return the steps of a job's checkpoints, ascending."""
    return _steps_in(job_folder(data, job_id) / CHECKPOINTS)


def saved_folder(data: Path, job: Job, step: int | None) -> Path:
    """Return the folder of the checkpoint of ``step``, or of the final adapter. Raises ConflictError or
    NotFoundError.
    """
    steps = checkpoint_steps(data, job["id"])
    if step is None:
        folder = final_folder(data, job["id"])
        if not folder.is_dir():
            instead = f"; its checkpoints are at steps {', '.join(map(str, steps))}" if steps else ""
            raise ConflictError(f"The job {job['name']} has no final adapter{instead}")
        return folder
    if step not in steps:
        available = f"it has steps {', '.join(map(str, steps))}" if steps else "it has none"
        raise NotFoundError(f"The job {job['name']} has no checkpoint of step {step}; {available}")
    return checkpoint_folder(data, job["id"], step)


def resume_steps(data: Path, job_id: str) -> list[int]:
    """Return the steps with a resume point besides checkpoints, ascending."""
    return _steps_in(job_folder(data, job_id) / RESUME)


def _steps_in(folder: Path) -> list[int]:
    if not folder.is_dir():
        return []
    return sorted(int(entry.name) for entry in folder.iterdir() if _is_step(entry.name))


def _is_step(name: str) -> bool:
    return bool(_STEP.fullmatch(name))


# Files


RECORD: Final = "job.json"
VOTES: Final = "votes.jsonl"
VERDICT: Final = "verdict.json"
FORGOTTEN: Final = "forgotten.json"
CERTIFICATE: Final = "certificate.json"


def evaluation_file(job: Path, name: str) -> JobFile:
    """Return the evaluation file ``name`` of the job in the folder ``job``."""
    return JobFile(job, f"{EVALUATION}/{name}")


def attribution_file(job: Path, name: str) -> JobFile:
    """Return the file ``name`` of the attributions of the job in the folder ``job``."""
    return JobFile(job, f"{ATTRIBUTION}/{name}")


def verdict_file(data: Path, job_id: str) -> JobFile:
    """Return the file that keeps a job's end while the database cannot store it."""
    return JobFile(job_folder(data, job_id), VERDICT)


def record_file(data: Path, job_id: str) -> JobFile:
    """Return the job's record as last listed, from which the list can be rebuilt (`rebuild`)."""
    return JobFile(job_folder(data, job_id), RECORD)


def votes_file(job: Path) -> JobFile:
    return JobFile(job, VOTES)


def forgotten_file(job: Path) -> JobFile:
    """Return the file about the rows that the job in the folder ``job`` was trained without."""
    return JobFile(job, FORGOTTEN)


def certificate_file(job: Path) -> JobFile:
    """Return the file that lists the copies of those rows."""
    return JobFile(job, CERTIFICATE)


def report_file(data: Path, job_id: str, reporter: str) -> Path:
    """Return the file that records what was already sent to ``reporter``."""
    return job_folder(data, job_id) / "reports" / f"{reporter}.json"


def export_record(data: Path, job_id: str, export_id: str) -> JobFile:
    """Return the record of an export. Raises NotFoundError for an invalid id."""
    _check_export(export_id)
    return JobFile(job_folder(data, job_id), f"{EXPORTS}/{export_id}.json")


def export_file(data: Path, job_id: str, export_id: str, name: str) -> JobFile:
    """Return the file ``name`` of an export. Raises NotFoundError for a name that leads out of its folder."""
    _check_export(export_id)
    if not is_safe_name(name):
        raise NotFoundError(f"The export {export_id} has no such file")
    return JobFile(job_folder(data, job_id), f"{EXPORTS}/{export_id}/{name}")


def export_ids(data: Path, job_id: str) -> set[str]:
    """Return the ids of all exports with files, complete or not."""
    folder = exports_folder(data, job_id)
    names = [entry.name.partition(".")[0] for entry in folder.iterdir()] if folder.is_dir() else []
    return {name for name in names if _EXPORT_ID.fullmatch(name)}


def attribution_ids(data: Path, job_id: str) -> list[str]:
    """Return the ids of the job's attributions, in order."""
    folder = job_folder(data, job_id) / ATTRIBUTION
    names = [entry.name.removesuffix(".json") for entry in folder.iterdir()] if folder.is_dir() else []
    return sorted(name for name in names if _ATTRIBUTION_ID.fullmatch(name))


def remove_export(data: Path, job_id: str, export_id: str) -> None:
    """Remove an export, complete or not, and folders that become empty."""
    _check_export(export_id)
    folder = exports_folder(data, job_id)
    for path in folder.iterdir() if folder.is_dir() and not folder.is_symlink() else ():
        if path.name.partition(".")[0] == export_id:
            _remove(path)
    with contextlib.suppress(OSError):  # other exports remain
        folder.rmdir()
        folder.parent.rmdir()  # the job was deleted while its export was written


def _check_export(export_id: str) -> None:
    if not _EXPORT_ID.fullmatch(export_id):
        raise NotFoundError(f"The job has no export {export_id}")


# Creating and deleting


def drop_checkpoint(data: Path, job_id: str, step: int) -> None:
    """Remove a checkpoint in one step, so that no half of one is ever visible."""
    folder = checkpoint_folder(data, job_id, step)
    shutil.rmtree(folder.rename(folder.with_name(f"{step}{PART}")))


def sweep(data: Path, job_id: str) -> None:
    """Remove unfinished files of a job that ended while writing."""
    folder = job_folder(data, job_id)
    for prefix in ("", f"{CHECKPOINTS}/", f"{RESUME}/", f"{EVALUATION}/", "reports/"):
        for part in folder.glob(f"{prefix}*{PART}"):
            _remove(part)
    for name in ("scratch", PROBE):
        _remove(folder / name)


def sweep_data(data: Path) -> None:
    """Remove temporary files of killed processes; nothing else may use the folder meanwhile."""
    for part in (*data.glob(f"*{PART}"), *jobs_folder(data).glob(f"{IMPORTING}*")):
        _remove(part)
    for name in SCRATCH:
        _remove(data / name)


def _remove(path: Path) -> None:
    """Remove a file or a folder as far as possible."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        return
    with contextlib.suppress(OSError):
        path.unlink()


def kind_of(folder: Path) -> str:
    """Return the contract's kind of a folder: an adapter, or a fully fine-tuned model."""
    return "adapter" if (folder / "adapter_config.json").is_file() else "model"


def describe(kind: str, name: str, folder: Path, size: int, step: int | None = None) -> Artifact:
    """Return the contract's ``Artifact``; ``bytes`` is the size of the whole folder."""
    artifact: Artifact = {"kind": kind, "name": name, "bytes": size, "path": str(folder)}
    if step is not None:
        artifact["step"] = step
    return artifact
