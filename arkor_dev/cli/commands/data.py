"""``arkor-dev data check``: finds errors and oddities in the rows of a data set before training.

Sends and changes nothing, and needs no training library.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.text import Text

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.core.plain_text import one_line
from arkor_dev.project.data_check import check_path, check_trainer

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.contract.dataset_shapes import DataCheck, Finding
    from arkor_dev.core.settings import Settings

MARKS: Final = {"error": ("✗", "bold red"), "warning": ("!", "yellow"), "note": ("·", "cyan")}
SHOWN_ROWS: Final = 5
SHOWN_FILES: Final = 10


def run_data(
    settings: Settings,
    action: str | None,
    file: Path | None,
    *,
    trainer: str | None = None,
    as_json: bool = False,
    strict: bool = False,
    seconds: float | None = None,
    console: Console | None = None,
) -> int:
    """Check ``file``, or the data of ``trainer`` (None: the first); return the exit code.

    The code is 1 if there is an error, or with ``strict`` a warning, else 0. Raises BadRequestError for a
    file or a trainer that does not exist.
    """
    if action != "check":
        said = "data needs a subcommand" if action is None else f"unknown subcommand {one_line(action, 80)}"
        raise BadRequestError(f"{said}. Run arkor-dev data check [FILE].")
    if file is not None and trainer is not None:
        raise BadRequestError("Give either FILE or --trainer, not both.")
    console = console or Console()
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), console=console, transient=True
    )
    bar.disable = as_json or not console.is_terminal
    with bar:
        task = bar.add_task("Reading", total=None)

        def progress(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=min(done, total), total=total)

        if file is None:
            report = check_trainer(settings.project, trainer, progress, seconds)
        else:
            report = check_path(file, progress, seconds)
    if as_json:
        console.print(json.dumps(report), markup=False, highlight=False, soft_wrap=True)
    else:
        _show(report, console)
    levels = {finding["level"] for finding in report["findings"]}
    return int("error" in levels or (strict and "warning" in levels))


def _show(report: DataCheck, console: Console) -> None:
    def say(text: str, style: str = "") -> None:
        console.print(Text(text, style), soft_wrap=True)

    for file in report["files"][:SHOWN_FILES]:
        say(f"{one_line(file['name'], 200)}: {file['words']}", "bold")
    if len(report["files"]) > SHOWN_FILES:
        say(f"… and {len(report['files']) - SHOWN_FILES} more files", "bold")
    for finding in report["findings"]:
        say("")
        for line, style in lines_of(finding, SHOWN_ROWS):
            say(line, style)
    say("")
    say(f"{_counted(report['rows'], 'row')}: {_summary(report['findings'])}.")
    if report["leftOut"]:
        say("Not checked:", "dim")
        for text in report["leftOut"]:
            say(f"  {one_line(text)}", "dim")


def lines_of(finding: Finding, rows: int) -> list[tuple[str, str]]:
    """Format a finding as styled lines, with at most ``rows`` of its rows."""
    mark, style = MARKS[finding["level"]]
    lines = [(f"{mark} {finding['title']} ({finding['level']})", style)]
    if rows:
        lines += [(f"  {finding['why']}", ""), (f"  {finding['fix']}", "")]
    shown = finding["rows"][:rows]
    lines += [(f"    {one_line(row['where'], 200)}: {one_line(row['excerpt'])}", "dim") for row in shown]
    if shown and finding["count"] > len(shown):
        lines.append((f"    … and {finding['count'] - len(shown):,} more", "dim"))
    return lines


def _summary(findings: list[Finding]) -> str:
    counts = {level: sum(finding["level"] == level for finding in findings) for level in MARKS}
    said = [_counted(count, level) for level, count in counts.items() if count]
    return ", ".join(said) if said else "nothing found"


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
