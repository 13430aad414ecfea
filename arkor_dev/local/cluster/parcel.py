"""What of a job travels to a node: its data, its model, what it goes on from. Each file goes by its hash."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.settings.own_sets import FIELD
from arkor_dev.data.sources import SourceError, inside, parts_of, resolved
from arkor_dev.local.checkpoints.origin import MODEL_FILES
from arkor_dev.local.jobs.job_folder import CHECKPOINTS, EVALUATION, PARENT, RESUME, job_folder
from arkor_dev.local.jobs.whole_folder import PART
from arkor_dev.local.workers.errors import JobFailure

from .names import CHUNK
from .storage.driver_share import COPY_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from arkor_dev.local.checkpoints.origin import FileHashes

FORMATS: Final = "number-formats.json"
"""What was measured of processors: on one of the same kind the job computes as it would here."""
KEPT: Final = (CHECKPOINTS, RESUME, EVALUATION)


@dataclass
class Parcel:
    """Files of this machine by the names that they have in the job's folder on a node, and links there."""

    files: dict[str, Path] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Sender:
    """Brings parcels to ``node``, which is asked by ``call``; ``progress`` is told how far that has come."""

    call: Callable[..., bytes]
    node: str
    hashes: FileHashes
    progress: Callable[[str, float, float | None, str], None]

    def send(self, found: Parcel, what: str) -> None:
        """Bring the files to the node that it does not have, and put all of them where the job finds them."""
        names = {name: self.hashes.of(path) for name, path in found.files.items()}
        self.hashes.keep()
        paths = {sha256: found.files[name] for name, sha256 in names.items()}
        try:
            known = {sha256: paths[sha256].stat().st_size for sha256 in sorted(paths)}
            lacking = json.loads(self.call("lacks", known, seconds=COPY_SECONDS))
            sizes = {sha256: known[sha256] for sha256 in lacking}
            done, total = 0, sum(sizes.values())
            for sha256, size in sizes.items():
                with paths[sha256].open("rb") as file:
                    offset = 0
                    while offset < size or not offset:
                        piece = file.read(CHUNK)
                        self.call("put", sha256, offset, piece, size)
                        offset, done = offset + len(piece), done + len(piece)
                        self.progress(f"Sending {what} to {self.node}", done, total, "B")
                        if not piece:
                            break
            self.call("lay", names, found.links)
        except OSError as fault:
            raise JobFailure(f"{what} could not be brought to the node {self.node}: {fault}") from None


def of_job(job: Mapping[str, Any]) -> Parcel:
    """What a ``job``, ``{id, config, data, project, resume}``, needs before its model.

    Raises JobFailure for data that are not there, or cannot travel.
    """
    parcel, project, data = Parcel(), Path(job["project"]), Path(job["data"])
    config = job["config"]
    for name in ("datasetSource", "evalDatasetSource"):
        for part in parts_of(config[name]) if config.get(name) else ():
            if part["type"] == "file":
                _add_data(parcel, project, part["path"])
    for each in config.get(FIELD) or ():
        if ":" in each.get("metric", ""):
            raise JobFailure(
                f"The evaluation set {each['name']} is scored by {each['metric']}, code of this project, "
                "which does not travel to a cluster: choose another metric, or train on this machine"
            )
        _add_data(parcel, project, each["path"])
    if (data / FORMATS).is_file():
        parcel.files[f"data/{FORMATS}"] = data / FORMATS
    home = job_folder(data, job["id"])
    for folder in (PARENT, *(KEPT if job.get("resume") else ())):
        for path in _regular(home / folder):
            parcel.files[f"data/jobs/{job['id']}/{path.relative_to(home).as_posix()}"] = path
    return parcel


def of_model(model: Mapping[str, Any], project: Path) -> tuple[Parcel, str]:
    """A ``model``, ``{name, path, note}``, and the name of its folder on the node."""
    folder, root = Path(model["path"]), project.resolve()
    known = folder.is_relative_to(root) and folder != root
    name = f"project/{folder.relative_to(root).as_posix()}" if known else "model"
    paths = [path for path in sorted(folder.iterdir()) if path.suffix in MODEL_FILES and path.is_file()]
    return Parcel({f"{name}/{path.name}": path for path in paths}), name


def threads_of(config: Mapping[str, Any]) -> int | None:
    """With how many threads a job computes there: its processors, else as here; None for all."""
    if cpus := config.get("cpus"):
        return max(1, int(cpus))
    said = os.environ.get("OMP_NUM_THREADS", "")
    return int(said) if said.isascii() and said.isdecimal() and int(said) > 0 else None


def _add_data(parcel: Parcel, project: Path, written: str) -> None:
    root = project.resolve()
    try:
        place, paths = resolved(project, written), inside(project, written)
    except SourceError as fault:
        raise JobFailure(str(fault)) from None
    for path in paths:
        if not path.is_relative_to(place):
            raise JobFailure(f"{path.name} is a link in the folder {written}: put the file itself there")
        parcel.files[f"project/{path.relative_to(root).as_posix()}"] = path
    called = PurePosixPath(written)
    there = place.relative_to(root).as_posix()
    if not called.is_absolute() and ".." not in called.parts and called.as_posix() != there:
        parcel.links[f"project/{called.as_posix()}"] = f"project/{there}"


def _regular(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        unfinished = any(part.endswith(PART) for part in path.relative_to(folder).parts)
        if not unfinished and path.is_file() and not path.is_symlink():
            yield path
