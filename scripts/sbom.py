"""Writes a release's bill of materials, as CycloneDX JSON: what the page bundles, and what pip installs.

Libraries of the page are in the wheel, and have their exact versions from web/package-lock.json. Packages of
Python are not: they have the version of constraints.txt, which the tests ran with, and the accepted range as
a property. What only extras need is optional. The same sources give the same bytes.
"""

from __future__ import annotations

import json
import re
import tomllib
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMESPACE: Final = uuid.UUID("c1f7b5f0-7d6c-4f0e-9a39-5b1d0d6c9c55")
"""Of the serial numbers of these documents."""


def sbom(root: Path, version: str, wheel_sha256: str, epoch: int) -> str:
    """Return the document for the wheel of ``version``, built from the sources in ``root`` at ``epoch``."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    ours = f"pkg:pypi/{project['name']}@{version}"
    parts = [*_bundled(root), *_required(root, project)]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(NAMESPACE, wheel_sha256)}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(epoch, UTC).isoformat().replace("+00:00", "Z"),
            "component": {
                "type": "application",
                "bom-ref": ours,
                "name": project["name"],
                "version": version,
                "description": project["description"],
                "licenses": [{"expression": project["license"]}],
                "purl": ours,
                "hashes": [{"alg": "SHA-256", "content": wheel_sha256}],
            },
        },
        "components": parts,
        "dependencies": [
            {"ref": ours, "dependsOn": sorted(part["bom-ref"] for part in parts)},
            *({"ref": part["bom-ref"]} for part in parts),
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _bundled(root: Path) -> Iterator[dict[str, Any]]:
    """Yield the libraries that are built into the page."""
    lock = json.loads((root / "web" / "package-lock.json").read_text(encoding="utf-8"))
    for path, package in sorted(lock["packages"].items()):
        if not path or package.get("dev") or package.get("devOptional") or package.get("optional"):
            continue
        name = path.rpartition("node_modules/")[2]
        purl = f"pkg:npm/{name.replace('@', '%40')}@{package['version']}"
        yield {
            "type": "library", "bom-ref": purl, "name": name, "version": package["version"],
            "licenses": [{"license": {"id": package["license"]}}], "purl": purl, "scope": "required",
        }  # fmt: skip


def _required(root: Path, project: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the packages that pip installs, each once; extras for developers are no part of a release."""
    tested = dict(
        line.split("==")
        for line in (root / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if re.fullmatch(r"[\w.-]+==\S+", line)
    )
    versions = {_normal(name): version for name, version in tested.items()}
    lists = {"": project["dependencies"], **project["optional-dependencies"]}
    seen = set()
    for extra, lines in lists.items():
        for line in lines:
            name, accepted = re.findall(r"^([\w.-]+)(?:\[[^\]]*\])?\s*([^;]*)", line)[0]
            if extra.startswith("dev") or _normal(name) in seen:
                continue
            seen.add(_normal(name))
            version = versions.get(_normal(name))
            purl = f"pkg:pypi/{_normal(name)}{f'@{version}' if version else ''}"
            properties = {"arkor:accepted": accepted.strip(), **({"arkor:extra": extra} if extra else {})}
            yield {
                "type": "library", "bom-ref": purl, "name": _normal(name),
                **({"version": version} if version else {}),
                "purl": purl, "scope": "optional" if extra else "required",
                "properties": [{"name": key, "value": value} for key, value in properties.items()],
            }  # fmt: skip


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
