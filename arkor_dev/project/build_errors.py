"""Errors of building or loading a TypeScript project: the sentence first, the stack on request.

A bundler prints its own stack after its message, and Node a whole line of minified code before it; neither
helps to correct a line of the project.
"""

from __future__ import annotations

import re
from typing import Final

from arkor_dev.contract.errors import ArkorError, BadRequestError

SHOWN_PROBLEMS: Final = 8
SHOWN_CHARACTERS: Final = 2000
KEPT_CHARACTERS: Final = 8000
_ESBUILD: Final = re.compile(r"^(\S.*?:\d+:\d+): ERROR: (.*)$", re.MULTILINE)
_ROLLDOWN: Final = re.compile(r"^\[[A-Z_]+\] (.*)\n\s*╭─\[ (\S.*?:\d+:\d+) \]", re.MULTILINE)
_STACK: Final = re.compile(r"^\s+at .+$|^Node\.js v\d.*$", re.MULTILINE)


def build_fault(summary: str, output: str) -> ArkorError:
    """Return the error of a failed command: ``summary``, then file, line, column and message of each problem.

    ``details`` holds its whole output if the text omits some of it.
    """
    found = _ESBUILD.findall(output) or [(location, text) for text, location in _ROLLDOWN.findall(output)]
    problems = list(dict.fromkeys(f"{location}: {text}" for location, text in found))
    if problems:
        if len(problems) > SHOWN_PROBLEMS:
            problems[SHOWN_PROBLEMS:] = [f"… and {len(problems) - SHOWN_PROBLEMS} more"]
        details = "\n".join(problems)
    else:
        details = re.sub(r"\n{3,}", "\n\n", _STACK.sub("", output)).strip()
        details = details if len(details) <= SHOWN_CHARACTERS else f"…{details[-SHOWN_CHARACTERS:]}"
    return fault(
        f"{summary}\n{details}" if details else summary, output if output.strip() not in details else ""
    )


def load_fault(message: str, stack: str, printed: str) -> ArkorError:
    """Return the error for an exception of the project's own code, or of the SDK, at import."""
    excerpt = message if len(message) <= SHOWN_CHARACTERS else f"{message[:SHOWN_CHARACTERS]}…"
    printed = f"\n\nIt printed:\n{printed.strip()}" if printed.strip() else ""
    return fault(f"The project's code fails to load.\n{excerpt}", stack + printed)


def fault(text: str, details: str) -> ArkorError:
    """Return a 400, with ``details`` cut to a readable length."""
    if not details:
        return BadRequestError(text)
    half = KEPT_CHARACTERS // 2
    if len(details) > KEPT_CHARACTERS:
        details = f"{details[:half]}\n…\n{details[-half:]}"
    return BadRequestError(text, details=details)
