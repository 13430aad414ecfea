"""Parses command lines, with help and error messages of our own.

``argparse`` converts the values. Its help and errors change wording with each version of Python, so neither
is used: the help is laid out here, and every token is checked before ``argparse`` sees it. The check can also
suggest a correction for a typo.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.core.plain_text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

WIDTHS: Final = (50, 100)
"""Narrowest and widest help, in columns; between them it follows the terminal's width."""
INDENT: Final = 24
"""Column in which the explanations begin."""


class CommandLine(argparse.ArgumentParser):
    """The options and arguments of one command, or of the program with its subcommands.

    ``usage`` is what follows ``usage: <prog>``, one form per line; ``notes`` are titled lists of terms and
    explanations below the options. ``commands`` build the parser of each command: only the called one's,
    since building all takes a fifth of the start. ``declared`` are its options and arguments, in order. Every
    error is a ``BadRequestError``.
    """

    def __init__(
        self,
        prog: str,
        description: str,
        usage: str,
        notes: Mapping[str, Mapping[str, str]] | None = None,
        commands: Mapping[str, Callable[[], CommandLine]] | None = None,
    ) -> None:
        super().__init__(prog=prog, description=description, add_help=False, allow_abbrev=False)
        self._usage_lines = usage.splitlines()
        self._notes = notes or {}
        self.declared: list[argparse.Action] = []
        self._commands = commands or {}
        self.add_argument("-h", "--help", action="help", help="show this help")

    def add_argument(self, *names: Any, **options: Any) -> argparse.Action:
        """Like ``ArgumentParser.add_argument``."""
        action = super().add_argument(*names, **options)
        self.declared.append(action)
        return action

    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        """Return the values of the arguments; ``command`` is None without one.

        An option that the program and a command share keeps the program's value. Ends the process after
        ``--help``, and raises for the first unknown token.
        """
        parser, tokens, before = self, list(argv), list[str]()
        # Move arguments behind the options: argparse treats an optional argument as missing if an option
        # precedes it.
        options, arguments = list[str](), list[str]()
        values = argparse.Namespace(command=None)
        while tokens:
            token = tokens.pop(0)
            if token == "--":  # noqa: S105 (from here on nothing is an option)
                arguments, tokens = [*arguments, *tokens], []
                for argument in arguments[parser.positional_count() :]:
                    parser.unexpected(argument)
            elif token.startswith("-") and token != "-":  # noqa: S105
                options += [token, *parser._value_of(token, tokens, self)]
            elif parser is self and self._commands:
                if token not in self._commands:
                    self._unknown_command(token)
                parser, values.command = self._commands[token](), token
                before, options = options, []
            else:
                arguments.append(token)
                if len(arguments) > parser.positional_count():
                    parser.unexpected(token)
        if parser is not self:
            self.parse_args(before, values)
        return parser.parse_args([*options, *(["--", *arguments] if arguments else [])], values)

    def error(self, message: str) -> NoReturn:
        """Report what only ``argparse`` detects: a value that its option's type rejects."""
        raise BadRequestError(one_line(message.removeprefix("argument ")))

    # --- errors -----------------------------------------------------------------------------------------

    def positional_count(self) -> int:
        """Return how many positional arguments there may be."""
        positional = [action for action in self.declared if not action.option_strings]
        return sys.maxsize if any(action.nargs == "*" for action in positional) else len(positional)

    def _value_of(self, token: str, following: list[str], program: CommandLine) -> list[str]:
        """Read the value of an option from the ``following`` tokens."""
        name, equals, _ = token.partition("=")
        option = self.options().get(name)
        if option is None:
            self._unknown_option(name, program)
        if option.nargs == 0:
            if equals:
                raise BadRequestError(f"{name} takes no value. {self._see()}")
        elif not equals:
            if not following or following[0].startswith("-"):
                raise BadRequestError(f"{name} needs a value: {name} {option.metavar}. {self._see()}")
            return [following.pop(0)]
        return []

    def options(self) -> dict[str, argparse.Action]:
        """Return the options by each of their spellings."""
        return {name: action for action in self.declared for name in action.option_strings}

    def _unknown_option(self, name: str, program: CommandLine) -> NoReturn:
        name = one_line(name, 80)
        within = "" if self is program else f" for {self.prog.rpartition(' ')[2]}"
        programs = (program, *(build() for build in program._commands.values()))
        owners = [owner.prog for owner in programs if name in owner.options()]
        if owners:
            verb = "has" if len(owners) == 1 else "have"
            raise BadRequestError(f"unknown option {name}{within}. {_enumerated(owners)} {verb} it.")
        raise BadRequestError(f"unknown option {name}{within}. {self._hint(name, self.options())}")

    def _unknown_command(self, token: str) -> NoReturn:
        name = one_line(token, 200)
        if Path(token).is_dir():
            raise BadRequestError(
                f"unknown command {name}. Name a project's folder with --project: --project {name}"
            )
        raise BadRequestError(f"unknown command {name}. {self._hint(name, self._commands)}")

    def unexpected(self, token: str) -> NoReturn:
        """Raise for one positional argument too many."""
        raise BadRequestError(f"unexpected argument {one_line(token, 200)}. {self._see()}")

    def _hint(self, name: str, candidates: Iterable[str]) -> str:
        import difflib  # imported only for an error

        words = {
            candidate.strip("-"): candidate for candidate in candidates
        }  # leave out dashes, which all options share
        close = difflib.get_close_matches(name.strip("-"), words, n=1)
        return f"Did you mean {words[close[0]]}?" if close else self._see()

    def _see(self) -> str:
        return f"See {self.prog} --help."

    # --- help ---------------------------------------------------------------------------------------------

    def format_usage(self) -> str:
        first, *more = [f"{self.prog} {line}" for line in self._usage_lines]
        return "\n".join([f"usage: {first}", *(f"       {line}" for line in more)]) + "\n"

    def format_help(self) -> str:
        """Return the whole help, at most as wide as the terminal."""
        fewest, most = WIDTHS
        width = max(fewest, min(most, shutil.get_terminal_size().columns))
        sections = [self.format_usage().rstrip("\n"), textwrap.fill(self.description or "", width)]
        arguments = {str(a.metavar): a.help or "" for a in self.declared if not a.option_strings}
        options = {_spelled(a): a.help or "" for a in self.declared if a.option_strings}
        for title, entries in {"arguments": arguments, "options": options, **self._notes}.items():
            if entries:
                lines = [line for entry in entries.items() for line in _entry(*entry, width)]
                sections.append("\n".join([f"{title}:", *lines]))
        return "\n\n".join(sections) + "\n"


def _spelled(option: argparse.Action) -> str:
    value = "" if option.nargs == 0 else f" {option.metavar}"
    return ", ".join(option.option_strings) + value


def _entry(term: str, text: str, width: int) -> Iterator[str]:
    lines = textwrap.wrap(text, width - INDENT)
    if len(term) > INDENT - 3:
        yield f"  {term}"
    else:
        yield f"  {term:<{INDENT - 2}}{lines.pop(0)}"
    yield from (" " * INDENT + line for line in lines)


def _enumerated(names: list[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
