"""New projects: the starter, the agent, a TypeScript project, or an ``arkor.toml`` for an existing data file.

The starter's chats are plain files in ``template/``, so that they can be read and tested directly; its
``arkor.toml`` is made from the table of settings. The agent is the folder ``template_agent/`` as it is.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Final

from arkor_dev.contract.errors import ConflictError, unwritten
from arkor_dev.core.plain_text import slug_of

from .node_tools import typescript_sign
from .starter_toml import starter_toml
from .starter_typescript import GITIGNORE, TYPESCRIPT, starter_typescript
from .toml.problems import FILE

TEMPLATE: Final = Path(__file__).with_name("template")
AGENT_TEMPLATE: Final = Path(__file__).with_name("template_agent")
AGENT: Final = "agent"
TEMPLATES: Final = (AGENT, *TYPESCRIPT)


def project_files() -> dict[Path, bytes]:
    """Return the files of a new project with their content, relative to its folder, in a fixed order."""
    return {Path(FILE): starter_toml().encode(), **_files_in(TEMPLATE)}


def _files_in(folder: Path) -> dict[Path, bytes]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {path.relative_to(folder): path.read_bytes() for path in files}


def initialize(folder: Path, template: str | None = None) -> list[Path]:
    """Write a new project into ``folder``, creating it if needed; return the files, relative to it.

    ``template`` is one of `TEMPLATES`: a project that trains an agent, or a TypeScript project. Nothing is
    overwritten, and a TypeScript project gets no ``arkor.toml``: ConflictError then names what exists, and
    nothing was written.
    """
    declared = typescript_sign(folder)
    if declared is not None:
        instead = " Studio would use an arkor.toml in its place." if template is None else ""
        raise ConflictError(
            f"{folder} is a TypeScript project: {declared}.{instead} Nothing was written. "
            "Run `arkor-dev start` to train it, or choose another folder: arkor-dev init my-bot",
        )
    if template is None or template == AGENT:
        files = project_files() if template is None else _files_in(AGENT_TEMPLATE)
    else:
        files = starter_typescript(template, slug_of(folder.resolve().name))
        if _exists(folder / GITIGNORE):
            del files[GITIGNORE]
        if _exists(folder / FILE):
            raise ConflictError(
                f"{FILE} is in {folder} already, and Studio would use it in place of a TypeScript project. "
                "Nothing was written. Choose an empty folder.",
            )
    existing = [file.as_posix() for file in files if _exists(folder / file)]
    if existing:
        is_are = "is" if len(existing) == 1 else "are"
        raise ConflictError(
            f"{' and '.join(existing)} {is_are} in {folder} already. Nothing was written. "
            "Choose an empty folder, or move them away first.",
        )
    created: list[Path] = []
    try:
        for file, content in files.items():
            target = folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as new:
                created.append(file)
                new.write(content)
    except OSError as fault:
        # Half a project would make the next attempt fail.
        for file in created:
            (folder / file).unlink(missing_ok=True)
        raise ConflictError(f"{fault.filename or folder} cannot be written ({fault.strerror}).") from None
    return created


def start_from_data(folder: Path, path: str) -> bool:
    """Write an ``arkor.toml`` that trains on the project's file ``path``; return False if one exists already.

    Raises ConflictError for a TypeScript project, and if it cannot be written.
    """
    if _exists(folder / FILE):
        return False
    if (declared := typescript_sign(folder)) is not None:
        raise ConflictError(
            f"{folder} is a TypeScript project: {declared}. Name the file in its trainer: {path}"
        )
    content = starter_toml(slug_of(PurePosixPath(path).name.partition(".")[0]), path).encode()
    try:
        new = (folder / FILE).open("xb")
    except FileExistsError:
        return False
    except OSError as fault:
        raise ConflictError(f"{FILE} cannot be written ({fault.strerror}).") from None
    try:
        with new:
            new.write(content)
    except OSError as fault:
        (folder / FILE).unlink(missing_ok=True)  # an empty one would be a project without trainers
        raise unwritten(FILE, fault) from None
    return True


def _exists(path: Path) -> bool:
    return path.exists() or path.is_symlink()
