"""``arkor-dev completion``: a script with which a shell completes commands, options and their values.

Generated from the table of commands, like ``--help``, so it is always complete.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from arkor_dev.cli.command_table import COMMANDS
from arkor_dev.cli.options import OneOf
from arkor_dev.contract.errors import BadRequestError
from arkor_dev.core.plain_text import one_line

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from arkor_dev.cli.command_line import CommandLine

FOLDERS: Final = ("DIR", "FOLDER")
FILES: Final = ("FILE", "PATH")
_ACTION: Final = re.compile(r"(?:^\[?|\| ?)([a-z]+)")
"""An action of a command, such as ``show``, in its usage."""


@dataclass(frozen=True, slots=True)
class Option:
    """An option: its spellings, a short explanation, and what its value is; ``takes`` is "" for a flag.

    ``takes`` is ``word`` (one of ``words``, if there are any), ``folder`` or ``file``.
    """

    spellings: tuple[str, ...]
    text: str
    takes: str = ""
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Completed:
    """A command, or the program itself if ``name`` is empty: its words and options."""

    name: str
    text: str
    words: tuple[tuple[str, str], ...]
    options: tuple[Option, ...]
    files: bool
    """Whether an argument may be a file or a folder."""


def run_completion(shell: str | None, program: CommandLine) -> int:
    """Print the script for ``shell``; return the exit code. Raises BadRequestError for another shell."""
    if shell not in SHELLS:
        shells = ", ".join(SHELLS)
        problem = "Name your shell" if shell is None else f"{one_line(shell, 60)} is not supported"
        raise BadRequestError(f"{problem}: one of {shells}.")
    print("\n".join(SHELLS[shell](completed(program))))  # noqa: T201
    return 0


def completed(program: CommandLine) -> list[Completed]:
    names = tuple((name, _short(command.help)) for name, command in COMMANDS.items())
    commands = [Completed("", "", names, tuple(_options(program, ())), files=False)]
    for name, command in COMMANDS.items():
        parser = command.parser()
        actions = _ACTION.findall(command.usage)
        options = tuple(_options(parser, actions))
        metavars = {str(declared.metavar) for declared in parser.declared if not declared.option_strings}
        files = bool(metavars & {*FOLDERS, *FILES}) or bool(re.search("FILE|FOLDER", command.usage))
        words = tuple((action, "") for action in actions)
        commands.append(Completed(name, command.help, words, options, files))
    return commands


def _options(parser: CommandLine, actions: Iterable[str]) -> Iterator[Option]:
    for option in parser.declared:
        if option.option_strings:
            text = _short(option.help or "", actions)
            yield Option(tuple(option.option_strings), text, *_value(option))


def _value(action: argparse.Action) -> tuple[str, tuple[str, ...]]:
    if action.nargs == 0:
        return "", ()
    if action.metavar in FOLDERS:
        return "folder", ()
    if action.metavar in FILES:
        return "file", ()
    words = action.choices or (action.type.names if isinstance(action.type, OneOf) else ())
    return "word", tuple(map(str, words))


def _bash(commands: list[Completed]) -> Iterator[str]:
    program = commands[0]
    yield "# bash completion of arkor-dev. For this shell: source <(arkor-dev completion bash)"
    yield "_arkor_dev() {"
    yield "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command='' each"
    yield '    for each in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do'
    yield f"        case $each in {'|'.join(name for name, _ in program.words)}) command=$each; break ;; esac"
    yield "    done"
    yield "    COMPREPLY=()"
    yield '    case "$command $before" in'
    for command in commands:
        for option in command.options:
            if option.takes:
                names = "|".join(f"'{command.name} {spelling}'" for spelling in option.spellings)
                reply = {"folder": "-d --", "file": "-f --"}.get(
                    option.takes, f"-W '{' '.join(option.words)}' --"
                )
                yield f'    {names}) mapfile -t COMPREPLY < <(compgen {reply} "$word"); return ;;'
    yield "    esac"
    yield "    case $command in"
    for command in commands:
        words = [name for name, _ in command.words]
        words += [spelling for option in command.options for spelling in option.spellings]
        files = "-f " if command.files else ""
        reply = f"compgen {files}-W '{' '.join(words)}' -- \"$word\""
        yield f"    {command.name or chr(39) * 2}) mapfile -t COMPREPLY < <({reply}) ;;"
    yield "    esac"
    yield "}"
    yield "complete -o filenames -F _arkor_dev arkor-dev"


def _zsh(commands: list[Completed]) -> Iterator[str]:
    yield "#compdef arkor-dev"
    yield "# zsh completion of arkor-dev. For this shell: source <(arkor-dev completion zsh)"
    yield "_arkor_dev() {"
    yield "    local command= each"
    yield "    for each in ${words[2,CURRENT-1]}; do"
    names = "|".join(name for name, _ in commands[0].words)
    yield f"        case $each in ({names}) command=$each; break ;; esac"
    yield "    done"
    yield "    local -a found"
    yield '    case "$command ${words[CURRENT-1]}" in'
    for command in commands:
        for option in command.options:
            if option.takes:
                spelled = "|".join(f"'{command.name} {spelling}'" for spelling in option.spellings)
                reply = {"folder": "_files -/", "file": "_files"}.get(
                    option.takes, f"compadd -- {' '.join(option.words)}"
                )
                yield f"    ({spelled}) {reply}; return ;;"
    yield "    esac"
    yield "    case $command in"
    for command in commands:
        described = [
            *command.words,
            *((spelling, o.text) for o in command.options for spelling in o.spellings),
        ]
        word_list = " ".join(_quoted(f"{name}:{text}" if text else name) for name, text in described)
        files = " && _files" if command.files else ""
        reply = f"found=({word_list}); _describe 'arkor-dev' found"
        yield f"    ({command.name or chr(39) * 2}) {reply}{'; _files' if files else ''} ;;"
    yield "    esac"
    yield "}"
    yield "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }"
    yield "compdef _arkor_dev arkor-dev"


def _fish(commands: list[Completed]) -> Iterator[str]:
    yield "# fish completion of arkor-dev. For this shell: arkor-dev completion fish | source"
    yield "complete -c arkor-dev -f"
    for command in commands:
        condition = f"__fish_seen_subcommand_from {command.name}" if command.name else "__fish_use_subcommand"
        begins = f"complete -c arkor-dev -n '{condition}'"
        for name, text in command.words:
            yield f"{begins} -a {name}" + (f" -d {_quoted(text)}" if text else "")
        if command.files:
            yield f"{begins} -F"
        for option in command.options:
            spelled = " ".join(
                f"-l {spelling[2:]}" if spelling.startswith("--") else f"-s {spelling[1:]}"
                for spelling in option.spellings
            )
            # The tab ends each word, since the option's description is not the words'.
            words = " ".join(word + r"\t" for word in option.words)
            value = {"": "", "folder": " -r -a '(__fish_complete_directories)'", "file": " -r -F"}.get(
                option.takes, f" -x -a '{words}'" if words else " -x"
            )
            yield f"{begins} {spelled}{value} -d {_quoted(option.text)}"


SHELLS: Final = {"bash": _bash, "zsh": _zsh, "fish": _fish}


def _short(text: str, actions: Iterable[str] = ()) -> str:
    """Return the first part of an explanation: a list of words has one line for each.

    An option of some of a command's ``actions`` names them first, as in ``extend: train to this step``.
    """
    if text.startswith("print {"):
        return "print JSON"
    names = "|".join(actions)
    for_actions = re.match(rf"(?:(?:{names})(?:, | and |: ))*", text) if names else None
    begins = for_actions.end() if for_actions else 0
    return text[:begins] + re.split(r"[;:(]|\. |, (?=without)", text[begins:])[0].strip()


def _quoted(text: str) -> str:
    """Quote for any of the shells, without characters that are special in one of them."""
    return "'" + text.replace("\\", "").replace("'", r"'\''").replace("`", "") + "'"
