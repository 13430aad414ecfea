"""``arkor-dev data``: ``check`` finds errors and oddities in the rows of a data set, ``fix`` fixes them, and
``reviews`` counts how they were judged.

Sends nothing, and needs no training library. Checking changes nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.text import Text

from arkor_dev.cli.consent import confirm
from arkor_dev.cli.console import print_wrapped
from arkor_dev.contract.errors import BadRequestError
from arkor_dev.contract.rules import counted
from arkor_dev.core.plain_text import one_line
from arkor_dev.project.data_check import check_path, check_trainer

if TYPE_CHECKING:
    from collections.abc import Sequence
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
    fixes: Fixes | None = None,
    console: Console | None = None,
) -> int:
    """Check ``file``, or the data of ``trainer`` (None: the first), or fix the latter; return the exit code.

    The code of a check is 1 if there is an error, or with ``strict`` a warning, else 0. Raises
    BadRequestError for a file or a trainer that does not exist.
    """
    if action in ("fix", "reviews"):
        if file is not None:
            raise BadRequestError(f"data {action} is for the data of a trainer in arkor.toml: use --trainer.")
        if action == "reviews":
            return _reviews(settings, trainer, console or Console(), as_json=as_json)
        return _fix(settings, trainer, fixes or Fixes(), console or Console(), as_json=as_json)
    if action != "check":
        problem = (
            "data needs a subcommand" if action is None else f"unknown subcommand {one_line(action, 80)}"
        )
        raise BadRequestError(f"{problem}. Run arkor-dev data check [FILE], data fix or data reviews.")
    if file is not None and trainer is not None:
        raise BadRequestError("Give either FILE or --trainer, not both.")
    console = console or Console()
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), console=console, transient=True
    )
    bar.disable = as_json or not console.is_terminal
    with bar:
        task = bar.add_task("Reading", total=None)

        def progress(label: str, done: int, total: int) -> None:
            bar.update(task, description=label, completed=min(done, total), total=total)

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


@dataclass(frozen=True, slots=True)
class Fixes:
    """The options of ``data fix``: only these findings, only this row; ``yes`` answers the question."""

    only: Sequence[str] = ()
    row: int | None = None
    dry_run: bool = False
    yes: bool = False


def _fix(settings: Settings, trainer: str | None, fixes: Fixes, console: Console, *, as_json: bool) -> int:
    from arkor_dev.project.arkor_toml import parse, read
    from arkor_dev.project.data_editor import DataEditor
    from arkor_dev.project.data_fix import as_wire, files_to_fix, plan_fixes

    project = settings.project
    name = trainer or parse(project, read(project))[0]["name"]
    files, held_out = files_to_fix(project, name)
    plan = plan_fixes(files, held_out, fixes.only, fixes.row)
    if as_json:
        console.print(json.dumps(as_wire(plan)), markup=False, highlight=False, soft_wrap=True)
    else:
        for text in plan.left_out:
            print_wrapped(console, Text(f"Left out: {text}", "dim"))
        for line in "".join(plan.diff).splitlines():
            style = {"-": "red", "+": "green", "@": "cyan"}.get(line[:1], "")
            console.print(Text(line, style), soft_wrap=True)
        counts_text = ", ".join(f"{kind} {count:,}" for kind, count in plan.counts.items())
        rows = counted(len(plan.changes), "row")
        print_wrapped(console, Text(f"{rows} to fix: {counts_text}." if counts_text else "Nothing to fix."))
    if fixes.dry_run or not plan.changes:
        return 0
    names = ", ".join(dict.fromkeys(file.name for file in (*files, *held_out)))
    if not confirm(
        f"This changes {counted(len(plan.changes), 'row')} of {names}.", "Change them?", yes=fixes.yes
    ):
        return 1
    done = DataEditor(project).change_files([*files, *held_out], plan.changes)
    if not as_json:
        print_wrapped(console, Text(f"Fixed {counted(done['rows'], 'row')} in {', '.join(done['files'])}."))
    return 0


def _reviews(settings: Settings, trainer: str | None, console: Console, *, as_json: bool) -> int:
    from arkor_dev.project.arkor_toml import parse, read
    from arkor_dev.project.data_editor import DataEditor
    from arkor_dev.project.reviews import reviews_of, summary

    project = settings.project
    name = trainer or parse(project, read(project))[0]["name"]
    judged = summary(reviews_of(project), DataEditor(project).files_of(name))
    if as_json:
        console.print(json.dumps(judged), markup=False, highlight=False, soft_wrap=True)
        return 0

    def say(text: str, style: str = "") -> None:
        print_wrapped(console, Text(text, style))

    counts = [
        ("accepted", judged["accepted"]),
        ("rejected", judged["rejected"]),
        ("flagged", judged["flagged"]),
    ]
    words = [*(f"{count:,} {verdict}" for verdict, count in counts), f"{judged['unseen']:,} unseen"]
    say(f"{one_line(name, 200)}, {counted(judged['rows'], 'row')}: {', '.join(words)}.")
    if judged["made"]:
        say(
            f"{counted(judged['made'], 'row')} made by a program: not trained on until somebody accepts them."
        )
    if judged["disputed"]:
        say(f"People disagree on {counted(judged['disputed'], 'row')}.")
    for title, entries in (("Tags", judged["tags"]), ("People", judged["people"])):
        if entries:
            listed = ", ".join(
                f"{one_line(entry['name'], 100) or '?'} {entry['rows']:,}" for entry in entries
            )
            say(f"{title}: {listed}")
    for entry in judged["agreement"]:
        a, b = (one_line(person, 100) or "?" for person in entry["people"])
        kappa = "kappa is not defined: both gave a single verdict"
        if entry["kappa"] is not None:
            kappa = f"kappa {entry['kappa']:.2f} (95 % {entry['low']:.2f} to {entry['high']:.2f})"
        say(f"Agreement of {a} and {b}: {entry['equal']:,} of {counted(entry['rows'], 'row')}, {kappa}")
    return 0


def _show(report: DataCheck, console: Console) -> None:
    def say(text: str, style: str = "") -> None:
        print_wrapped(console, Text(text, style))

    for file in report["files"][:SHOWN_FILES]:
        say(f"{one_line(file['name'], 200)}: {file['words']}", "bold")
    if len(report["files"]) > SHOWN_FILES:
        say(f"… and {len(report['files']) - SHOWN_FILES} more files", "bold")
    for finding in report["findings"]:
        say("")
        for line, style in lines_of(finding, SHOWN_ROWS):
            say(line, style)
    say("")
    say(f"{counted(report['rows'], 'row')}: {_summary(report['findings'])}.")
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
    rows_shown = finding["rows"][:rows]
    lines += [(f"    {one_line(row['where'], 200)}: {one_line(row['excerpt'])}", "dim") for row in rows_shown]
    if rows_shown and finding["count"] > len(rows_shown):
        lines.append((f"    … and {finding['count'] - len(rows_shown):,} more", "dim"))
    return lines


def _summary(findings: list[Finding]) -> str:
    counts = {level: sum(finding["level"] == level for finding in findings) for level in MARKS}
    parts = [counted(count, level) for level, count in counts.items() if count]
    return ", ".join(parts) if parts else "nothing found"
