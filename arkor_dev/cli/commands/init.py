"""``arkor-dev init``: a small project that trains at once, to be changed into one's own.

Its chats lie in ``template/`` as a plain file, so that they can be read and tested as they are; its
``arkor.toml`` is made from the table of settings.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from rich.console import Console

from arkor_dev.contract.errors import ConflictError
from arkor_dev.project.node_tools import typescript_sign
from arkor_dev.project.starter_toml import starter_toml
from arkor_dev.project.toml.problems import FILE

TEMPLATE = Path(__file__).with_name("template")


def project_files() -> dict[Path, bytes]:
    """The files of a new project, relative to its folder, in a fixed order, and what is in them."""
    template = sorted(path for path in TEMPLATE.rglob("*") if path.is_file())
    return {
        Path(FILE): starter_toml().encode(),
        **{path.relative_to(TEMPLATE): path.read_bytes() for path in template},
    }


def initialize(folder: Path) -> list[Path]:
    """Write a new project into ``folder``, creating it where needed; the files written, relative to it.

    Nothing is overwritten, and no TypeScript project is given a second way to be trained: ConflictError
    names what is there already, and then nothing was written.
    """
    declared = typescript_sign(folder)
    if declared is not None:
        raise ConflictError(
            f"{folder} is a TypeScript project: {declared}. Studio would use an arkor.toml in its place. "
            "Nothing was written. Run `arkor-dev start` to train it, or choose another folder: "
            "arkor-dev init my-bot",
        )
    files = project_files()
    there = [file.as_posix() for file in files if _exists(folder / file)]
    if there:
        is_are = "is" if len(there) == 1 else "are"
        raise ConflictError(
            f"{' and '.join(there)} {is_are} in {folder} already. Nothing was written. "
            "Choose an empty folder, or move them away first.",
        )
    written: list[Path] = []
    try:
        for file, content in files.items():
            target = folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as new:
                written.append(file)
                new.write(content)
    except OSError as fault:
        # Half a project would make the next attempt refuse to go on.
        for file in written:
            (folder / file).unlink(missing_ok=True)
        raise ConflictError(f"{fault.filename or folder} cannot be written ({fault.strerror}).") from None
    return written


def run_init(folder: Path, console: Console | None = None) -> int:
    """``arkor-dev init [folder]``: write the project and say what comes next. The exit code."""
    console = console or Console()
    written = initialize(folder)
    for file in written:
        console.print(f"wrote {folder / file}", markup=False, highlight=False, soft_wrap=True)
    here = folder.resolve() == Path.cwd()
    option = "" if here else f" --project {shlex.quote(str(folder))}"
    console.print(
        f"\nNext:\n"
        f"  1. Put your own chats into {folder / 'data' / 'train.jsonl'}, one JSON object a line.\n"
        f"  2. Open Studio and press Run training:  arkor-dev --local{option}\n"
        f"  3. Or train from this terminal:         arkor-dev start --local{option}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    return 0


def _exists(path: Path) -> bool:
    return path.exists() or path.is_symlink()
