"""Whether llama.cpp is here (extra ``[gguf]``), and how to get it. It loads nothing."""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
from importlib import metadata
from typing import Final

PACKAGES: Final = ("llama_cpp", "sentencepiece")
COMPILERS: Final = ("c++", "g++", "clang++", "cl")
COMPILER_HOW: Final = {
    "linux": "on Debian and Ubuntu: apt install g++ cmake",
    "darwin": "on a Mac: xcode-select --install",
    "win32": "on Windows: the Build Tools for Visual Studio",
}


def lacking() -> str | None:
    """What is to be done before GGUF files can be made and read here, as sentences; None for nothing."""
    return None if available() else f"{reason()}. Run {command()}, then start arkor-dev again"


def available() -> bool:
    """Whether the packages of the extra ``[gguf]`` are in this environment."""
    return all(importlib.util.find_spec(name) for name in PACKAGES)


def reason() -> str:
    """Why GGUF files cannot be made here, and what installing llama.cpp takes; without a full stop."""
    if any(map(shutil.which, COMPILERS)):
        return "GGUF needs llama.cpp, which compiles for some 3 minutes"
    how = COMPILER_HOW.get(sys.platform, COMPILER_HOW["linux"])
    return (
        "GGUF needs llama.cpp, which compiles for some 3 minutes with a C++ compiler, and this machine has "
        f"none ({how})"
    )


def command() -> str:
    """The command that installs the packages into the environment of this Python, to be pasted as it is.

    It names them one by one: arkor-dev itself may have come from a folder and be on no index.
    """
    if importlib.util.find_spec("pip") is None and (uv := shutil.which("uv")):
        installer = [uv, "pip", "install", "--python", sys.executable]
    else:
        installer = [sys.executable, "-m", "pip", "install"]
    words = [*installer, *_requirements()]
    return subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)


def _requirements() -> list[str]:
    """The extra's requirements; the bare names where this package was never installed."""
    try:
        listed = metadata.requires("arkor-dev") or []
    except metadata.PackageNotFoundError:
        listed = []
    found = (re.fullmatch(r"""([^;]+);\s*extra == ["']gguf["']""", each) for each in listed)
    return [match[1].strip() for match in found if match] or ["llama-cpp-python", "sentencepiece"]
