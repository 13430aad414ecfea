"""Records the inputs that a run's bit-exactness depends on (data, model, versions, processor, threads).

Each file is hashed once: the hash is cached by path, size, inode and times in the data folder. Uses only the
standard library, so that the backend can check before a worker starts.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import sys
from array import array
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from arkor_dev import __version__
from arkor_dev.contract.provenance.statement import BASE, BESIDE, StatementError, internal, read_statement
from arkor_dev.data.reviews import FILE, content_of
from arkor_dev.data.sources import SourceError, files_of, parts_of, sources_of
from arkor_dev.local.jobs.atomic_folder import RunOrigin
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from arkor_dev.contract.events import RunMetadata

PACKAGES: Final = ("torch", "transformers", "peft")
DATA_CHANGED: Final = "the files of its data set have changed"
MODEL_FILES: Final = (".safetensors", ".json", ".model", ".txt", ".jinja", ".jsonl")
"""Suffixes of the files in a model folder that are hashed."""
CACHE_FILE: Final = "file-hashes.json"
CACHE_LIMIT: Final = 2000


class EncodedSequence(Protocol):
    """Tokens that training reads in one pass: ids, labels, and what some methods add."""

    @property
    def ids(self) -> Sequence[int]:
        """Token ids."""

    @property
    def labels(self) -> Sequence[int]:
        """The ids to learn; of the same length."""

    @property
    def classes(self) -> Sequence[int] | None:
        """Numbers of a classifier's labels."""

    @property
    def weights(self) -> Sequence[float] | None:
        """Weights of the tokens' losses."""


class EncodedRow(Protocol):
    """An encoded row of any method."""

    @property
    def desirable(self) -> bool:
        """The rating of its answer."""

    @property
    def score(self) -> float | None:
        """The similarity of two texts."""

    @property
    def sequences(self) -> Sequence[EncodedSequence]:
        """The row's own tokens, and those of further answers."""


class FileHashes:
    """SHA-256 of files, each computed once and cached in the file ``CACHE_FILE`` of the data folder."""

    def __init__(self, data: Path) -> None:
        self._path = data / CACHE_FILE
        self._entries: dict[str, list[object]] = {}
        with contextlib.suppress(OSError, ValueError):
            stored = json.loads(self._path.read_text())
            if isinstance(stored, dict):
                self._entries = {name: entry for name, entry in stored.items() if isinstance(entry, list)}
        self._changed = False

    def of(self, path: Path) -> str:
        """Return the hash of a file's content. Raises OSError."""
        key = str(path)
        with path.open("rb") as file:
            stat = os.fstat(file.fileno())
            facts = [stat.st_size, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns]
            entry = self._entries.get(key, [])
            if entry[:-1] == facts and isinstance(entry[-1], str):
                return entry[-1]
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        self._entries.pop(key, None)
        self._entries[key] = [*facts, digest]
        self._changed = True
        return digest

    def save(self) -> None:
        """Save new hashes; on a full disk, they are computed again next time."""
        if not self._changed:
            return
        newest = dict(list(self._entries.items())[-CACHE_LIMIT:])
        part = self._path.with_name(f"{CACHE_FILE}.{os.getpid()}.part")
        try:
            part.write_text(json.dumps(newest))
            part.replace(self._path)
        except OSError:
            part.unlink(missing_ok=True)


def model_files(folder: Path) -> list[Path]:
    """Return the files of a model's folder that determine how it computes, by name. Raises OSError."""
    return sorted(path for path in folder.iterdir() if path.suffix in MODEL_FILES and path.is_file())


def hash_of_model(folder: Path, hashes: FileHashes) -> str:
    """Return one hash of all files of a model, or of an adapter, without those about them. Raises OSError."""
    files = sorted(path for path in model_files(folder) if path.name not in BESIDE)
    return _combined_hash((path.name, hashes.of(path)) for path in files)


def check_trained_on(name: str, adapter: Path, base: Path, four_bit: bool, hashes: FileHashes) -> None:
    """Raise JobFailure if the ``adapter`` of the job ``name`` was trained on other weights than those in
    ``base``, which are loaded in 4 bits or not.

    Nothing is known of an adapter without provenance.
    """
    try:
        statement = read_statement(adapter)
    except (FileNotFoundError, StatementError):
        return
    if bool(internal(statement).get("settings", {}).get("loadIn4bit")) != four_bit:
        weights, value = ("the full weights", "false") if four_bit else ("weights in 4 bits", "true")
        raise JobFailure(
            f"The job {name} trained its adapter on {weights}, which are not this job's: set load_in_4bit = "
            f"{value}, or merge the adapter and name the folder"
        )
    build = statement["predicate"]["buildDefinition"]
    own = {f"{BASE}{path.name}": path for path in model_files(base)}
    for file in build["resolvedDependencies"]:
        if not (file["name"].startswith(BASE) and file["name"].endswith(".safetensors")):
            continue
        if file["name"] not in own or hashes.of(own[file["name"]]) != file["digest"].get("sha256"):
            raise JobFailure(
                f"The job {name} trained its adapter on another base model than this job's, so it cannot "
                "teach here: choose a job on the same base, or merge the adapter and name the folder"
            )


def hash_of_data(config: Mapping[str, object], project: Path, hashes: FileHashes) -> str:
    """Return one hash of all of the project's files that a job trains on or is evaluated on, and of the
    judgements that apply to it.

    Data from elsewhere is not hashed. Raises OSError, and SourceError for a missing file.
    """
    hashes_by_name: list[tuple[str, str]] = []
    for _, source in sources_of(config):
        for part in parts_of(source):
            if part["type"] == "file":
                hashes_by_name += [(file.name, hashes.of(file.path)) for file in files_of(part, project)]
            if judged_bytes := part.get("reviewed"):
                hashes_by_name.append((FILE, hashlib.sha256(content_of(project)[:judged_bytes]).hexdigest()))
    return _combined_hash(hashes_by_name)


def hash_of_rows(*parts: Sequence[EncodedRow]) -> str:
    """Return a hash of encoded rows: of their tokens, labels, ratings and scores."""
    digest = hashlib.sha256()
    for rows in parts:
        digest.update(f"{len(rows)} rows\n".encode())
        for row in rows:
            if not row.desirable:
                digest.update(b"undesirable\n")
            if row.score is not None:
                digest.update(f"{row.score!r}\n".encode())
            for sequence in row.sequences:
                digest.update(array("i", sequence.ids).tobytes())
                digest.update(array("i", sequence.labels).tobytes())
                digest.update(array("i", sequence.classes or ()).tobytes())
                digest.update(array("d", sequence.weights or ()).tobytes())
    return digest.hexdigest()


def _combined_hash(hashes_by_name: Iterable[tuple[str, str]]) -> str:
    return hashlib.sha256(json.dumps(list(hashes_by_name)).encode()).hexdigest()


def hash_of_readable_data(config: Mapping[str, object], project: Path, hashes: FileHashes) -> str:
    """Return `hash_of_data`; the empty string if a file cannot be read."""
    with contextlib.suppress(OSError, SourceError):
        return hash_of_data(config, project, hashes)
    return ""


def files(
    config: Mapping[str, object], project: Path, model: Path, data: Path, second: Path | None = None
) -> RunOrigin:
    """Return the hashes of ``data``, ``model`` and ``secondModel``; one that cannot be read is missing."""
    hashes, by_part = FileHashes(data), RunOrigin()
    with contextlib.suppress(OSError, SourceError):
        by_part["data"] = hash_of_data(config, project, hashes)
    with contextlib.suppress(OSError):
        by_part["model"] = hash_of_model(model, hashes)
    with contextlib.suppress(OSError):
        if second:
            by_part["secondModel"] = hash_of_model(second, hashes)
    hashes.save()
    return by_part


def machine(device: str, threads: int) -> RunOrigin:
    """Return the library versions, processor, device and number of threads."""
    versions = {"arkor-dev": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    return {"versions": versions, "processor": processor(), "device": device, "threads": threads}


def processor() -> str:
    """Return the processor's name."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            for line in Path("/proc/cpuinfo").read_text().splitlines():
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def facts_of(origin: RunOrigin) -> RunMetadata:
    """Return the parts of a run's metadata that describe its origin."""
    facts: RunMetadata = {}
    if "rows" in origin:
        facts["dataHash"] = origin["rows"]
    if "model" in origin:
        facts["modelHash"] = origin["model"]
    if "secondModel" in origin:
        facts["secondModelHash"] = origin["secondModel"]
    if "versions" in origin:
        facts["versions"] = origin["versions"]
    if "threads" in origin:
        facts["threads"] = origin["threads"]
    if "processor" in origin:
        facts["processor"] = origin["processor"]
    return facts


def changed(before: RunOrigin, now: RunOrigin) -> list[str]:
    """Return which of a job's data and model have changed; unknown parts count as unchanged."""
    sentences = {
        "data": DATA_CHANGED,
        "model": "the model's files have changed",
        "secondModel": "the files of its second model have changed",
        "rows": "its rows, or how the model reads them, have changed",
    }
    old: Mapping[str, object] = before
    new: Mapping[str, object] = now
    keys = [key for key in sentences if old.get(key) and new.get(key) and old[key] != new[key]]
    if "data" in keys or "model" in keys:
        keys = [key for key in keys if key != "rows"]  # it follows from the others
    return [sentences[key] for key in keys]


def differences(before: RunOrigin, now: RunOrigin) -> list[str]:
    """Say why the result may not be bit-identical to an uninterrupted run's."""
    reasons = changed(before, now)
    old, new = before.get("versions", {}), now.get("versions", {})
    for name in ("python", *PACKAGES):
        if old.get(name) != new.get(name):
            reasons.append(f"{name} is {new.get(name)} and was {old.get(name)}")
    for key, name in (("processor", "the processor"), ("device", "the device")):
        if before.get(key) != now.get(key):
            reasons.append(f"{name} is {now.get(key)} and was {before.get(key)}")
    if before.get("threads") != now.get("threads"):
        reasons.append(f"it computes with {now.get('threads')} threads and did with {before.get('threads')}")
    workers = [origin.get("workers", 1) for origin in (now, before)]
    if workers[0] != workers[1]:
        reasons.append(f"its workers are {workers[0]} and were {workers[1]}")
    return reasons
