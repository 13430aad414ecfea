"""Writes the manual page from the table of commands, whose ``--help`` says the same.

``generate.py`` calls it; ``man/arkor-dev.1`` is installed with the package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from arkor_dev.cli.command_table import COMMANDS
from arkor_dev.cli.main import EXIT_CODES, parser

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from arkor_dev.cli.command_line import CommandLine

ENVIRONMENT = {
    "ARKOR_CLOUD_API_URL": "the managed backend's address",
    "ARKOR_ENGINE": "as --engine",
    "ARKOR_AT_ONCE": "as --at-once",
    "ARKOR_CLUSTER": "as --on",
    "ARKOR_NO_RESUME": "as --no-resume, if it is 1",
    "HTTPS_PROXY, NO_PROXY": "the proxy for https to other machines, and the hosts that need none",
    "HF_HUB_OFFLINE": "if it is 1, local training contacts no model hub",
}
FILES = {
    "arkor.toml": "the project's trainers",
    "~/.arkor/credentials.json": "who is signed in to the managed backend",
}


def man_page() -> str:
    """Return the page, in man(7)'s macros."""
    return "\n".join(_lines(parser())) + "\n"


def _lines(program: CommandLine) -> Iterator[str]:
    yield '.\\" Generated from arkor_dev/cli by scripts/generate.py. Not edited by hand.'
    yield '.TH ARKOR\\-DEV 1 "" "Arkor Studio" "User Commands"'
    yield ".SH NAME"
    yield "arkor\\-dev \\- fine\\-tune a language model from a local web page"
    yield ".SH SYNOPSIS"
    yield ".B arkor\\-dev"
    yield "[\\fIoptions\\fR]"
    yield ".br"
    yield ".B arkor\\-dev"
    yield "\\fICOMMAND\\fR [\\fIoptions\\fR]"
    yield ".SH DESCRIPTION"
    yield _text(program.description or "")
    yield ".SH OPTIONS"
    yield from _entries(program)
    yield ".SH COMMANDS"
    for name, command in COMMANDS.items():
        own = command.parser()
        yield f'.SS "{_text(f"arkor-dev {name} [options] {command.usage}".rstrip())}"'
        yield _text(own.description or "")
        yield from _entries(own)
    for title, terms in (("EXIT STATUS", EXIT_CODES), ("ENVIRONMENT", ENVIRONMENT), ("FILES", FILES)):
        yield f".SH {title}" if " " not in title else f'.SH "{title}"'
        for term, text in terms.items():
            yield from (".TP", f".B {_text(term)}", _text(text))


def _entries(own: CommandLine) -> Iterator[str]:
    for action in own.declared:
        if "--help" not in action.option_strings:
            yield from (".TP", _spelled(action), _text(action.help or ""))


def _spelled(action: argparse.Action) -> str:
    value = "" if action.nargs == 0 else f"\\fI{_text(str(action.metavar))}\\fR"
    names = ", ".join(f"\\fB{_text(name)}\\fR" for name in action.option_strings)
    return f"{names} {value}".strip()


def _text(text: str) -> str:
    """Escape for troff: a backslash, a hyphen that may be copied, and what begins a macro."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("…", "...")
    return f"\\&{escaped}" if escaped.startswith((".", "\\(aq")) else escaped
