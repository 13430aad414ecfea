"""``arkor-dev init``: writes a small project that trains at once, as a starting point.

``--template`` writes a TypeScript project. `arkor_dev.project.starter` has the content of both.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Final

from rich.console import Console

from arkor_dev.project.starter import initialize

NOT_ON_NPM: Final = (
    "A TypeScript project needs the package arkor, and npm's registry does not have it (`npm install arkor` "
    "fails). You need its file (.tgz) from Arkor. Without it, use `arkor-dev init` alone: that project "
    "needs no Node, and trains on this machine or on the managed backend.\n"
)


def run_init(folder: Path, console: Console | None = None, *, template: str | None = None) -> int:
    """Write the project, print the next steps and return the exit code."""
    console = console or Console()
    if template is not None:
        console.print(NOT_ON_NPM, markup=False, highlight=False, soft_wrap=True)
    files = initialize(folder, template)
    for file in files:
        console.print(f"wrote {folder / file}", markup=False, highlight=False, soft_wrap=True)
    in_current = folder.resolve() == Path.cwd()
    folder_text = shlex.quote(str(folder))
    option = "" if in_current else f" --project {folder_text}"
    local = " --local" if template is None else ""
    if template is None:
        first = f"Put your own chats into {folder / 'data' / 'chats.jsonl'}, one JSON object per line."
    else:
        prefix = "" if in_current else f" --prefix {folder_text}"
        first = f"Install the arkor package's file:     npm install --save-dev{prefix} FILE.tgz"
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
