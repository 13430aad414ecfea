"""Checks whether llama.cpp is installed (extra ``[gguf]``), without importing it."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import sys
from typing import Final

from arkor_dev.contract.extras import install_command

PACKAGES: Final = ("llama_cpp", "sentencepiece")
ASK: Final = "import llama_cpp; print(bool(llama_cpp.llama_supports_gpu_offload()))"
COMPILERS: Final = ("c++", "g++", "clang++", "cl")
COMPILER_HINTS: Final = {
    "linux": "on Debian and Ubuntu: apt install g++ cmake",
    "darwin": "on a Mac: xcode-select --install",
    "win32": "on Windows: the Build Tools for Visual Studio",
}


def lacking() -> str | None:
    """Return why GGUF files can't be created and loaded here, with advice; None if they can."""
    if all(importlib.util.find_spec(name) for name in PACKAGES):
        return None
    compiler = "compiling takes about 11 minutes of processor time"
    if not any(map(shutil.which, COMPILERS)):
        hint = COMPILER_HINTS.get(sys.platform, COMPILER_HINTS["linux"])
        compiler += f" and needs a C++ compiler, which this machine lacks; {hint}"
    return f"GGUF needs llama.cpp, which is not installed ({compiler}). Install it with: {install()}"


async def offloads() -> bool:
    """Return whether llama.cpp computes on a GPU; another process asks it, as it opens CUDA."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", ASK),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    return (await process.communicate())[0].strip() == b"True"


def install() -> str:
    """Return the command that installs llama.cpp into this environment."""
    return install_command("gguf")
