"""The Containerfile and the development container fit this repository."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

from arkor_dev.cli.main import parser

ROOT = Path(__file__).parent.parent


def test_the_image_uses_an_existing_extra_and_command() -> None:
    text = (ROOT / "Containerfile").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = re.search(r"^ARG EXTRAS=(.+)$", text, re.MULTILINE)
    assert extras
    assert set(extras[1].split(",")) <= set(project["optional-dependencies"])
    entry, options = (
        json.loads(found[1])
        for name in ("ENTRYPOINT", "CMD")
        if (found := re.search(rf"^{name} (.+)$", text, re.MULTILINE))
    )
    assert entry == list(project["scripts"])
    assert parser().parse(options).local
    assert re.search(r"^USER 1000:1000$", text, re.MULTILINE)


def test_private_and_large_files_are_excluded_from_builds() -> None:
    ignored = (ROOT / ".containerignore").read_text().split()
    assert {".*", "shared", "dist", "**/node_modules"} <= set(ignored)


def test_the_development_container_uses_existing_files() -> None:
    told = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    script, function, extras = "scripts/environment.sh", "ensure_environment", "local,dev"
    assert told["postCreateCommand"] == f"bash -c '. {script} && {function} {extras}'"
    assert f"{function}() {{" in (ROOT / script).read_text()
    assert told["forwardPorts"] == [4000]
