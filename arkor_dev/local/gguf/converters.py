"""llama.cpp's own converters from the source distribution of llama-cpp-python, downloaded once and verified.

The installed package contains only the compiled library. Later versions still read older GGUF files, so one
version of the converters is used, whichever version of the extra is installed.
"""

from __future__ import annotations

import shutil
import tarfile
from typing import TYPE_CHECKING, Final

from arkor_dev.local.models.downloads import locked
from arkor_dev.local.models.package_index import fetched
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Progress = Callable[[str, float, float | None, str], None]

VERSION: Final = "0.3.36"
PACKAGE: Final = f"llama-cpp-python=={VERSION}"
BYTES: Final = 76_589_250
SHA256: Final = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"
TITLE: Final = "llama.cpp's converters"
TOP: Final = f"llama_cpp_python-{VERSION}/vendor/llama.cpp/"
FILES: Final = ("convert_hf_to_gguf.py", "convert_lora_to_gguf.py", "LICENSE")
FOLDERS: Final = ("conversion/", "gguf-py/gguf/")
MOST_BYTES: Final = 2**26
"""Size limit of the extracted files in bytes; they take some 3 MB."""


def converters(cache: Path, progress: Progress) -> Path:
    """Return the folder of the converters in ``cache``. Raises JobFailure."""
    folder = cache / f"llama.cpp-{VERSION}"
    with locked(cache / f".{folder.name}.lock", progress):
        if folder.is_dir():
            return folder
        work = cache / f".{folder.name}.work"
        work.mkdir(parents=True, exist_ok=True)
        archive = fetched(
            PACKAGE, work / "source.tar.gz", BYTES, SHA256, TITLE, progress, ["--no-binary=llama-cpp-python"]
        )
        part = work / "unpacked"
        shutil.rmtree(part, ignore_errors=True)
        unpack(archive, part, TOP)
        part.rename(folder)
        shutil.rmtree(work, ignore_errors=True)
    return folder


def unpack(archive: Path, folder: Path, top: str) -> None:
    """Extract the converters, which are below ``top`` in the archive, into ``folder``. Raises JobFailure."""
    count = 0
    with tarfile.open(archive) as source:
        for member in source:
            name = member.name.removeprefix(top)
            if name == member.name or not (name in FILES or name.startswith(FOLDERS)) or not member.isfile():
                continue
            count += member.size
            packed = source.extractfile(member)
            if packed is None or ".." in name.split("/") or count > MOST_BYTES:
                raise JobFailure(f"{PACKAGE} is not as expected: {name[:200]}")
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                shutil.copyfileobj(packed, file)
    if not all((folder / name).is_file() for name in FILES):
        raise JobFailure(f"{PACKAGE} has no converters at the expected path: install another version")
