"""Installs packages into an environment, with the build of PyTorch that suits this machine.

PyTorch's builds differ tenfold in size, and plain pip takes the one for NVIDIA GPUs on every Linux. uv looks
at the machine and knows PyTorch's own package indexes, so it is asked first; where it cannot reach them, pip
installs what the configured index has. Used by ``arkor-dev setup`` and by ``scripts/install.py``, before any
package is installed: the standard library alone.
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
from typing import TYPE_CHECKING, Final, TextIO

from .torch_build import CPU_GB, CUDA_GB

if TYPE_CHECKING:
    from collections.abc import Sequence

GIGABYTE: Final = 1e9
SIZES: Final = {"cpu": (0.2, CPU_GB), "cuda": (3.1, CUDA_GB)}
"""GB to download, and on disk afterwards, with all of [local]; measured."""
PAUSE, PAUSE_LOG = 1.0, 10.0
"""Seconds between two lines of progress, on a terminal and elsewhere."""
TAIL_LINES: Final = 20
LOG: Final = "install.log"


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


class Installer:
    """Installs into the environment of ``python``, a path; ``options`` are options of both pip and uv."""

    def __init__(self, python: str, options: Sequence[str] = (), cwd: Path | None = None) -> None:
        self.python = python
        self._options = list(options)
        self._cwd = cwd
        self._pip = [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
        self._uv: str | None = None

    def resolve_torch(self) -> Build | None:
        """Return the PyTorch that would be installed; None if nobody can say (the installation says why)."""
        self._uv = self.find_uv()
        if self._uv and (build := self.build_by_uv(self._uv)):
            return build
        self._uv = None
        return self._build_by_pip()

    def install(self, packages: Sequence[str], folder: Path, out: TextIO) -> int:
        """Install into the environment ``folder``, with pip's output in its log; return the exit code.

        After `resolve_torch`, the PyTorch that it has found. Progress goes to ``out``.
        """
        if self._uv:  # it shows its own progress
            done = subprocess.run(self._uv_command(self._uv, *packages), cwd=self._cwd, check=False)
            if done.returncode == 0:
                return 0
        command = [*self._pip, "--progress-bar", "off", *self._options, *packages]
        return run_shown(command, folder, out, self._cwd)

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
    """Return what pip is doing, from its output so far: the file that it downloads last, or unpacks."""
    if "Installing collected packages:" in output:
        return "unpacking"
    if built := re.findall(r"^Building wheels? for (?:collected packages: )?(.+)$", output, re.MULTILINE):
        return f"compiling {built[-1]}"
    downloads = re.findall(r"^ *(?:Downloading|Using cached) (\S+ \(.*?\))", output, re.MULTILINE)
    return str(downloads[-1]) if downloads else "looking"


def progress_line(fetched: int, unpacked: int, now: str, seconds: float) -> str:
    """Return pip's progress: the time, the bytes downloaded and written, and its current activity."""
    clock = f"{int(seconds) // 60}:{int(seconds) % 60:02}"
    return f"{clock}  {fetched / GIGABYTE:.2f} GB fetched, {unpacked / GIGABYTE:.2f} GB unpacked  {now}"


def run_shown(command: list[str], folder: Path, out: TextIO, cwd: Path | None = None) -> int:
    """Run pip for the environment ``folder``, with output in its log; return its exit code.

    Progress goes to ``out``: one line that is redrawn on a terminal, or a line every ten seconds.
    """
    terminal, log, site = out.isatty(), folder / LOG, folder / "lib"
    bytes_before, began, printed = bytes_in(site), time.monotonic(), 0.0
    with tempfile.TemporaryDirectory(dir=folder) as fetched, log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            command, cwd=cwd, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, "TMPDIR": fetched}
        )
        try:
            while _still_runs(process):
                now = time.monotonic() - began
                if not terminal and now - printed < PAUSE_LOG:
                    continue
                printed = now
                activity = activity_of(log.read_text(encoding="utf-8", errors="replace"))
                line = progress_line(bytes_in(Path(fetched)), bytes_in(site) - bytes_before, activity, now)
                columns = shutil.get_terminal_size().columns - 1
                out.write(f"\r\x1b[K{line[:columns]}" if terminal else f"{line}\n")
                out.flush()
        except BaseException:
            process.terminate()
            process.wait()
            raise
        finally:
            if terminal:
                out.write("\r\x1b[K")
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
