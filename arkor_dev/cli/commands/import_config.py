"""``arkor-dev import-config FILE``: another tool's training configuration as a trainer of this project."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from arkor_dev.contract.errors import BadRequestError, ConflictError
from arkor_dev.core.atomic_write import ChangedError, replace_regular, write_private
from arkor_dev.core.plain_text import one_line
from arkor_dev.project.arkor_toml import parse, read
from arkor_dev.project.import_config.convert import as_toml, convert, name_of
from arkor_dev.project.node_tools import typescript_sign
from arkor_dev.project.toml.problems import FILE

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.core.settings import Settings
    from arkor_dev.project.import_config.conversion import Conversion


def run_import_config(
    settings: Settings,
    file: Path | None,
    *,
    name: str | None = None,
    dry_run: bool = False,
    as_json: bool = False,
    console: Console | None = None,
) -> int:
    """Convert ``file`` to a trainer of ``arkor.toml`` and list its unconverted lines; return the exit code.

    With ``dry_run`` nothing is written. Raises BadRequestError for the file of an unknown tool, and
    ConflictError if the project has a trainer of this name, or nothing can be written.
    """
    if file is None:
        raise BadRequestError("Name the file to import: arkor-dev import-config FILE.")
    project = settings.project
    conversion = convert(file, project)
    name = name or name_of(file)
    trainer = as_toml(conversion, name)
    before = _existing(project)
    after = f"{before.rstrip()}\n\n{trainer}" if before else trainer
    problems = _problems(project, after, name)
    if not dry_run:
        _write(project, before, after)
    if as_json:
        outcome = {
            "tool": conversion.tool,
            "trainer": name,
            "toml": trainer,
            "notes": [{"line": note.line, "key": note.key, "text": note.text} for note in conversion.notes],
            "unneeded": conversion.unneeded,
            "problem": problems,
        }
        print(json.dumps(outcome, ensure_ascii=False, indent=2))  # noqa: T201
        return 0
    _print(console or Console(), conversion, file, trainer, dry_run=dry_run)
    _print_next(console or Console(), settings, name, problems, dry_run=dry_run)
    return 0


def _existing(project: Path) -> str:
    """Return the text of ``arkor.toml``, empty if there is none."""
    if (project / FILE).exists() or (project / FILE).is_symlink():
        return read(project)
    if (declared := typescript_sign(project)) is not None:
        raise ConflictError(
            f"{project} is a TypeScript project: {declared}. Nothing was written. Choose another folder with "
            "--project."
        )
    return ""


def _problems(project: Path, text: str, name: str) -> str | None:
    """Return what keeps the new trainer from running, such as missing data. Raises ConflictError."""
    trainers = parse(project, text)
    *existing, new = trainers
    if any(trainer["name"] == name for trainer in existing):
        raise ConflictError(
            f"{FILE} has a trainer {name} already. Nothing was written. Give another name with --name."
        )
    return new.get("problem")


def _write(project: Path, before: str, after: str) -> None:
    path = project / FILE
    try:
        if before:
            replace_regular(path, after.encode(), before.encode())
        else:
            write_private(path, after.encode(), exclusive=True, folder_mode=0o755)
            path.chmod(0o644)
    except (ChangedError, FileExistsError):
        raise ConflictError(
            f"{FILE} has changed in the meantime, so nothing was written. Run it again."
        ) from None
    except OSError as fault:
        raise ConflictError(f"{FILE} cannot be written ({fault.strerror}). Nothing was written.") from None


def _print(console: Console, conversion: Conversion, file: Path, trainer: str, *, dry_run: bool) -> None:
    done = "would become" if dry_run else "is now a trainer of arkor.toml"
    _line(console, f"{file.name} ({conversion.tool}) {done}:\n")
    for line in trainer.splitlines():
        _line(console, f"    {line}" if line else "", style="cyan")
    if conversion.notes:
        _line(console, "\nNot carried over, or not exactly:\n", style="bold")
        width = max(len(str(note.line)) for note in conversion.notes)
        for note in conversion.notes:
            text = Text(f"  line {note.line:>{width}}  ", style="dim")
            text.append(one_line(note.key, 60), style="not dim bold")
            text.append(f": {one_line(note.text, 300)}", style="not dim")
            console.print(text, soft_wrap=True)
    if conversion.unneeded:
        names = ", ".join(one_line(key, 60) for key in dict.fromkeys(conversion.unneeded))
        _line(console, f"\nNo effect on training here: {names}.", style="dim")


def _print_next(
    console: Console, settings: Settings, name: str, problems: str | None, *, dry_run: bool
) -> None:
    if dry_run:
        _line(console, "\nNothing was written (--dry-run).")
    elif problems:
        _line(console, f"\nBefore it can train:\n  {problems}")
    else:
        is_current = settings.project.resolve().samefile(".")
        option = "" if is_current else f" --project {shlex.quote(str(settings.project))}"
        commands = (f"data check --trainer {shlex.quote(name)}", f"start --local {shlex.quote(name)}")
        _line(console, "\nNext:\n" + "\n".join(f"  arkor-dev {command}{option}" for command in commands))


def _line(console: Console, text: str, style: str = "") -> None:
    console.print(Text(text, style=style), soft_wrap=True)
