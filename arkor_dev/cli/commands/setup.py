"""``arkor-dev setup``: installs the local engine into an environment of its own.

For those who have the small core alone, such as by ``uvx arkor-dev``, without a word about extras. An
interrupted installation is continued by the next call.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from arkor_dev.cli.consent import can_ask, confirm
from arkor_dev.contract.errors import BadRequestError, ConflictError, InternalError
from arkor_dev.core.installer import GIGABYTE, SIZES, Installer, build_lines, bytes_in, tail_of
from arkor_dev.core.torch_build import has_nvidia_gpu
from arkor_dev.identity.engine import (
    FOLDER,
    REQUIRED,
    engine_folder,
    engine_python,
    is_complete,
    needs,
    require_extra,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arkor_dev.core.settings import Settings

SPARE_GB: Final = 0.5
NEXT: Final = "Next: arkor-dev --local --open"


def run_setup(settings: Settings, *, yes: bool, dry_run: bool, remove: bool) -> int:
    """Install, say what would be installed, or remove it; return the exit code. Raises ArkorError."""
    if remove:
        return _remove(settings, yes=yes)
    if is_complete():
        _print_line(f"This Python has all that local training needs: {sys.prefix}\n{NEXT}")
        return 0
    target = engine_folder(settings)
    if engine_python(settings):
        _print_line(f"The local engine is installed: {target}, {bytes_in(target) / GIGABYTE:.1f} GB.\n{NEXT}")
        return 0
    packages = needs()
    if not (dry_run or yes or can_ask()):
        raise BadRequestError("There is no terminal to ask at: add --yes to install, or --dry-run to look.")
    if dry_run:
        with tempfile.TemporaryDirectory() as scratch:
            _announce(_installer(Path(scratch) / "env"), target)
        return 0
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(target.parent):
        began, part = time.monotonic(), target.with_name(f"{target.name}.part")
        installer = _installer(part)
        announcement = _announce(installer, target)
        if not confirm(announcement, "Install it?", yes=yes):
            return 2
        if installer.install(packages, part, sys.stdout):
            _print_line(tail_of(part), sys.stderr)
            _print_line("Run `arkor-dev setup` again to continue.", sys.stderr)
            return 1
        _check(installer.python)
        part.rename(target)
        seconds, size = time.monotonic() - began, bytes_in(target) / GIGABYTE
        _print_line(f"Installed in {seconds:.0f} s; {target} holds {size:.1f} GB.\n{NEXT}")
    return 0


def offer_setup(settings: Settings) -> int:
    """Install the engine if the person at the terminal agrees; return the exit code.

    Raises BadRequestError without a terminal.
    """
    if not can_ask():
        require_extra(settings)
    _print_line("Local training needs PyTorch and a few more libraries, which are not installed yet.")
    return run_setup(settings, yes=False, dry_run=False, remove=False)


def _print_line(text: str, out: TextIO | None = None) -> None:
    print(text, file=out, flush=True)


def _installer(folder: Path) -> Installer:
    """Return an installer for a new environment in ``folder``, or one whose installation was interrupted."""
    python = folder / "bin" / "python"
    if not python.exists():
        completed = subprocess.run(
            [sys.executable, "-m", "venv", str(folder)], capture_output=True, text=True, check=False
        )
        uv = shutil.which("uv")
        if completed.returncode and uv:
            argv = [uv, "venv", "--quiet", "--seed", "--clear", "--python", sys.executable, str(folder)]
            completed = subprocess.run(argv, capture_output=True, text=True, check=False)
        if completed.returncode:
            lines = (completed.stderr or completed.stdout).strip().splitlines()
            raise BadRequestError(
                f"This Python cannot make environments: {lines[-1] if lines else 'no reason was given'}. On "
                "Debian and Ubuntu: apt install python3-venv"
            )
    return Installer(str(python))


def _announce(installer: Installer, target: Path) -> str:
    """Print what will be installed where; return it in a sentence. Raises BadRequestError for a full disk."""
    _print_line("Looking for the PyTorch that suits this machine …")
    build = installer.resolve_torch()
    target_text = f"The local engine goes into an environment of its own: {target}"
    if build is not None:
        _print_line("\n".join(build_lines(build, has_gpu=has_nvidia_gpu())))
    size = SIZES[build.kind][1] if build is not None and build.kind in SIZES else None
    existing = next(parent for parent in target.parents if parent.exists())
    free = shutil.disk_usage(existing).free / GIGABYTE
    if size is not None and free < size + SPARE_GB:
        raise BadRequestError(
            f"{free:.1f} GB are free in {existing}, and {size + SPARE_GB:.1f} GB are needed. Free some."
        )
    _print_line(f"{target_text} ({free:.0f} GB are free there).")
    return f"{target_text}."


def _check(python: str) -> None:
    """Import the libraries once. Raises InternalError if that fails."""
    argv = [python, "-I", "-c", f"import {', '.join(REQUIRED)}"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:]
        raise InternalError(f"The libraries were installed, but cannot be imported: {''.join(last)}")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the lock of all installations. Raises ConflictError while another one runs."""
    handle = os.open(folder / "setup.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConflictError("Another `arkor-dev setup` is running. Wait until it has ended.") from None
        yield


def _remove(settings: Settings, *, yes: bool) -> int:
    folder = settings.data / FOLDER
    if not folder.is_dir():
        _print_line("There is no local engine to remove.")
        return 0
    size = bytes_in(folder) / GIGABYTE
    question = f"{folder} holds the local engine, {size:.1f} GB. Jobs and adapters are elsewhere."
    if not confirm(question, "Delete it?", yes=yes):
        return 2
    with _alone(folder):
        shutil.rmtree(folder)
    _print_line("Removed.")
    return 0
