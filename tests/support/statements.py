"""A provenance as the local backend writes one, and a folder that it is about."""

from __future__ import annotations

import copy
import hashlib
import json
from typing import TYPE_CHECKING, Any

from arkor_dev.contract.provenance.statement import BUILD, BUILDER, FILE, PREDICATE, STATEMENT, statement_of

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.contract.provenance.statement import Statement

FILES = {"adapter_model.safetensors": b"\x00weights" * 100, "adapter_config.json": b'{"r": 8}'}


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def resource(name: str, content: bytes, **notes: Any) -> dict[str, Any]:
    """A file as a subject or a dependency."""
    return {
        "name": name,
        "digest": {"sha256": digest(content)},
        "annotations": {"bytes": len(content), **notes},
    }


def raw_statement(files: dict[str, bytes] = FILES, **internal: Any) -> dict[str, Any]:
    """One on ``files``; ``internal`` are parameters that go before the usual ones."""
    return {
        "_type": STATEMENT,
        "subject": [resource(name, content) for name, content in files.items()],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD,
                "externalParameters": {
                    "settings": {"model": "org/tiny", "maxSteps": 30, "learningRate": 0.01, "loraR": 8},
                    "data": [{"type": "file"}],
                },
                "internalParameters": {
                    "artifact": "final",
                    "step": 30,
                    "settings": {"model": "org/tiny", "maxSteps": 30, "seed": 42},
                    "base": {"name": "org/tiny", "hub": True, "license": "apache-2.0", "language": ["en"]},
                    "adapter": True,
                    "rows": {"train": 54, "heldOut": 6},
                    "totalSteps": 30,
                    "trainableParameters": 1024,
                    "threads": 2,
                    "device": "cpu",
                    "processor": "Some CPU",
                    "numberFormat": "float32",
                    **internal,
                },
                "resolvedDependencies": [
                    resource("data/1", b"data"),
                    resource("base/model.safetensors", b"base"),
                    {"name": "rows", "digest": {"sha256": digest(b"rows")}, "annotations": {"rows": 54}},
                ],
            },
            "runDetails": {
                "builder": {
                    "id": BUILDER,
                    "version": {"arkor-dev": "0.1.0", "torch": "2.13.0"},
                    "builderDependencies": [{"name": "arkor_dev", "digest": {"sha256": digest(b"code")}}],
                },
                "metadata": {
                    "invocationId": "job_0123456789ab",
                    "startedOn": "2026-01-01T00:00:00Z",
                    "finishedOn": "2026-01-01T00:01:00Z",
                },
                "byproducts": [{"name": "figures", "annotations": {"loss": 1.5, "evalLoss": 1.75}}],
            },
        },
    }


def statement(files: dict[str, bytes] = FILES, **internal: Any) -> Statement:
    """The same, checked."""
    return statement_of(raw_statement(files, **internal))


def changed(value: dict[str, Any], *path: str | int, to: Any) -> dict[str, Any]:
    """A copy of ``value`` with another thing at ``path``."""
    made = copy.deepcopy(value)
    place: Any = made
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = to
    return made


def write_folder(folder: Path, files: dict[str, bytes] = FILES) -> dict[str, Any]:
    """A folder with ``files`` and its provenance, which it returns."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    made = raw_statement(files)
    (folder / FILE).write_text(json.dumps(made))
    return made
