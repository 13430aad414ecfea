"""``arkor-dev self``: updates, extends or removes this installation with the tool that made it."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from arkor_dev.cli.consent import confirm
from arkor_dev.contract.errors import BadRequestError
from arkor_dev.contract.extras import install_commands, requirements
from arkor_dev.contract.extras_table import REQUIREMENTS
from arkor_dev.contract.origin import Tool, owner
from arkor_dev.core.installer import GIGABYTE, bytes_in
from arkor_dev.core.upgrade import installation
from arkor_dev.identity.engine import FOLDER, engine_python, is_complete

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from arkor_dev.core.settings import Settings

ACTIONS = ("update", "add", "uninstall")


@dataclass(frozen=True, slots=True)
class InstallPlan:
    """Commands to run one after the other, or only to print; ``note`` says what to change in them before."""

    commands: tuple[tuple[str, ...], ...]
    may_run: bool
    note: str | None = None

    @property
    def text(self) -> str:
        """The commands, quoted for a shell."""
        return " && ".join(map(shlex.join, self.commands))


def run_self(
    settings: Settings, action: str | None, extras: Sequence[str] = (), *, yes: bool, dry_run: bool
) -> int:
    """Run or print the installer's own command; return its exit code. Raises BadRequestError."""
    if action not in ACTIONS:
        raise BadRequestError(f"Say what to do: one of {', '.join(ACTIONS)}.")
    if extras and action != "add":
        raise BadRequestError(f"`arkor-dev self {action}` takes no extras.")
    engine = settings.data / FOLDER
    if action == "add":
        plan = _addition(settings, extras)
    else:
        found = installation()
        plan = InstallPlan((found.remove,), found.may_run)
        if action == "update":
            plan = InstallPlan(found.upgrade, found.may_run and not found.note, found.note)
    if action == "uninstall":
        print(_what_stays(settings, engine))  # noqa: T201
    if dry_run or not plan.may_run:
        print(f"Run: {plan.text}{f'  # {plan.note}' if plan.note else ''}")  # noqa: T201
        return 0
    if action == "uninstall":
        if not confirm(f"This runs: {plan.text}", "Uninstall Arkor Studio?", yes=yes):
            return 2
        shutil.rmtree(engine, ignore_errors=True)
    for argv in plan.commands:  # nothing is imported after this: the code may be gone
        try:
            code = subprocess.run(argv, check=False).returncode
        except FileNotFoundError:
            raise BadRequestError(f"{argv[0]} was not found. Run: {plan.text}") from None
        if code:
            return code
    return 0


def _addition(settings: Settings, extras: Sequence[str]) -> InstallPlan:
    """Return what adds extras to this environment, and to the local engine's if it has one of its own."""
    known = [name for name in REQUIREMENTS if name]
    if not extras or set(extras) - set(known):
        raise BadRequestError(f"Name the extras to add, of {', '.join(known)}: arkor-dev self add gguf")
    commands = install_commands(*extras)
    if not is_complete() and (python := engine_python(settings)):
        commands += ((str(python), "-m", "pip", "install", *requirements(*extras)),)
    return InstallPlan(commands, owner() not in {Tool.UVX, Tool.PIPX_RUN})


def _what_stays(settings: Settings, engine: Path) -> str:
    lines = []
    if engine.is_dir():
        lines.append(f"Deleted with it: the local engine in {engine}, {bytes_in(engine) / GIGABYTE:.1f} GB.")
    lines.append(f"Kept: your projects; jobs and adapters in {settings.data}; models in {settings.cache}.")
    return "\n".join(lines)
