"""Builds of PyTorch: what to install for local training, and whether the installed one is far too large.

On Linux pip installs the build for NVIDIA GPUs, of which 5 GB are libraries that a machine without such a GPU
never loads. Nothing here imports torch: its build is read from its files.
"""

from __future__ import annotations

import shlex
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import Final

from arkor_dev.contract.extras import TORCH_BACKEND, install_command
from arkor_dev.contract.gpus import torch_build
from arkor_dev.contract.origin import origin

CUDA_GB: Final = 5.9
CPU_GB: Final = 1.1
"""Disk space of the whole environment, measured on Linux x86-64 with torch 2.15.0+cu132 and 2.13.0+cpu."""
DRIVERS: Final = ("/proc/driver/nvidia/version", "/dev/nvidiactl", "/usr/lib/wsl/lib/libcuda.so.1")


def install_advice() -> str:
    """Return the commands that install what local training needs, into this environment or another."""
    command = install_command("local")
    advice = f"Run `arkor-dev setup`, or install them: {command}"
    fitting = install_command("local", torch_backend=True)
    if sys.platform == "linux" and fitting != command:
        advice += (
            f" (on Linux {CUDA_GB:g} GB with NVIDIA's libraries), or, where download.pytorch.org can be "
            f"reached, with the build for this machine ({CPU_GB:g} GB without an NVIDIA GPU): {fitting}"
        )
    return advice


def has_nvidia_gpu() -> bool:
    """Return whether an NVIDIA driver is running, on Linux or under WSL."""
    return any(Path(mark).exists() for mark in DRIVERS)


def cuda_bytes() -> int:
    """Return the disk space of the CUDA build, by the installer's own records of torch and its libraries."""
    own = ("torch", "triton", "nvidia-", "cuda-")
    return sum(
        file.size or 0
        for distribution in distributions()
        if distribution.name.lower().startswith(own)
        for file in distribution.files or ()
    )


def oversized_build() -> tuple[str, str] | None:
    """Say what is too large and how to fix it, if a machine without an NVIDIA GPU has the CUDA build."""
    if torch_build() != "cuda" or has_nvidia_gpu():
        return None
    text = (
        f"PyTorch is the build for NVIDIA GPUs ({cuda_bytes() / 1e9:.1f} GB), and no NVIDIA GPU was found. "
        "Training works, on the CPU."
    )
    requirement = shlex.quote(origin().requirement(("local",)))
    anew = f"python -m pip install uv && python -m uv pip install {TORCH_BACKEND} {requirement}"
    return text, f"To save most of that, make a new environment and run there: {anew}"
