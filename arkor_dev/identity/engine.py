"""The Python that the local backend runs with: this one if it has the training libraries, else an environment
that ``arkor-dev setup`` has made for them.

The environment holds only libraries. Its Python runs the code of this package through a link, so both sides
are always the same version, and an upgrade needs no new environment unless it needs other libraries.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import arkor_dev
from arkor_dev.contract.errors import BadRequestError
from arkor_dev.contract.extras import requirements
from arkor_dev.core.torch_build import has_nvidia_gpu, install_advice

if TYPE_CHECKING:
    from arkor_dev.core.settings import Settings

REQUIRED: Final = ("torch", "transformers", "peft")
FOLDER: Final = "engine"
EXTRAS: Final = ("local",)
GPU_EXTRAS: Final = ("gpu", "gpu4bit")


def needs() -> list[str]:
    """Return the requirements of the engine's environment on this machine."""
    return requirements("", *EXTRAS, *(GPU_EXTRAS if has_nvidia_gpu() else ()))


def engine_folder(settings: Settings) -> Path:
    """Return the folder of the environment for this Python and these requirements, which may not exist."""
    digest = hashlib.sha256(repr(sorted(requirements("", *EXTRAS))).encode()).hexdigest()[:8]
    name = f"python{sys.version_info.major}.{sys.version_info.minor}-{digest}"
    return settings.data / FOLDER / name


def is_complete() -> bool:
    """Return whether this Python has the training libraries; imports none of them."""
    return all(importlib.util.find_spec(name) for name in REQUIRED)


def engine_python(settings: Settings) -> Path | None:
    """Return the Python of the engine's environment, if it was set up."""
    python = engine_folder(settings) / "bin" / "python"
    return python if python.is_file() else None


def missing_extra(settings: Settings) -> str | None:
    """Say what to install for local training; None if everything is there."""
    if is_complete() or engine_python(settings):
        return None
    missing = [name for name in REQUIRED if importlib.util.find_spec(name) is None]
    return f"Local training needs {', '.join(missing)}, which this Python does not have. {install_advice()}"


def require_extra(settings: Settings) -> None:
    """Raise BadRequestError if local training is not installed."""
    if (text := missing_extra(settings)) is not None:
        raise BadRequestError(text)


def command(settings: Settings) -> tuple[list[str], dict[str, str]]:
    """Return the beginning of the local backend's command, and its environment."""
    # A project's own random.py must not shadow the real one, in the workers either.
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    python = None if is_complete() else engine_python(settings)
    if python is None:
        return [sys.executable, "-m", "arkor_dev.local"], environment
    return [str(python), "-m", "arkor_dev.local"], {**environment, "PYTHONPATH": str(_link(settings))}


def _link(settings: Settings) -> Path:
    """Return a folder that holds this package and nothing else: a link to it."""
    package = Path(arkor_dev.__file__).resolve().parent
    folder = settings.data / FOLDER / f"code-{hashlib.sha256(str(package).encode()).hexdigest()[:10]}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    link = folder / "arkor_dev"
    if not link.is_symlink() or link.readlink() != package:
        part = folder / f"part-{secrets.token_hex(4)}"
        part.symlink_to(package)
        part.replace(link)
    return folder
