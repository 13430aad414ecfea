"""The provenance of a saved result: an in-toto statement with only the documented facts (docs/provenance.md).

It is built from an allow-list: known settings, hashes, numbers and versions. Data files are numbered, not
named, and every text must pass ``privacy``.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import os
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NotRequired, TypedDict

import arkor_dev
from arkor_dev.contract.provenance.statement import (
    BESIDE,
    BUILD,
    BUILDER,
    DATA,
    FILES_LIMIT,
    PREDICATE,
    STATEMENT,
    Statement,
    StatementError,
    is_number,
    read_statement,
    statement_of,
)
from arkor_dev.contract.settings import SETTINGS
from arkor_dev.data.sources import CORPUS, REPLAY, SourceError, files_of, parts_of, sources_of
from arkor_dev.local.checkpoints.origin import FileHashes, model_files
from arkor_dev.local.jobs.job_folder import STATE, parent_folder
from arkor_dev.local.models.catalog import HUB_ID, portable_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from arkor_dev.contract.provenance.statement import Resource
    from arkor_dev.contract.shapes import Adjustment, EvaluationBudget, JobConfig
    from arkor_dev.data.findings.privacy import Private
    from arkor_dev.local.jobs.atomic_folder import FileEntry

CODE: Final = ("contract", "data", "local")
"""The parts of this package that can influence a run's exact results."""
TEXT: Final = 300
_FILE: Final = re.compile(r"[\w.+-]{1,200}")
_SHARED: Final = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")


class RowCounts(TypedDict):
    """The numbers of rows, and the hash of their encoding if it is known."""

    train: int
    heldOut: int
    sha256: NotRequired[str | None]


class PublicData(TypedDict):
    """A data set by its kind; one that is public on the Hub also by its name."""

    type: str
    name: NotRequired[str]
    split: NotRequired[str]
    subset: NotRequired[str]


class Request(TypedDict):
    """What a person has set."""

    settings: dict[str, object]
    data: list[PublicData]


class Builder(TypedDict):
    """This program, its version and those of its libraries, and a hash of its code."""

    id: str
    version: dict[str, str]
    builderDependencies: list[Resource]


class RunFacts(TypedDict):
    """A provenance's facts about the whole run, by the parts of its statement."""

    job: str
    external: Request
    internal: dict[str, object]
    dependencies: list[Resource]
    builder: Builder


class HarmBudget(TypedDict):
    """The strength that ``maxHarm`` chose for a result: the figures of `EvaluationBudget` about it."""

    maxHarm: float
    kept: bool
    strength: float
    harm: float
    most: NotRequired[float]


class Moment(TypedDict):
    """One saved folder: the ``artifact``, after which step, its figures, and when the run began and saved.

    ``budget`` is of a result whose strength was chosen.
    """

    artifact: str
    step: int
    budget: NotRequired[HarmBudget]
    figures: Mapping[str, object]
    startedOn: str
    finishedOn: str


def statement(files: Mapping[str, FileEntry], facts: RunFacts, moment: Moment) -> Statement:
    """Return the statement on ``files``, by name."""
    subject = [_file(name, entry["sha256"], entry["bytes"], name == STATE) for name, entry in files.items()]
    position: dict[str, object] = {"artifact": moment["artifact"], "step": moment["step"]}
    if "budget" in moment:
        position["budget"] = moment["budget"]
    figures = {key: value for key, value in moment["figures"].items() if is_number(value)}
    return {
        "_type": STATEMENT,
        "subject": subject,
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD,
                "externalParameters": {**facts["external"]},
                "internalParameters": {**position, **facts["internal"]},
                "resolvedDependencies": facts["dependencies"],
            },
            "runDetails": {
                "builder": {**facts["builder"]},
                "metadata": {
                    "invocationId": facts["job"],
                    "startedOn": moment["startedOn"],
                    "finishedOn": moment["finishedOn"],
                },
                "byproducts": [{"name": "figures", "annotations": figures}],
            },
        },
    }


def of_export(files: Mapping[str, FileEntry], source: Statement, result: Mapping[str, object]) -> Statement:
    """Return the statement on ``files`` exported from the adapter of ``source``, with facts ``result``."""
    build = source["predicate"]["buildDefinition"]
    required = [file for file in source["subject"] if not file.get("annotations", {}).get("optional")]
    adapter = [{**file, "name": f"adapter/{file['name']}"} for file in required]
    exported: Any = copy.deepcopy(source)
    exported["subject"] = [_file(name, entry["sha256"], entry["bytes"]) for name, entry in files.items()]
    exported["predicate"]["buildDefinition"] |= {
        "internalParameters": {**build["internalParameters"], **result},
        "resolvedDependencies": [*build["resolvedDependencies"], *adapter],
    }
    return statement_of(exported)


def _file(name: str, digest: str, size: int, optional: bool = False) -> Resource:
    notes: dict[str, object] = {"bytes": size, **({"optional": True} if optional else {})}
    return {"name": name, "digest": {"sha256": digest}, "annotations": notes}


def public_settings(settings: Mapping[str, object], private: Private) -> dict[str, object]:
    """Return the known ``settings`` by field, except private ones."""
    published: dict[str, object] = {}
    for row in SETTINGS:
        value = settings.get(row.field)
        if row.field in ("model", "teacher") and isinstance(value, str):
            value = portable_name(value)
        if value is not None and row.field not in (REPLAY, CORPUS) and _is_public(value, private):
            published[row.field] = value
    return published


def adjustments(adjusted: Iterable[Adjustment], private: Private) -> list[dict[str, object]]:
    """Return what was changed while the job continued: ``{step, from, to}``, the settings by field."""
    return [
        {
            "step": change["step"],
            **{
                name: public_settings(
                    {field: pair[at] for field, pair in change["settings"].items()}, private
                )
                for at, name in enumerate(("from", "to"))
            },
        }
        for change in adjusted
    ]


def budget_of(chosen: EvaluationBudget) -> HarmBudget:
    """Return the figures of a chosen strength that say which adapter it is, and of what harm."""
    figures: HarmBudget = {
        "maxHarm": chosen["maxHarm"],
        "kept": chosen["kept"],
        "strength": chosen["strength"],
        "harm": chosen["harm"],
    }
    if is_number(most := chosen.get("most")):
        figures["most"] = most
    return figures


def _is_public(value: object, private: Private) -> bool:
    if isinstance(value, list):
        return len(value) <= FILES_LIMIT and all(_is_public(member, private) for member in value)
    if isinstance(value, str):
        return len(value) <= TEXT and private.private_kind(value) is None
    return isinstance(value, bool) or is_number(value)


def public_data(config: JobConfig, private: Private) -> list[PublicData]:
    """Return each data set by its kind; a publicly readable one of the Hub also by its name."""
    sources = [config["datasetSource"]]
    if held_out := config.get("evalDatasetSource"):
        sources.append(held_out)
    published = []
    for part in (part for source in sources for part in parts_of(source)):
        entry: PublicData = {"type": str(part["type"])}
        name = str(part.get("name", ""))
        public = part["type"] == "huggingface" and not (part.get("token") or _signed_in())
        if public and HUB_ID.fullmatch(name):
            entry["name"] = name
            if (split := part.get("split")) and _is_public(split, private):
                entry["split"] = split
            if (subset := part.get("subset")) and _is_public(subset, private):
                entry["subset"] = subset
        published.append(entry)
    return published


def _signed_in() -> bool:
    """Return whether the Hub may show this machine more than it shows the public."""
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    token_file = Path(os.environ.get("HF_TOKEN_PATH") or Path(home) / "token").expanduser()
    return any(os.environ.get(name) for name in _SHARED) or token_file.exists()


def dependencies(
    config: Mapping[str, object],
    project: Path,
    model: Path,
    data: Path,
    job_id: str,
    rows: RowCounts,
    more_models: Mapping[str, Path],
) -> list[Resource]:
    """Return the inputs: data files by number, the base's and a parent's files by name, and the rows as read.

    ``more_models`` are the folders of further models by what they are
    (``teacher``). Unreadable inputs are omitted.
    """
    hashes = FileHashes(data)
    resources: list[Resource] = []
    with contextlib.suppress(OSError, SourceError):
        resources += [_hashed(name, path, hashes) for name, path in _data_files(config, project)]
    for prefix, folder in (("base", model), *more_models.items()):
        with contextlib.suppress(OSError):
            resources += [
                _hashed(f"{prefix}/{path.name}", path, hashes)
                for path in model_files(folder)
                if _FILE.fullmatch(path.name) and path.name not in BESIDE
            ]
    hashes.save()
    notes = {"rows": rows["train"], "heldOut": rows["heldOut"]}
    if sha256 := rows.get("sha256"):
        resources.append({"name": "rows", "digest": {"sha256": sha256}, "annotations": notes})
    return [*resources, *_parent(data, job_id)][:FILES_LIMIT]


def _hashed(name: str, path: Path, hashes: FileHashes) -> Resource:
    return _file(name, hashes.of(path), path.stat().st_size)


def _data_files(config: Mapping[str, object], project: Path) -> Iterator[tuple[str, Path]]:
    for field, source in sources_of(config):
        number = 0
        for part in parts_of(source):
            for file in files_of(part, project) if part["type"] == "file" else []:
                number += 1
                yield f"{DATA[field]}{number}", file.path


def _parent(data: Path, job_id: str) -> Iterator[Resource]:
    """Yield the files of the adapter that the job started from, with their job and step."""
    folder = parent_folder(data, job_id)
    with contextlib.suppress(OSError, StatementError):
        statement = read_statement(folder)
        facts = {"job": statement["predicate"]["runDetails"]["metadata"].get("invocationId")}
        inner = statement["predicate"]["buildDefinition"]["internalParameters"]
        facts |= {key: inner.get(key) for key in ("artifact", "step")}
        annotations = {key: value for key, value in facts.items() if isinstance(value, str | int)}
        for file in statement["subject"]:
            if not file.get("annotations", {}).get("optional"):
                yield {
                    "name": f"parent/{file['name']}",
                    "digest": {"sha256": file["digest"]["sha256"]},
                    "annotations": annotations,
                }


def builder(versions: Mapping[str, object]) -> Builder:
    """Return this program, with the ``versions`` of its libraries."""
    code: Resource = {"name": "arkor_dev", "digest": {"sha256": hash_of_code()}}
    pinned = {str(name): str(version)[:TEXT] for name, version in versions.items()}
    return {"id": BUILDER, "version": pinned, "builderDependencies": [code]}


@cache
def hash_of_code() -> str:
    """Return one SHA-256 of all modules that training can use, by path and content."""
    root, digest = Path(arkor_dev.__file__).parent, hashlib.sha256()
    for part in CODE:
        for path in sorted((root / part).rglob("*.py")):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(root).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()
