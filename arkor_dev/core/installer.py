"""Installs packages into an environment, with the build of PyTorch that suits this machine.

PyTorch's builds differ tenfold in size, and plain pip takes the one for NVIDIA GPUs on every Linux. uv
detects the GPU and knows PyTorch's own package indexes, so it is tried first; if it cannot reach them, pip
installs the build of the configured index. ``arkor-dev setup`` and ``scripts/install.py`` use this module
before any package is installed, so it imports only the standard library.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, TextIO

from .torch_build import CPU_GB, CUDA_GB

if TYPE_CHECKING:
    from collections.abc import Sequence

GIGABYTE: Final = 1e9
SIZES: Final = {"cpu": (0.2, CPU_GB), "cuda": (3.1, CUDA_GB)}
"""GB to download, and on disk afterwards, with all of [local]; measured."""
PAUSE, PAUSE_LOG = 1.0, 10.0
"""Seconds between two lines of progress, on a terminal and elsewhere."""
CACHED_SECONDS: Final = 3600.0
TAIL_LINES: Final = 20
UNITS: Final = {"K": 2**10, "M": 2**20, "G": 2**30}
LOG: Final = "install.log"


@dataclass(frozen=True)
class InstallProgress:
    """An installation so far: seconds, bytes downloaded and written, and its current activity."""

    seconds: float
    fetched: int
    unpacked: int
    now: str


class Display(Protocol):
    """Shows the progress of an installation every ``pause`` seconds."""

    terminal: bool
    pause: float

    def show(self, progress: InstallProgress) -> None:
        """Show it."""

    def close(self) -> None:
        """Clear what a terminal shows."""


class TextDisplay:
    """Progress as text: one line that is redrawn on a terminal, or a line every ten seconds."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self.terminal = out.isatty()
        self.pause = PAUSE if self.terminal else PAUSE_LOG

    def show(self, progress: InstallProgress) -> None:
        """Write the line."""
        line = progress_line(progress)
        columns = shutil.get_terminal_size().columns - 1
        self._out.write(f"\r\x1b[K{line[:columns]}" if self.terminal else f"{line}\n")
        self._out.flush()

    def close(self) -> None:
        """Clear the line."""
        if self.terminal:
            self._out.write("\r\x1b[K")


@dataclass(frozen=True)
class Build:
    """The PyTorch to be installed; ``kind`` is ``cpu``, ``cuda`` or another accelerator's name."""

    version: str
    kind: str


def kind_of(version: str, requires: list[str], system: str = platform.system()) -> str:
    """Return the kind of a build: by the label after ``+`` in its version, or by its requirements."""
    label = version.partition("+")[2]
    if label:
        return "cuda" if label.startswith("cu") else label.rstrip("0123456789.")
    wants_cuda = any(text.startswith(("nvidia-", "cuda-")) for text in requires)
    return "cuda" if wants_cuda and system == "Linux" else "cpu"


def build_lines(build: Build, *, has_gpu: bool) -> list[str]:
    """Return what the user should know of a build before its download starts."""
    name = {"cpu": "for the processor", "cuda": "for NVIDIA GPUs (CUDA)"}.get(build.kind, build.kind)
    line = f"PyTorch {build.version}, the build {name}"
    if build.kind in SIZES:
        fetched, disk = SIZES[build.kind]
        line += f": about {fetched:g} GB to fetch, {disk:g} GB on the disk"
    lines = [f"{line}."]
    if build.kind == "cuda" and not has_gpu:
        lines.append(
            "No NVIDIA GPU was found, but PyTorch's own package index, which has the build for the "
            f"processor ({CPU_GB:g} GB), cannot be reached. This one works as well."
        )
    return lines


def _cached(file: Path) -> tuple[Build, bool] | None:
    """Return the build in a file of `Installer.resolve_torch`, and whether uv found it; None if it is old."""
    try:
        if time.time() - file.stat().st_mtime > CACHED_SECONDS:
            return None
        version, kind, by_uv = json.loads(file.read_text())
    except (OSError, ValueError, TypeError):
        return None
    return Build(str(version), str(kind)), by_uv is True


class Installer:
    """Installs into the environment of ``python``, a path; ``options`` are options of both pip and uv."""

    def __init__(self, python: str, options: Sequence[str] = (), cwd: Path | None = None) -> None:
        self.python = python
        self._options = list(options)
        self._cwd = cwd
        self._pip = [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
        self._uv: str | None = None

    def resolve_torch(self, cache: Path | None = None) -> Build | None:
        """Return the PyTorch that would be installed; None if unknown (the installation reports why).

        A ``cache`` is a file that keeps the answer for an hour: a plan and its installation look it up once.
        """
        if cache and (known := _cached(cache)):
            self._uv = self.find_uv() if known[1] else None
            return known[0]
        self._uv = self.find_uv()
        build = self.build_by_uv(self._uv) if self._uv else None
        if build is None:
            self._uv = None
            build = self._build_by_pip()
        if cache and build:
            cache.parent.mkdir(parents=True, exist_ok=True)
            cache.write_text(json.dumps([build.version, build.kind, self._uv is not None]))
        return build

    def install(self, packages: Sequence[str], folder: Path, display: Display) -> int:
        """Install into the environment ``folder``, logging the installer's output; return the exit code.

        After `resolve_torch`, this installs the PyTorch that it found.
        """
        if self._uv:
            command = self._uv_command(self._uv, *packages)
            if display.terminal:  # uv's own progress is better
                code = subprocess.run(command, cwd=self._cwd, check=False).returncode
            else:
                code = run_shown(command, folder, display, self._cwd)
            if code == 0:
                return 0
        command = [*self._pip, "--progress-bar", "off", *self._options, *packages]
        return run_shown(command, folder, display, self._cwd)

    def find_uv(self) -> str | None:
        """Return the machine's own uv, or one installed into this environment; None without either."""
        if uv := shutil.which("uv"):
            return uv
        command = [*self._pip, "--quiet", *self._options, "uv"]
        subprocess.run(command, check=False, capture_output=True, cwd=self._cwd)
        return shutil.which("uv", path=str(Path(self.python).parent))

    def _uv_command(self, uv: str, *arguments: str) -> list[str]:
        into = ["pip", "install", "--python", self.python, "--torch-backend=auto"]
        return [uv, *into, *self._options, *arguments]

    def build_by_uv(self, uv: str) -> Build | None:
        """Return what uv would install; None, within a moment, if it cannot reach PyTorch's index."""
        done = subprocess.run(
            self._uv_command(uv, "--dry-run", "torch"),
            env={**os.environ, "UV_HTTP_RETRIES": "0", "UV_HTTP_TIMEOUT": "10"},
            capture_output=True,
            text=True,
            check=False,
            cwd=self._cwd,
        )
        version = re.search(r"^ \+ torch==(\S+)", done.stderr, re.MULTILINE)
        return Build(version[1], kind_of(version[1], [])) if done.returncode == 0 and version else None

    def _build_by_pip(self) -> Build | None:
        options = ["--dry-run", "--no-deps", "--ignore-installed", "--quiet", "--report", "-"]
        command = [*self._pip, *options, *self._options, "torch"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self._cwd)
        try:
            metadata = json.loads(done.stdout)["install"][0]["metadata"]
            return Build(metadata["version"], kind_of(metadata["version"], metadata.get("requires_dist", [])))
        except (ValueError, LookupError):
            return None


def bytes_in(folder: Path) -> int:
    """Return the bytes of a folder's files; files that vanish meanwhile count 0."""
    total, folders = 0, [str(folder)]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
        except OSError:
            continue
    return total


def activity_of(output: str) -> str:
    """Return what pip or uv is doing, from its output so far: the file that it downloads last, or unpacks."""
    if re.search("^(Installing collected packages:|Prepared )", output, re.MULTILINE):
        return "unpacking"
    if built := re.findall(r"^Building wheels? for (?:collected packages: )?(.+)$", output, re.MULTILINE):
        return f"compiling {built[-1]}"
    done = set(
        re.findall(r"^ Downloaded (\S+)", output, re.MULTILINE)
    )  # uv's word; it downloads several at once
    downloads = re.findall(r"^ *(?:Downloading|Using cached) (\S+) (\(.*?\))", output, re.MULTILINE)
    return next((f"{name} {size}" for name, size in reversed(downloads) if name not in done), "looking")


def fetched_by_uv(words: str) -> int:
    """Return the bytes of the files that uv has downloaded, from its output; it keeps them in its cache."""
    done = set(re.findall(r"^ Downloaded (\S+)", words, re.MULTILINE))
    sizes = re.findall(r"^Downloading (\S+) \(([\d.]+)([KMG])iB\)", words, re.MULTILINE)
    return sum(int(float(size) * UNITS[unit]) for name, size, unit in sizes if name in done)


def progress_line(progress: InstallProgress) -> str:
    clock = f"{int(progress.seconds) // 60}:{int(progress.seconds) % 60:02}"
    fetched, unpacked = progress.fetched / GIGABYTE, progress.unpacked / GIGABYTE
    return f"{clock}  {fetched:.2f} GB fetched, {unpacked:.2f} GB unpacked  {progress.now}"


def run_shown(command: list[str], folder: Path, display: Display, cwd: Path | None = None) -> int:
    """Run pip or uv for the environment ``folder``, with output in its log; return its exit code."""
    log, site = folder / LOG, folder / "lib"
    bytes_before, began, printed, fetched_bytes = bytes_in(site), time.monotonic(), 0.0, 0
    with tempfile.TemporaryDirectory(dir=folder) as fetched, log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            command, cwd=cwd, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, "TMPDIR": fetched}
        )
        try:
            while _still_runs(process):
                now = time.monotonic() - began
                if now - printed < display.pause - PAUSE:
                    continue
                printed = now
                text = log.read_text(encoding="utf-8", errors="replace")
                fetched_bytes = max(
                    fetched_bytes, bytes_in(Path(fetched)) + fetched_by_uv(text)
                )  # files go once unpacked
                display.show(
                    InstallProgress(now, fetched_bytes, bytes_in(site) - bytes_before, activity_of(text))
                )
        except BaseException:
            process.terminate()
            process.wait()
            raise
        finally:
            display.close()
    return process.returncode


def tail_of(folder: Path) -> str:
    """Return the last lines of an installation that failed, and where the rest is."""
    log = folder / LOG
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:]
    return "\n".join([*lines, f"The installation failed; {log} has all of it."])


def _still_runs(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(PAUSE)
    except subprocess.TimeoutExpired:
        return True
    return False
