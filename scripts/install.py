"""Installs this package into .venv, with the build of PyTorch that suits this machine.

    .venv/bin/python scripts/install.py EXTRAS        such as local,dev

PyTorch's builds differ tenfold in size, and plain pip takes the one for NVIDIA GPUs on every Linux. uv looks
at the machine and knows PyTorch's own package indexes, so it is asked first; where it cannot reach them, pip
installs what the configured index has. What is fetched is said beforehand, and how far it is while it runs.
Uses the standard library alone.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from arkor_dev.core.torch_build import CPU_GB, CUDA_GB, has_nvidia_gpu  # noqa: E402 (not installed yet)

CONSTRAINTS = ["--constraint", str(ROOT / "constraints.txt")]
PIP = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
GIGABYTE = 1e9
SIZES = {"cpu": (0.2, CPU_GB), "cuda": (3.1, CUDA_GB)}
"""GB to download, and on disk afterwards, with all of [local]; measured."""
PAUSE, PAUSE_LOG = 1.0, 10.0
TAIL_LINES = 20


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


def announcement(extras: str, build: Build | None, *, has_gpu: bool) -> str:
    """Return what the user should know before the download starts."""
    lines = [f"Installing Arkor Studio [{extras}] into .venv, once."]
    if build is not None:
        name = {"cpu": "for the processor", "cuda": "for NVIDIA GPUs (CUDA)"}.get(build.kind, build.kind)
        line = f"PyTorch {build.version}, the build {name}"
        if build.kind in SIZES:
            fetched, disk = SIZES[build.kind]
            line += f": about {fetched:g} GB to fetch, {disk:g} GB on the disk"
        lines.append(f"{line}.")
        if build.kind == "cuda" and not has_gpu:
            lines.append(
                "No NVIDIA GPU was found, but PyTorch's own package index, which has the build for the "
                f"processor ({CPU_GB:g} GB), cannot be reached. This one works as well."
            )
    if "gguf" in extras.split(","):
        lines.append("llama.cpp (llama-cpp-python): compiled here, some 3 minutes on two cores.")
        if not any(map(shutil.which, ("c++", "g++", "clang++"))):
            lines.append(
                "It needs a C++ compiler, and there is none. On Debian and Ubuntu: apt install g++ cmake"
            )
    return "\n".join(lines)


def find_uv() -> str | None:
    """Return the machine's own uv, or one installed into this environment; None if neither is available."""
    if found := shutil.which("uv"):
        return found
    subprocess.run([*PIP, "--quiet", *CONSTRAINTS, "uv"], check=False, capture_output=True)
    return shutil.which("uv", path=str(Path(sys.executable).parent))


def uv_command(uv: str, *arguments: str) -> list[str]:
    """Return the command by which uv installs the suitable PyTorch into this environment."""
    into = ["pip", "install", "--python", sys.executable, "--torch-backend=auto"]
    return [uv, *into, *CONSTRAINTS, *arguments]


def build_by_uv(uv: str) -> Build | None:
    """Return what uv would install; None, within a moment, if it cannot reach PyTorch's index."""
    done = subprocess.run(
        uv_command(uv, "--dry-run", "torch"),
        env={**os.environ, "UV_HTTP_RETRIES": "0", "UV_HTTP_TIMEOUT": "10"},
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"^ \+ torch==(\S+)", done.stderr, re.MULTILINE)
    return Build(found[1], kind_of(found[1], [])) if done.returncode == 0 and found else None


def build_by_pip() -> Build | None:
    """Return what plain pip would install; None if it cannot say (the installation will say why)."""
    asked = ["--dry-run", "--no-deps", "--ignore-installed", "--quiet", "--report", "-"]
    done = subprocess.run([*PIP, *asked, *CONSTRAINTS, "torch"], capture_output=True, text=True, check=False)
    try:
        found = json.loads(done.stdout)["install"][0]["metadata"]
        return Build(found["version"], kind_of(found["version"], found.get("requires_dist", [])))
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


def doing(words: str) -> str:
    """Return what pip is doing, from its output so far: the file that it downloads last, or unpacks."""
    if "Installing collected packages:" in words:
        return "unpacking"
    if built := re.findall(r"^Building wheels? for (?:collected packages: )?(.+)$", words, re.MULTILINE):
        return f"compiling {built[-1]}"
    found = re.findall(r"^ *(?:Downloading|Using cached) (\S+ \(.*?\))", words, re.MULTILINE)
    return str(found[-1]) if found else "looking"


def progress_line(fetched: int, unpacked: int, now: str, seconds: float) -> str:
    """Pip's progress: the time, the bytes downloaded and written, and its current activity."""
    clock = f"{int(seconds) // 60}:{int(seconds) % 60:02}"
    return f"{clock}  {fetched / GIGABYTE:.2f} GB fetched, {unpacked / GIGABYTE:.2f} GB unpacked  {now}"


def run_shown(command: list[str], folder: Path, out: TextIO) -> int:
    """Run pip for the environment ``folder``, with output in ``folder/install.log``; return its exit code.

    Progress goes to ``out``: one line that is redrawn on a terminal, or a line every ten seconds.
    """
    terminal, log, site = out.isatty(), folder / "install.log", folder / "lib"
    before, began, told = bytes_in(site), time.monotonic(), 0.0
    with tempfile.TemporaryDirectory(dir=folder) as fetched, log.open("w", encoding="utf-8") as words:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=words, stderr=subprocess.STDOUT, env={**os.environ, "TMPDIR": fetched}
        )
        try:
            while _still_runs(process):
                now = time.monotonic() - began
                if not terminal and now - told < PAUSE_LOG:
                    continue
                told = now
                said = doing(log.read_text(encoding="utf-8", errors="replace"))
                line = progress_line(bytes_in(Path(fetched)), bytes_in(site) - before, said, now)
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


def _still_runs(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(PAUSE)
    except subprocess.TimeoutExpired:
        return True
    return False


def main(extras: str) -> int:
    """Install; return the exit code of the last installer."""
    folder, package = Path(sys.prefix), ["--editable", f".[{extras}]"]
    began, build, uv = time.monotonic(), None, None
    if "local" in extras.split(","):
        print("Looking for the PyTorch that suits this machine …", flush=True)
        uv = find_uv()
        build = build_by_uv(uv) if uv else None
        if build is None:
            uv, build = None, build_by_pip()
    print(announcement(extras, build, has_gpu=has_nvidia_gpu()), flush=True)
    # uv shows its own progress.
    code = subprocess.run(uv_command(uv, *package), cwd=ROOT, check=False).returncode if uv else 1
    if code != 0:
        code = run_shown([*PIP, "--progress-bar", "off", *CONSTRAINTS, *package], folder, sys.stdout)
        if code != 0:
            log = folder / "install.log"
            tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:]
            print(*tail, f"The installation failed; {log} has all of it.", sep="\n", file=sys.stderr)
            return code
    size = bytes_in(folder) / GIGABYTE
    print(f"Installed in {time.monotonic() - began:.0f} s; .venv holds {size:.1f} GB.", flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1]))
    except KeyboardInterrupt:
        sys.exit(130)
