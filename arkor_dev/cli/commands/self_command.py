"""``arkor-dev self``: updates or removes this installation with the tool that made it."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING

from arkor_dev.cli.consent import confirm
from arkor_dev.contract.errors import BadRequestError
from arkor_dev.core.installer import GIGABYTE, bytes_in
from arkor_dev.core.upgrade import installation
from arkor_dev.identity.engine import FOLDER

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.core.settings import Settings

ACTIONS = ("update", "uninstall")


def run_self(settings: Settings, action: str | None, *, yes: bool, dry_run: bool) -> int:
    """Run or print the installer's own command; return its exit code. Raises BadRequestError."""
    if action not in ACTIONS:
        raise BadRequestError(f"Say what to do: one of {', '.join(ACTIONS)}.")
    installed, remove = installation(), action == "uninstall"
    commands = (installed.remove,) if remove else installed.upgrade
    text, engine = " && ".join(map(shlex.join, commands)), settings.data / FOLDER
    if remove:
        print(_what_stays(settings, engine))  # noqa: T201
    if dry_run or not installed.may_run:
        print(f"Run: {text}")  # noqa: T201
        return 0
    if remove and not confirm(f"This runs: {text}", "Uninstall Arkor Studio?", yes=yes):
        return 2
    if remove:
        shutil.rmtree(engine, ignore_errors=True)
    for argv in commands:  # nothing is imported after this: the code may be gone
        try:
            code = subprocess.run(argv, check=False).returncode
        except FileNotFoundError:
            raise BadRequestError(f"{argv[0]} was not found. Run: {text}") from None
        if code:
            return code
    return 0


def _what_stays(settings: Settings, engine: Path) -> str:
    lines = []
    if engine.is_dir():
        lines.append(f"Deleted with it: the local engine in {engine}, {bytes_in(engine) / GIGABYTE:.1f} GB.")
    lines.append(f"Kept: your projects; jobs and adapters in {settings.data}; models in {settings.cache}.")
    return "\n".join(lines)
