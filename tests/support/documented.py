"""The commands that README, docs and page tell a person to run, as they are written there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/*.md", "examples/*/README.md")
NO_SHELL: Final = (
    "usage: arkor-dev",  # the help, which tests/test_readme.py keeps true
    "dataset = ",
    "[[evaluation]]",
    "{",
    "browser tab ",
    "python -m arkor_dev.local --data DIR",  # the daemon's, with the pipes that the contract describes
    "arkor_dev/, one process",
    "web/src/ ",
    "pages  ",
    "1  arkor_dev/jobs/feed.py",
)
"""How the indented blocks begin that are no commands."""
PROGRAM: Final = re.compile(
    r"(arkor-dev|pip|uv|hf|apt|python|ray|llm|wandb|ssh|docker|kubectl|systemctl|sky|vllm|ollama|lms|llama-cli"
    r"|arkor) |\./scripts/"
)
"""What a command begins with that stands in a sentence, or in the page's source."""


@dataclass(frozen=True, slots=True)
class Command:
    """One line for a terminal, and the file where it stands; ``said`` in a sentence, not in a block."""

    where: str
    text: str
    said: bool = False


def documented() -> list[Command]:
    """Every command, each text once."""
    found: dict[str, Command] = {}
    for pattern in PAGES:
        for path in sorted(ROOT.glob(pattern)):
            text, where = path.read_text(), path.relative_to(ROOT).as_posix()
            for line in _shell_lines(text):
                found.setdefault(line, Command(where, line))
            for each in re.findall(r"(?<!`)`([^`\n]+)`", text):
                if PROGRAM.match(each):
                    found.setdefault(each, Command(where, each, said=True))
    for path in sorted((ROOT / "web" / "src").rglob("*.ts*")):
        if ".test." not in path.name and ".gen." not in path.name:
            for each in re.findall(r"(?:<code>|[\"'`])([^\"'`<\n]+)", path.read_text()):
                if PROGRAM.match(each):
                    where = path.relative_to(ROOT).as_posix()
                    found.setdefault(each, Command(where, each))
    return list(found.values())


def _shell_lines(text: str) -> Iterator[str]:
    """The lines of the blocks that are for a shell, without comments."""
    for block in _blocks(text):
        if not block[0].startswith(NO_SHELL):
            yield from (re.sub(r"\s+#\s.*", "", line) for line in block)


def _blocks(text: str) -> Iterator[list[str]]:
    """The indented blocks, and the fenced ones without a language."""
    block: list[str] = []
    fence, before = None, ""
    for line in [*text.splitlines(), "the end"]:
        if line.startswith("```"):
            if fence == "":
                yield block
            fence, block = (line[3:], []) if fence is None else (None, [])
        elif fence is not None or (line.startswith("    ") and (block or not before)):
            block += [line.strip()] if line.strip() else []
        elif line and block:
            yield block
            block = []
        before = line
