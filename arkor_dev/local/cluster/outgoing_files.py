"""Sends a job's files to a node: data, model and resume points. Each is sent only once, by hash."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.settings.own_sets import FIELD, RUBRIC
from arkor_dev.contract.settings.reward import ENVIRONMENT
from arkor_dev.data.reviews import FILE as REVIEWS
from arkor_dev.data.sources import SourceError, inside, parts_of, resolved, sources_of
from arkor_dev.local.checkpoints.origin import MODEL_FILES
from arkor_dev.local.jobs.atomic_folder import PART
from arkor_dev.local.jobs.job_folder import CHECKPOINTS, EVALUATION, PARENT, RESUME, job_folder
from arkor_dev.local.workers.errors import JobFailure

from .driver_storage import COPY_SECONDS
from .protocol import CHUNK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from arkor_dev.local.checkpoints.origin import FileHashes
    from arkor_dev.local.execution.messages import JobRequest

FORMATS: Final = "number-formats.json"
"""Stored benchmarks of processors: on a known type the job uses the same dtype as on this machine."""
RESUME_FOLDERS: Final = (CHECKPOINTS, RESUME, EVALUATION)


@dataclass
class FileSet:
    """Local files by their names in the job's folder on a node, and symbolic links in that folder."""

    files: dict[str, Path] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Sender:
    """Sends files to ``node`` through ``call``, and reports progress, in bytes, to ``progress``."""

    call: Callable[..., bytes]
    node: str
    hashes: FileHashes
    progress: Callable[[str, float, float | None, str], None]

    def send(self, file_set: FileSet, subject: str) -> None:
        """Send the files that the node lacks, then place all of them in the job's folder.

        Raises JobFailure, whose message calls the files ``subject``.
        """
        names = {name: self.hashes.of(path) for name, path in file_set.files.items()}
        self.hashes.save()
        paths = {sha256: file_set.files[name] for name, sha256 in names.items()}
        try:
            sizes = {sha256: paths[sha256].stat().st_size for sha256 in sorted(paths)}
            missing = json.loads(self.call("missing_files", sizes, seconds=COPY_SECONDS))
            done, total = 0, sum(sizes[sha256] for sha256 in missing)
            for sha256 in missing:
                size, offset = sizes[sha256], 0
                with paths[sha256].open("rb") as file:
                    while offset < size or not offset:  # an empty file is sent as one empty chunk
                        chunk = file.read(CHUNK)
                        self.call("put", sha256, offset, chunk, size)
                        offset, done = offset + len(chunk), done + len(chunk)
                        self.progress(f"Sending {subject} to {self.node}", done, total, "B")
                        if not chunk:
                            break
            self.call("place_files", names, file_set.links)
        except OSError as fault:
            raise JobFailure(f"Couldn't send {subject} to the node {self.node}: {fault}") from None


def job_files(job: JobRequest) -> FileSet:
    """Return the files that a ``job`` needs besides its model.

    Raises JobFailure for data that is missing or must not leave this machine.
    """
    file_set, project, data = FileSet(), Path(job.project), Path(job.data)
    config = job.config
    for _, source in sources_of(config):
        for part in parts_of(source):
            if part["type"] == "file":
                _add_data(file_set, project, part["path"])
            if part.get("reviewed"):
                _add_data(file_set, project, REVIEWS)
    if environment := config.get(ENVIRONMENT):
        raise JobFailure(
            f"The environment {environment} is code of this project, which is not sent to a cluster: train "
            "on this machine"
        )
    for evaluation_set in config.get(FIELD) or ():
        if ":" in (metric := evaluation_set.get("metric", "")):
            raise JobFailure(
                f"The evaluation set {evaluation_set['name']} is scored by {metric}, code of this project, "
                "which is not sent to a cluster: choose another metric, or train on this machine"
            )
        if metric == RUBRIC:
            raise JobFailure(
                f"The evaluation set {evaluation_set['name']} is scored by a judge, whose key and budget "
                "stay on this machine: choose another metric, or train on this machine"
            )
        _add_data(file_set, project, evaluation_set["path"])
    if (data / FORMATS).is_file():
        file_set.files[f"data/{FORMATS}"] = data / FORMATS
    home = job_folder(data, job.id)
    for folder in (PARENT, *(RESUME_FOLDERS if job.resume else ())):
        for path in _regular_files(home / folder):
            file_set.files[f"data/jobs/{job.id}/{path.relative_to(home).as_posix()}"] = path
    return file_set


def model_files(folder: Path, project: Path, name: str) -> tuple[FileSet, str]:
    """Return the files of the model or adapter in ``folder``, and its folder's name on the node.

    That is ``name``, unless the folder is in the project.
    """
    root = project.resolve()
    is_in_project = folder.is_relative_to(root) and folder != root
    name = f"project/{folder.relative_to(root).as_posix()}" if is_in_project else name
    paths = [path for path in sorted(folder.iterdir()) if path.suffix in MODEL_FILES and path.is_file()]
    return FileSet({f"{name}/{path.name}": path for path in paths}), name


def thread_count(config: Mapping[str, object]) -> int | None:
    """Return the job's number of threads on the node: its ``cpus``, else as on this machine; None for all."""
    if isinstance(cpus := config.get("cpus"), int | float) and cpus:
        return max(1, int(cpus))
    value = os.environ.get("OMP_NUM_THREADS", "")
    return int(value) if value.isascii() and value.isdecimal() and int(value) > 0 else None


def _add_data(file_set: FileSet, project: Path, written: str) -> None:
    """Add the files at a data path of the config, and a link if the path is one."""
    root = project.resolve()
    try:
        target, paths = resolved(project, written), inside(project, written)
    except SourceError as fault:
        raise JobFailure(str(fault)) from None
    for path in paths:
        if not path.is_relative_to(target):
            raise JobFailure(f"{path.name} is a link in the folder {written}: put the file itself there")
        file_set.files[f"project/{path.relative_to(root).as_posix()}"] = path
    link = PurePosixPath(written)
    name = target.relative_to(root).as_posix()
    if not link.is_absolute() and ".." not in link.parts and link.as_posix() != name:
        file_set.links[f"project/{link.as_posix()}"] = f"project/{name}"


def _regular_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        is_partial = any(part.endswith(PART) for part in path.relative_to(folder).parts)
        if not is_partial and path.is_file() and not path.is_symlink():
            yield path
