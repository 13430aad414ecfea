"""``arkor-dev init``: a small project that trains at once, to be changed into one's own.

Its chats lie in ``template/`` as a plain file, so that they can be read and tested as they are; its
``arkor.toml`` is made from the table of settings. With ``--template`` it is a TypeScript project.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from rich.console import Console

from arkor_dev.contract.errors import ConflictError
from arkor_dev.core.slug import slug_of
from arkor_dev.project.node_tools import typescript_sign
from arkor_dev.project.starter_toml import starter_toml
from arkor_dev.project.starter_typescript import GITIGNORE, starter_typescript
from arkor_dev.project.toml.problems import FILE

TEMPLATE = Path(__file__).with_name("template")


def project_files() -> dict[Path, bytes]:
    """The files of a new project, relative to its folder, in a fixed order, and what is in them."""
    template = sorted(path for path in TEMPLATE.rglob("*") if path.is_file())
    return {
        Path(FILE): starter_toml().encode(),
        **{path.relative_to(TEMPLATE): path.read_bytes() for path in template},
    }


def initialize(folder: Path, template: str | None = None) -> list[Path]:
    """Write a new project into ``folder``, creating it where needed; the files written, relative to it.

    With a ``template`` of `starter_typescript` it is a TypeScript project. Nothing is overwritten, and no
    TypeScript project is given a second way to be trained: ConflictError names what is there already, and
    then nothing was written.
    """
    declared = typescript_sign(folder)
    if declared is not None:
        instead = " Studio would use an arkor.toml in its place." if template is None else ""
        raise ConflictError(
            f"{folder} is a TypeScript project: {declared}.{instead} Nothing was written. "
            "Run `arkor-dev start` to train it, or choose another folder: arkor-dev init my-bot",
        )
    if template is None:
        files = project_files()
    else:
        files = starter_typescript(template, slug_of(folder.resolve().name))
        if _exists(folder / GITIGNORE):
            del files[GITIGNORE]
        if _exists(folder / FILE):
            raise ConflictError(
                f"{FILE} is in {folder} already, and Studio would use it in place of a TypeScript project. "
                "Nothing was written. Choose an empty folder.",
            )
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


def run_init(folder: Path, console: Console | None = None, *, template: str | None = None) -> int:
    """``arkor-dev init [folder]``: write the project and say what comes next. The exit code."""
    console = console or Console()
    written = initialize(folder, template)
    for file in written:
        console.print(f"wrote {folder / file}", markup=False, highlight=False, soft_wrap=True)
    here = folder.resolve() == Path.cwd()
    where = shlex.quote(str(folder))
    option = "" if here else f" --project {where}"
    local = " --local" if template is None else ""
    if template is None:
        first = f"Put your own chats into {folder / 'data' / 'train.jsonl'}, one JSON object a line."
    else:
        first = f"Install the arkor package:            npm install{'' if here else f' --prefix {where}'}"
    console.print(
        f"\nNext:\n"
        f"  1. {first}\n"
        f"  2. Open Studio and press Run training:  arkor-dev{local}{option}\n"
        f"  3. Or train from this terminal:         arkor-dev start{local}{option}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    return 0


def _exists(path: Path) -> bool:
    return path.exists() or path.is_symlink()
