"""``arkor-dev init``: writes a small project that trains at once, as a starting point.

``--template`` writes an agent's project, or a TypeScript one. `arkor_dev.project.starter` has their content.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Final

from rich.console import Console

from arkor_dev.project.starter import AGENT, initialize

NOT_ON_NPM: Final = (
    "A TypeScript project needs the package arkor, and npm's registry does not have it (`npm install arkor` "
    "fails). You need its file (.tgz) from Arkor. Without it, use `arkor-dev init` alone: that project "
    "needs no Node, and trains on this machine or on the managed backend.\n"
)


def run_init(folder: Path, console: Console | None = None, *, template: str | None = None) -> int:
    """Write the project, print the next steps and return the exit code."""
    console = console or Console()
    is_typescript = template not in (None, AGENT)
    if is_typescript:
        console.print(NOT_ON_NPM, markup=False, highlight=False, soft_wrap=True)
    files = initialize(folder, template)
    for file in files:
        console.print(f"wrote {folder / file}", markup=False, highlight=False, soft_wrap=True)
    in_current = folder.resolve() == Path.cwd()
    folder_text = shlex.quote(str(folder))
    option = "" if in_current else f" --project {folder_text}"
    local, start = "" if is_typescript else " --local", "start"
    if template == AGENT:
        first = f"Read {folder / 'desk.py'}, the environment in which the agent acts."
        start = "start calls --then desk"
    elif template is None:
        first = f"Put your own chats into {folder / 'data' / 'chats.jsonl'}, one JSON object per line."
    else:
        prefix = "" if in_current else f" --prefix {folder_text}"
        first = f"Install the arkor package's file:     npm install --save-dev{prefix} FILE.tgz"
    console.print(
        f"\nNext:\n"
        f"  1. {first}\n"
        f"  2. Open Studio and press Run training:  arkor-dev{local}{option}\n"
        f"  3. Or train from this terminal:         arkor-dev {start}{local}{option}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    return 0
