"""``arkor-dev setup``: installs the local engine into a separate environment.

For installations of only the core, so that users need not know about extras.
The next call continues an interrupted installation.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, TextIO

from arkor_dev.cli.consent import can_ask, confirm
from arkor_dev.contract.errors import BadRequestError, ConflictError, InternalError
from arkor_dev.core.installer import (
    GIGABYTE,
    SIZES,
    Build,
    Display,
    Installer,
    InstallProgress,
    TextDisplay,
    build_lines,
    bytes_in,
    tail_of,
)
from arkor_dev.core.torch_build import has_nvidia_gpu
from arkor_dev.identity.engine import (
    FOLDER,
    REQUIRED,
    engine_folder,
    engine_python,
    is_complete,
    needs,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arkor_dev.core.settings import Settings

SPARE_GB: Final = 0.5
BUILD: Final = "pytorch-build.json"
NEXT: Final = "Next: arkor-dev --local --open"


class SetupReport(Protocol):
    """Reports the progress of a setup, to a person or to a program."""

    display: Display

    def looking(self) -> None:
        """Report that PyTorch's builds are being examined."""

    def plan(self, build: Build | None, target: Path, free: int) -> None:
        """Report what goes where; ``free`` is in bytes."""

    def installed(self, target: Path, seconds: float | None) -> None:
        """Report that it is installed: after ``seconds``, or already before."""


class SetupMessages:
    """Prints messages for the user."""

    def __init__(self) -> None:
        self.display: Display = TextDisplay(sys.stdout)

    def looking(self) -> None:
        _say("Looking for the PyTorch that suits this machine …")

    def plan(self, build: Build | None, target: Path, free: int) -> None:
        if build is not None:
            _say("\n".join(build_lines(build, has_gpu=has_nvidia_gpu())))
        _say(f"{_goes_into(target)} ({free / GIGABYTE:.0f} GB are free there).")

    def installed(self, target: Path, seconds: float | None) -> None:
        size = bytes_in(target) / GIGABYTE
        _say(
            f"The local engine is installed: {target}, {size:.1f} GB.\n{NEXT}"
            if seconds is None
            else f"Installed in {seconds:.0f} s; {target} holds {size:.1f} GB.\n{NEXT}"
        )


class JsonReport:
    """Prints one JSON object per line, for programs: ``{"step": "looking" | "plan" | "progress" |
    "installed", …}``.
    """

    terminal = False
    pause = 1.0

    def __init__(self) -> None:
        self.display: Display = self

    def looking(self) -> None:
        self._write(step="looking")

    def plan(self, build: Build | None, target: Path, free: int) -> None:
        gpu = has_nvidia_gpu()
        fetch, disk = SIZES.get(build.kind, (None, None)) if build else (None, None)
        self._write(
            step="plan", folder=str(target), free=free, pytorch=build and build.version,
            fetch=fetch and round(fetch * GIGABYTE), disk=disk and round(disk * GIGABYTE),
            words=build_lines(build, has_gpu=gpu) if build else [],
        )  # fmt: skip

    def show(self, progress: InstallProgress) -> None:
        self._write(
            step="progress", seconds=round(progress.seconds, 1), fetched=progress.fetched,
            unpacked=progress.unpacked, now=progress.now,
        )  # fmt: skip

    def close(self) -> None:
        pass

    def installed(self, target: Path, seconds: float | None) -> None:
        self._write(step="installed", folder=str(target), bytes=bytes_in(target), seconds=seconds)

    def _write(self, **fields: object) -> None:
        _say(json.dumps(fields))


def run_setup(settings: Settings, *, yes: bool, dry_run: bool, remove: bool, as_json: bool = False) -> int:
    """Install, say what would be installed, or remove it; return the exit code. Raises ArkorError.

    ``as_json`` prints one object per line: see `JsonReport`.
    """
    if remove:
        return _remove(settings, yes=yes)
    report: SetupReport = JsonReport() if as_json else SetupMessages()
    if is_complete():
        if as_json:
            report.installed(Path(sys.prefix), None)
        else:
            _say(f"This Python has all that local training needs: {sys.prefix}\n{NEXT}")
        return 0
    target = engine_folder(settings)
    if engine_python(settings):
        report.installed(target, None)
        return 0
    packages = needs()
    if not (dry_run or yes or can_ask()):
        raise BadRequestError("There is no terminal to ask at: add --yes to install, or --dry-run to look.")
    if dry_run:
        with tempfile.TemporaryDirectory() as scratch:
            report.looking()
            _plan(report, _installer(Path(scratch) / "env"), target, settings.cache)
        return 0
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(target.parent):
        began, part = time.monotonic(), target.with_name(f"{target.name}.part")
        report.looking()
        installer = _installer(part)
        _plan(report, installer, target, settings.cache)
        if not confirm(f"{_goes_into(target)}.", "Install it?", yes=yes):
            return 2
        if installer.install(packages, part, report.display):
            _say(tail_of(part), sys.stderr)
            _say("Run `arkor-dev setup` again to continue.", sys.stderr)
            return 1
        _check(installer.python)
        part.rename(target)
        report.installed(target, round(time.monotonic() - began, 1))
    return 0


def _say(text: str, out: TextIO | None = None) -> None:
    print(text, file=out, flush=True)


def _goes_into(target: Path) -> str:
    return f"The local engine goes into an environment of its own: {target}"


def _installer(folder: Path) -> Installer:
    """Return an installer for a new environment in ``folder``, or one whose installation was interrupted."""
    python = folder / "bin" / "python"
    if not python.exists():
        result = subprocess.run(
            [sys.executable, "-m", "venv", str(folder)], capture_output=True, text=True, check=False
        )
        uv = shutil.which("uv")
        if result.returncode and uv:
            argv = [uv, "venv", "--quiet", "--seed", "--clear", "--python", sys.executable, str(folder)]
            result = subprocess.run(argv, capture_output=True, text=True, check=False)
        if result.returncode:
            lines = (result.stderr or result.stdout).strip().splitlines()
            raise BadRequestError(
                f"This Python cannot make environments: {lines[-1] if lines else 'no reason was given'}. On "
                "Debian and Ubuntu: apt install python3-venv"
            )
    return Installer(str(python))


def _plan(report: SetupReport, installer: Installer, target: Path, cache: Path) -> None:
    """Say what will be installed where. Raises BadRequestError for a full disk."""
    build = installer.resolve_torch(cache / BUILD)
    existing = next(folder for folder in target.parents if folder.exists())
    free = shutil.disk_usage(existing).free
    report.plan(build, target, free)
    size = SIZES[build.kind][1] if build is not None and build.kind in SIZES else None
    if size is not None and free < (size + SPARE_GB) * GIGABYTE:
        raise BadRequestError(
            f"{free / GIGABYTE:.1f} GB are free in {existing}, and {size + SPARE_GB:.1f} GB are needed. "
            "Free some."
        )


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
        _say("There is no local engine to remove.")
        return 0
    size = bytes_in(folder) / GIGABYTE
    description = f"{folder} holds the local engine, {size:.1f} GB. Jobs and adapters are elsewhere."
    if not confirm(description, "Delete it?", yes=yes):
        return 2
    with _alone(folder):
        shutil.rmtree(folder)
    _say("Removed.")
    return 0
