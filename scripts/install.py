"""Installs this package into .venv, with the build of PyTorch that suits this machine.

    .venv/bin/python scripts/install.py EXTRAS        such as local,dev

What is fetched is said beforehand, and how far it is while it runs. Uses the standard library alone.
"""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from arkor_dev.core.installer import (  # noqa: E402 (not installed yet)
    GIGABYTE,
    Build,
    Installer,
    TextDisplay,
    build_lines,
    bytes_in,
    tail_of,
)
from arkor_dev.core.torch_build import has_nvidia_gpu  # noqa: E402


def announcement(extras: str, build: Build | None, *, has_gpu: bool) -> str:
    """Return what the user should know before the download starts."""
    lines = [f"Installing Arkor Studio [{extras}] into .venv, once."]
    if build is not None:
        lines += build_lines(build, has_gpu=has_gpu)
    if "gguf" in extras.split(","):
        lines.append("llama.cpp (llama-cpp-python): compiled here, about 11 minutes of processor time.")
        if not any(map(shutil.which, ("c++", "g++", "clang++"))):
            lines.append(
                "It needs a C++ compiler, and there is none. On Debian and Ubuntu: apt install g++ cmake"
            )
    return "\n".join(lines)


def main(extras: str) -> int:
    """Install; return the exit code of the last installer."""
    folder, began, build = Path(sys.prefix), time.monotonic(), None
    installer = Installer(sys.executable, ["--constraint", str(ROOT / "constraints.txt")], ROOT)
    if "local" in extras.split(","):
        print("Looking for the PyTorch that suits this machine …", flush=True)
        build = installer.resolve_torch()
    print(announcement(extras, build, has_gpu=has_nvidia_gpu()), flush=True)
    if code := installer.install(["--editable", f".[{extras}]"], folder, TextDisplay(sys.stdout)):
        print(tail_of(folder), file=sys.stderr)
        return code
    size = bytes_in(folder) / GIGABYTE
    print(f"Installed in {time.monotonic() - began:.0f} s; .venv holds {size:.1f} GB.", flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1]))
    except KeyboardInterrupt:
        sys.exit(130)
