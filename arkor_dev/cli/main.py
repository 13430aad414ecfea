"""The ``arkor-dev`` command: parses arguments into Settings and dispatches to a subcommand."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from arkor_dev import __version__
from arkor_dev.contract.errors import ArkorError, BadRequestError, InternalError

from .command_line import CommandLine
from .command_table import COMMANDS
from .options import OneOf, add_launch, add_placement, add_port, add_yes, whole_number
from .standard_error import StandardError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection, Iterator, Sequence

    from arkor_dev.core.settings import Settings

NOT_ON_WINDOWS = (
    "Arkor Studio does not run on Windows itself, but it does in WSL, which uses an NVIDIA GPU too: run "
    "`wsl --install`, open Ubuntu, and install and start it there."
)
NAMES_A_JOB = ("job", "like", "parent", "name", "against")
"""Arguments, of any command, that name a job."""
EXIT_CODES = {
    "0": "done or stopped",
    "1": "failed: the job, or a check of doctor, data or verify; whoami: not signed in",
    "2": "wrong usage, or it cannot start",
    "3": "start: the job was cancelled or deleted",
    "4": "paused, and can be resumed: the job of start; data make, also by its budget",
    "5": "verify: no text of deleted rows was found, but not everything could be searched",
    "130": "interrupted",
    "143": "ended by SIGTERM, as by a service manager; Studio and serve end with 0",
}


def _engines() -> Collection[str]:
    from arkor_dev.contract.bodies import ENGINES  # not needed for the page's first byte

    return ENGINES


def parser() -> CommandLine:
    """Build the program's parser, which builds only the called command's parser."""
    program = CommandLine(
        "arkor-dev",
        "Arkor Studio: fine-tune a language model from a local web page, watch the loss fall, and talk to "
        "the result. Without a command it opens Studio on the project in this folder.",
        "[options]\nCOMMAND [options]",
        {
            "commands (each has its own --help)": {name: record.help for name, record in COMMANDS.items()},
            "exit codes": EXIT_CODES,
        },
        {name: command.parser for name, command in COMMANDS.items()},
    )
    program.add_argument("--version", action="store_true", help="show the version")
    add_launch(program)
    add_placement(program)
    add_port(program)
    program.add_argument(
        "--no-resume", action="store_true",
        help="don't resume interrupted jobs of this machine (or ARKOR_NO_RESUME=1)",
    )  # fmt: skip
    program.add_argument(
        "--at-once", metavar="N", type=whole_number("number of jobs (1 or more)", 999, 3),
        help="train up to N jobs at once on this machine, if memory allows (ARKOR_AT_ONCE; default: one "
            "per GPU, or one)",
    )  # fmt: skip
    program.add_argument(
        "--engine", metavar="NAME", type=OneOf("engine", _engines),
        help="engine for chats on this machine: exact (transformers), llama.cpp, or auto, the faster one "
            "available (ARKOR_ENGINE; default: auto)",
    )  # fmt: skip
    program.add_argument("--open", action="store_true", help="open the page in the browser")
    program.add_argument(
        "--agent", action="store_true",
        help="write a session file with which coding assistants on this machine can read Studio's status",
    )  # fmt: skip
    program.add_argument(
        "--allow-other-users", action="store_true",
        help="serve other accounts of this machine, too (the page holds the launch's token)",
    )  # fmt: skip
    add_yes(
        program,
        "at Ctrl-C, stop running jobs of this machine without asking; with --ssh, send much without asking",
    )
    return program


def _settings(arguments: argparse.Namespace) -> Settings:
    from arkor_dev.core.settings import Settings

    project = arguments.project or Path()
    if not project.is_dir():
        raise BadRequestError(f"{project} is not a folder. Name the project's folder with --project.")
    settings = Settings.from_environment(
        os.environ,
        project,
        local=arguments.local,
        port=arguments.port,
        open_browser=arguments.open,
        agent=arguments.agent,
        resume=not arguments.no_resume,
        at_once=arguments.at_once,
        engine=arguments.engine,
        allow_other_users=arguments.allow_other_users,
        log_level=arguments.log_level,
        cluster=arguments.cluster,
        insecure_cluster=arguments.insecure_cluster,
        ssh=arguments.ssh,
    )
    command = arguments.command
    on_backend = COMMANDS[command].on_backend if command else True
    if not isinstance(on_backend, bool):
        on_backend = on_backend(arguments)
    return _with_backend(settings, arguments) if on_backend else settings


def _with_backend(settings: Settings, arguments: argparse.Namespace) -> Settings:
    """Return the settings with the backend that the command uses."""
    from arkor_dev.cli.consent import require_trust
    from arkor_dev.client.which_backend import remember, settings_for

    if arguments.managed + settings.local + bool(settings.ssh) > 1:
        raise BadRequestError("--local, --ssh and --managed exclude each other. Give one of them.")
    for typed in (settings.ssh, arguments.cluster):
        if typed and typed != "here":
            from arkor_dev.project.trust import trust

            trust(settings, typed)  # who types a machine's name has agreed to it
    if settings.ssh:
        settings = replace(settings, local=True)
    if not (arguments.managed or settings.local):
        names = [getattr(arguments, name, None) for name in NAMES_A_JOB]
        # Training belongs to the current project, whichever job is named.
        anywhere = arguments.command != "start" and arguments.project is None
        settings, note = settings_for(settings, names, anywhere=anywhere, consent=require_trust)
        if note:
            print(note, file=sys.stderr)  # noqa: T201
    if arguments.managed or arguments.local:
        remember(settings)
    return settings


def _run(arguments: argparse.Namespace) -> int:
    settings = _settings(arguments)
    if arguments.command is None:
        gc.disable()  # Imported modules are never garbage: scanning them costs a twentieth of the start.
        from arkor_dev.cli.commands.studio import run_studio

        return run_studio(settings, yes=arguments.yes)
    done = COMMANDS[arguments.command].run(settings, arguments)
    if isinstance(done, int):
        return done
    import asyncio  # importing it would take a sixth of --help's time

    return asyncio.run(done)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Expected errors print one line and exit with 2; any other raises a traceback."""
    if sys.platform == "win32":  # before anything is imported that Windows does not have
        print(f"arkor-dev: {NOT_ON_WINDOWS}", file=sys.stderr)  # noqa: T201
        return 2
    try:
        _replace_what_the_output_cannot_encode()
        with _standard_output():
            arguments = parser().parse(_as_options(sys.argv[1:] if argv is None else argv))
            if arguments.version:
                print(f"arkor-dev {__version__}")  # noqa: T201
                return 0
            return _run(arguments)
    except ArkorError as error:
        _report(error.text)
        return 2
    except BrokenPipeError:
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second failing flush would print a traceback at exit
        _report("interrupted")
        return 130


def _replace_what_the_output_cannot_encode() -> None:
    """Have characters outside the encoding of standard output replaced instead of failing."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def _report(text: str) -> None:
    """Print ``text`` on standard error, if that can be written."""
    if sys.stderr is not None:
        StandardError().write(f"arkor-dev: {text}\n")


def _as_options(argv: Sequence[str]) -> list[str]:
    """Translate ``help``, ``help COMMAND`` and ``version`` to the equivalent options."""
    match argv:
        case ["help", *command]:
            return [*command, "--help"]
        case ["version"]:
            return ["--version"]
        case _:
            return list(argv)


@contextlib.contextmanager
def _standard_output() -> Iterator[None]:
    """Flush standard output before the end, so that a closed reader (`| head`) causes no traceback.

    Raises BrokenPipeError for a closed reader and InternalError for a full disk.
    """
    try:
        yield
    except OSError as error:
        from arkor_dev.contract.regular_files import DISK_FULL

        if error.errno not in DISK_FULL:
            raise
        where = error.filename or "The output"
        raise InternalError(f"{where} cannot be written: {error.strerror}.") from None
    finally:
        try:
            if sys.stdout is not None:
                sys.stdout.flush()
        except OSError as error:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())  # Python flushes its buffer again at exit
            os.close(nowhere)
            if isinstance(error, BrokenPipeError):
                raise
            raise InternalError(f"Standard output cannot be written: {error.strerror}.") from None
