"""Options that several commands have, and the commands about jobs and what this machine keeps of them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .command_line import CommandLine

LEVELS = ("debug", "info", "warning", "error")


def _level(text: str) -> str:
    if text not in LEVELS:
        raise argparse.ArgumentTypeError(f"{text} is no level. Choose one of {', '.join(LEVELS)}.")
    return text


# Defaults are left out: a command's would replace what was said before its name.


def add_project(parser: CommandLine) -> None:
    parser.add_argument(
        "--project", metavar="DIR", type=Path, default=argparse.SUPPRESS,
        help="the project's folder (default: the current one)",
    )  # fmt: skip


def add_launch(parser: CommandLine) -> None:
    parser.add_argument(
        "--local", action="store_true", default=argparse.SUPPRESS,
        help="train and chat on this machine: no account, no network needed",
    )  # fmt: skip
    parser.add_argument(
        "--log-level", metavar="LEVEL", type=_level, default=argparse.SUPPRESS,
        help=f"how much to log: {', '.join(LEVELS)} (default: warning)",
    )  # fmt: skip


def add_yes(parser: CommandLine, text: str) -> None:
    parser.add_argument("--yes", action="store_true", default=argparse.SUPPRESS, help=text)


def add_jobs(parser: CommandLine) -> None:
    """``jobs``, and what it does with one."""
    jobs = parser.add_command(
        "jobs",
        "List the jobs, the newest first, or cancel one. A job is named by its id, by the beginning of its "
        "id, or as latest.",
        "[cancel JOB]",
    )
    jobs.add_argument("action", metavar="cancel", nargs="?", help="cancel a job that waits or runs")
    jobs.add_argument("job", metavar="JOB", nargs="?", help="an id, the beginning of one, or latest")
    add_project(jobs)
    add_launch(jobs)
    jobs.add_argument("--json", action="store_true", help="print {jobs: [...]}, or {job} of a cancelled one")


def add_local(parser: CommandLine) -> None:
    """``local``, and what it does with what lies on the disk."""
    local = parser.add_command(
        "local",
        "What this machine keeps of the project's jobs: status says what each takes on the disk, gc removes "
        "what belongs to no job and models that no job uses, path prints the folder, export writes a job "
        "with all its files to one file, and import takes such a file in.",
        "status|gc|path|export JOB FILE|import FILE",
    )
    local.add_argument("action", metavar="ACTION", nargs="?", help="what to do (default: status)")
    local.add_argument(
        "first", metavar="JOB", nargs="?", help="export: an id, the beginning of one, or latest"
    )
    local.add_argument("second", metavar="FILE", nargs="?", help="export and import: the file")
    add_project(local)
    local.add_argument("--json", action="store_true", help="print status as {disk, data, cache}")
    add_yes(local, "gc: remove without asking")
