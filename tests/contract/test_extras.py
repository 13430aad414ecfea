"""The command that installs an extra names this Python and the packages: it works wherever it is pasted."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shlex
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from arkor_dev.contract.extras import install_command


def test_the_install_command_names_this_python_and_the_packages() -> None:
    words = shlex.split(install_command("gguf"))
    assert words[:4] == [sys.executable, "-m", "pip", "install"]
    assert [word.partition("<")[0].partition(">")[0] for word in words[4:]] == [
        "llama-cpp-python",
        "sentencepiece",
        "gguf",
    ]
    assert "arkor-dev" not in install_command("gguf"), "which need not be on an index"


@pytest.mark.parametrize(
    ("installer", "pip", "begins"),
    [
        ("uv", False, ["uv", "pip", "install", "--python", "/my env/python"]),
        ("pip", True, ["/my env/python", "-m", "pip", "install"]),
        ("pip", False, ["/my env/python", "-m", "ensurepip", "&&", "/my env/python", "-m", "pip", "install"]),
    ],
)
def test_the_install_command_suits_the_environment(
    monkeypatch: pytest.MonkeyPatch, installer: str, pip: bool, begins: list[str]
) -> None:
    found: Any = SimpleNamespace(
        read_text=lambda _: f"{installer}\n",
        requires=[
            "a>=1",
            "b<2; extra == 'x'",
            "c; python_version > '3' and extra == 'x'",
            "d; extra == 'xy'",
        ],
    )
    monkeypatch.setattr(importlib.metadata, "distribution", lambda _: found)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object() if pip else None)
    monkeypatch.setattr(sys, "executable", "/my env/python")
    assert shlex.split(install_command("x")) == [*begins, "b<2", "c"]
