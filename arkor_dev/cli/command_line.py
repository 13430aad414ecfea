"""Parses command lines, with help and error messages of our own.

``argparse`` converts the values. Its help and errors change wording with each version of Python, so neither
is used: the help is laid out here, and every token is checked before ``argparse`` sees it. The check can also
suggest a correction for a typo.
"""

from __future__ import annotations

import argparse
import shutil
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.core.plain_text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WIDTHS: Final = (50, 100)
"""Narrowest and widest help, in columns; between them it follows the terminal's width."""
INDENT: Final = 24
"""Column in which the explanations begin."""


class CommandLine(argparse.ArgumentParser):
    """Options and arguments of one command, or of the program with its subcommands.

    ``usage`` is what follows ``usage: <prog>``, one form a line; ``notes`` are titled lists of terms and
    explanations below the options. Every error is a ``BadRequestError``.
    """

    def __init__(
        self,
        prog: str,
        description: str,
        usage: str,
        notes: dict[str, dict[str, str]] | None = None,
    ) -> None:
        super().__init__(prog=prog, description=description, add_help=False, allow_abbrev=False)
        self._usage_lines = usage.splitlines()
        self._notes = notes or {}
        self._declared: list[argparse.Action] = []
        self._commands: dict[str, CommandLine] = {}
        self._choice: argparse._SubParsersAction[Any] | None = None
        self.add_argument("-h", "--help", action="help", help="show this help")

    def add_argument(self, *names: Any, **how: Any) -> argparse.Action:
        """Like ``ArgumentParser.add_argument``."""
        action = super().add_argument(*names, **how)
        self._declared.append(action)
        return action

    def add_command(self, name: str, description: str, arguments: str = "") -> CommandLine:
        """Add a subcommand with its own options; ``arguments`` completes its usage line."""
        if self._choice is None:
            self._choice = self.add_subparsers(prog=self.prog, dest="command", parser_class=CommandLine)
        usage = f"[options] {arguments}".rstrip()
        command: CommandLine = self._choice.add_parser(
            name, prog=f"{self.prog} {name}", description=description, usage=usage
        )
        self._commands[name] = command
        return command

    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        """Parse the arguments; ``command`` is None if there is none. ``--help`` ends the process."""
        self._check(list(argv))
        return self.parse_args(self._in_order(list(argv)))

    def _in_order(self, tokens: list[str]) -> list[str]:
        """Move a command's arguments behind its options.

        ``argparse`` takes an optional positional argument as omitted once an option comes first.
        """
        parser, options, arguments = self, [], []
        while tokens:
            token = tokens.pop(0)
            option = parser.options().get(token.partition("=")[0])
            if token == "--":  # noqa: S105 (from here on nothing is an option)
                arguments += tokens
                break
            if option is not None:
                options += [token, *([tokens.pop(0)] if option.nargs != 0 and "=" not in token else [])]
            elif parser is self and token in self._commands:
                options.append(token)
                parser = self._commands[token]
            else:
                arguments.append(token)
        return [*options, *(["--", *arguments] if arguments else [])]

    def error(self, message: str) -> NoReturn:
        """Report what only ``argparse`` detects: a value that its option's type rejects."""
        raise BadRequestError(one_line(message.removeprefix("argument ")))

    # --- errors -----------------------------------------------------------------------------------------

    def _check(self, tokens: list[str]) -> None:
        """Raise for the first token that is not a known option, command or argument."""
        parser, places = self, self.places()
        while tokens:
            token = tokens.pop(0)
            if token == "--":  # noqa: S105 (from here on nothing is an option)
                tokens, rest = [], tokens
                for argument in rest[places:]:
                    parser.unexpected(argument)
            elif token.startswith("-") and token != "-":  # noqa: S105
                parser._check_option(token, tokens, self)
            elif parser is self and self._commands:
                if token not in self._commands:
                    self._unknown_command(token)
                parser = self._commands[token]
                places = parser.places()
            elif places:
                places -= 1
            else:
                parser.unexpected(token)

    def places(self) -> int:
        """Count the positional arguments that are allowed."""
        return sum(not action.option_strings for action in self._declared)

    def _check_option(self, token: str, following: list[str], program: CommandLine) -> None:
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
            following.pop(0)

    def options(self) -> dict[str, argparse.Action]:
        """Every spelling of every option."""
        return {name: action for action in self._declared for name in action.option_strings}

    def _unknown_option(self, name: str, program: CommandLine) -> NoReturn:
        name = one_line(name, 80)
        within = "" if self is program else f" for {self.prog.rpartition(' ')[2]}"
        owners = [other.prog for other in program._all() if name in other.options()]
        if owners:
            have = "has" if len(owners) == 1 else "have"
            raise BadRequestError(f"unknown option {name}{within}. {_listed(owners)} {have} it.")
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

    def _hint(self, name: str, known: dict[str, Any]) -> str:
        import difflib  # imported only for an error

        words = {word.strip("-"): word for word in known}  # leave out dashes, which all options share
        near = difflib.get_close_matches(name.strip("-"), words, n=1)
        return f"Did you mean {words[near[0]]}?" if near else self._see()

    def _see(self) -> str:
        return f"See {self.prog} --help."

    def _all(self) -> Iterator[CommandLine]:
        yield self
        yield from self._commands.values()

    # --- help ---------------------------------------------------------------------------------------------

    def format_usage(self) -> str:
        """Return the usage lines."""
        first, *more = [f"{self.prog} {line}" for line in self._usage_lines]
        return "\n".join([f"usage: {first}", *(f"       {line}" for line in more)]) + "\n"

    def format_help(self) -> str:
        """Return the whole help, at most as wide as the terminal."""
        fewest, most = WIDTHS
        width = max(fewest, min(most, shutil.get_terminal_size().columns))
        sections = [self.format_usage().rstrip("\n"), textwrap.fill(self.description or "", width)]
        arguments = {str(a.metavar): a.help or "" for a in self._declared if not a.option_strings}
        options = {_spelled(a): a.help or "" for a in self._declared if a.option_strings}
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


def _listed(names: list[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
