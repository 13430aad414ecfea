"""The commands that add an extra: by the environment's owner, and with no index asked for this package."""

from __future__ import annotations

import importlib
import shlex
import sys
import tomllib
from typing import TYPE_CHECKING

import pytest

from arkor_dev.contract import origin
from arkor_dev.contract.extras import install_command, requirements

if TYPE_CHECKING:
    from tests.support.environments import Environment

RECEIPT = """\
[tool]
requirements = [
    { name = "arkor-dev", extras = ["mcp"], path = "/w h/a.whl" },
    { name = "pyyaml", specifier = ">=6" },
    { name = "mine", path = "/home/me/mine.whl" },
]
"""
TOOL = "uv tool install '--with=pyyaml>=6' --with=/home/me/mine.whl"
WHEEL = '{"url": "file:///w%20h/a.whl", "archive_info": {}}'


def test_each_extra_needs_what_the_project_declares() -> None:
    project = tomllib.loads((origin.ROOT / "pyproject.toml").read_text())["project"]
    assert requirements("") == project["dependencies"]
    assert requirements("local", "gguf", "local") == [
        *project["optional-dependencies"]["local"],
        *project["optional-dependencies"]["gguf"],
    ]


@pytest.mark.parametrize(
    ("files", "command", "with_backend"),
    [
        (
            {"INSTALLER": "pip"},
            "'{python}' -m pip install 'optuna>=4'",
            (
                "'{python}' -m pip install uv"
                " && '{python}' -m uv pip install --python '{python}' --torch-backend=auto 'optuna>=4'"
            ),
        ),
        (
            {"INSTALLER": "uv"},
            "uv pip install --python '{python}' 'optuna>=4'",
            "uv pip install --python '{python}' --torch-backend=auto 'optuna>=4'",
        ),
        (
            {"INSTALLER": "uv", "direct_url.json": WHEEL, "../uv-receipt.toml": RECEIPT},
            f"{TOOL} '/w h/a.whl[mcp,sweep]'",
            f"{TOOL} --torch-backend=auto '/w h/a.whl[mcp,sweep]'",
        ),
        (
            {"INSTALLER": "uv", "direct_url.json": WHEEL, "../pipx_metadata.json": "{}"},
            "pipx inject arkor-dev 'optuna>=4'",
            "pipx inject arkor-dev 'optuna>=4'",
        ),
    ],
)
def test_the_owner_of_the_environment_adds_the_packages(
    environment: Environment, files: dict[str, str], command: str, with_backend: str
) -> None:
    environment.add("mcp", "2.0")
    environment.install(files)
    python = environment.python
    assert install_command("sweep") == command.format(python=python)
    assert install_command("sweep", torch_backend=True) == with_backend.format(python=python)


@pytest.mark.parametrize(
    ("folder", "files", "command"),
    [
        ("archive-v0/x", {"INSTALLER": "uv"}, "uvx --from '/w h/a.whl[mcp,sweep]' arkor-dev"),
        (
            ".cache/x",
            {"INSTALLER": "pip", "../pipx_metadata.json": "{}"},
            "pipx run --spec '/w h/a.whl[mcp,sweep]' arkor-dev",
        ),
    ],
)
def test_an_environment_for_one_call_is_made_anew_from_the_same_file_with_the_extras_it_has(
    environment: Environment, folder: str, files: dict[str, str], command: str
) -> None:
    environment.move(folder)
    environment.add("mcp", "2.0")
    environment.install({**files, "direct_url.json": WHEEL})
    assert install_command("sweep") == command


def test_an_environment_without_pip_gets_it_first(environment: Environment) -> None:
    environment.install({"INSTALLER": "pip"})
    (environment.prefix / "pip.py").unlink()
    importlib.invalidate_caches()
    words = shlex.split(install_command("sweep"))
    assert words == [
        sys.executable,
        "-m",
        "ensurepip",
        "&&",
        sys.executable,
        "-m",
        "pip",
        "install",
        "optuna>=4",
    ]


def test_the_engines_environment_which_has_no_metadata_gets_packages_by_name(
    environment: Environment,
) -> None:
    assert shlex.split(install_command("mcp", "sweep"))[-3:] == ["install", "mcp>=2", "optuna>=4"]
