"""The ``arkor-dev`` command: parses arguments into Settings and dispatches to a subcommand."""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from arkor_dev import __version__
from arkor_dev.contract.errors import ArkorError, BadRequestError, InternalError

from .command_line import CommandLine
from .commands.cluster.options import add_cluster, add_placement
from .commands.push.options import add_push
from .commands.serving.options import add_serve
from .options import (
    add_evaluate,
    add_export,
    add_jobs,
    add_launch,
    add_local,
    add_project,
    add_training,
    add_verify,
    add_yes,
    port,
    template_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from arkor_dev.core.settings import Settings

COMMANDS = {
    "init": "write a commented arkor.toml and a small data set",
    "import-config": "import a training configuration of Axolotl, LLaMA-Factory, TRL or OpenAI",
    "start": "run a trainer and follow it in this terminal",
    "data": "check a data set for errors and oddities",
    "jobs": "list the jobs; show, pause, resume, extend or cancel one; write its metrics",
    "evaluate": "compare a job's adapter with its base",
    "export": "export a job's result for other programs, such as Ollama and llama.cpp",
    "push": "publish a job's result on the Hugging Face Hub, after asking",
    "serve": "serve an endpoint of this machine to other programs, without the page",
    "verify": "check an adapter's files against its provenance, or train it again",
    "cluster": "show a Ray cluster: what is free, and what is missing",
    "local": "show and clean up what this machine stores of a project's jobs",
    "login": "sign in to the managed backend",
    "logout": "sign out: remove this machine's credentials",
    "whoami": "show who is signed in where",
    "doctor": "check what Studio needs, with a next step for each problem",
}
NAMES_A_JOB = ("job", "like", "parent", "name", "against")
"""Arguments, of any command, that name a job."""
ON_A_BACKEND = ("start", "jobs", "evaluate", "export", "push", "serve", "doctor")
EXIT_CODES = {
    "0": "done or stopped",
    "1": "failed: the job, or a check of doctor, data or verify; whoami: not signed in",
    "2": "wrong usage, or it cannot start",
    "3": "start: the job was cancelled or deleted",
    "4": "start: the job was paused and can be resumed",
    "130": "interrupted",
}


def _seconds(text: str) -> float:
    if not (text.isascii() and text.isdecimal() and 1 <= len(text) <= 5):
        raise argparse.ArgumentTypeError(f"{text} isn't a valid number of seconds (whole, up to 99999).")
    return float(text)


def _seeds(text: str) -> int:
    from arkor_dev.contract.bodies import MOST_SEEDS

    if not (text.isascii() and text.isdecimal() and len(text) <= 2 and 1 <= int(text) <= MOST_SEEDS):
        raise argparse.ArgumentTypeError(f"{text} is not a valid number of seeds: 1 to {MOST_SEEDS}.")
    return int(text)


def _parser() -> CommandLine:
    parser = CommandLine(
        "arkor-dev",
        "Arkor Studio: fine-tune a language model from a local web page, watch the loss fall, and talk to "
        "the result. Without a command it opens Studio on the project in this folder.",
        "[options]\nCOMMAND [options]",
        {"commands (each has its own --help)": COMMANDS, "exit codes": EXIT_CODES},
    )
    parser.add_argument("--version", action="store_true", help="show the version")
    add_project(parser)
    add_launch(parser)
    add_placement(parser)
    parser.add_argument(
        "--port", metavar="N", type=port,
        help="the port to listen on (default: 4000, or the next free one of ten)",
    )  # fmt: skip
    add_training(parser)
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    parser.add_argument(
        "--allow-other-users", action="store_true",
        help="serve other accounts of this machine, too (the page holds the launch's token)",
    )  # fmt: skip
    add_yes(parser, "at Ctrl-C, stop running jobs of this machine without asking")

    init = parser.add_command(
        "init", "Write a commented arkor.toml and a small data set, or a TypeScript project.", "[FOLDER]"
    )
    init.add_argument(
        "folder", metavar="FOLDER", nargs="?", type=Path, default=Path(),
        help="the folder (default: the current one)",
    )  # fmt: skip
    init.add_argument(
        "--template", metavar="NAME", type=template_name,
        help="a TypeScript project for the managed backend instead: triage, translate or redaction",
    )  # fmt: skip
    start = parser.add_command("start", "Run a trainer of arkor.toml and follow its job.", "[NAME]")
    start.add_argument(
        "file", metavar="NAME", nargs="?",
        help="a trainer of arkor.toml (default: the first one), or an entry of a TypeScript project "
        "(default: src/arkor/index.ts)",
    )  # fmt: skip
    add_project(start)
    add_launch(start)
    add_placement(start)
    start.add_argument("--trainer", metavar="NAME", help="the same as NAME")
    start.add_argument("--dry-run", action="store_true", help="test every stage with a few rows and steps")
    start.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], dest="changes",
        help="override a setting of arkor.toml, such as lora.r=16; may be repeated, and KEY= drops the "
            "file's setting",
    )  # fmt: skip
    start.add_argument(
        "--like", metavar="JOB",
        help="use the settings and the data of a job, named as for jobs; --set overrides them",
    )  # fmt: skip
    start.add_argument(
        "--seeds", metavar="N", type=_seeds, default=1,
        help="train N times (up to 10), with the settings' seed and those after it; a job named by --like "
            "counts as the first",
    )  # fmt: skip
    start.add_argument(
        "--from", metavar="JOB[:STEP]", dest="parent",
        help="start from a job's adapter, or from one of its checkpoints",
    )  # fmt: skip
    start.add_argument(
        "--revision",
        metavar="R",
        help="run nothing if arkor.toml has changed since Studio showed it",
    )
    add_yes(start, "at Ctrl-C, stop a job that can't continue without this command, without asking")
    _add_import(parser)
    _add_data(parser)
    add_jobs(parser)
    add_evaluate(parser)
    add_export(parser)
    add_push(parser)
    add_serve(parser)
    add_verify(parser)
    add_cluster(parser)
    add_local(parser)
    login = parser.add_command(
        "login",
        "Sign in to the managed backend with an account, in the browser. The credentials are kept in "
        "~/.arkor/credentials.json, which the arkor command reads too.",
    )
    login.add_argument("--anonymous", action="store_true", help="a new anonymous identity: no account")
    login.add_argument("--no-browser", action="store_true", help="open no browser; print the address")
    add_yes(login, "replace existing credentials without asking")
    add_yes(
        parser.add_command("logout", "Remove this machine's credentials: ~/.arkor/credentials.json."),
        "do not ask, even if the identity can't be recovered",
    )
    whoami = parser.add_command("whoami", "Show who is signed in where. Nothing is changed.")
    add_project(whoami)
    whoami.add_argument(
        "--json", action="store_true", help="print {signedIn, mode, user, orgs, orgSlug, projectSlug, …}"
    )
    doctor = parser.add_command("doctor", "Check what Studio needs, one line each. Nothing is changed.")
    add_project(doctor)
    add_launch(doctor)
    doctor.add_argument("--port", metavar="N", type=port, default=argparse.SUPPRESS, help="the port to check")
    doctor.add_argument(
        "--json", action="store_true", help="print {ok, checks: [{name, status, text, next}]}"
    )
    return parser


def _add_import(parser: CommandLine) -> None:
    command = parser.add_command(
        "import-config",
        "Add a trainer to arkor.toml from another tool's configuration: YAML of Axolotl or LLaMA-Factory, "
        "arguments of TRL, transformers or Unsloth in JSON, YAML, a script or a notebook (never run), or a "
        "fine-tuning job or file of OpenAI. Says line by line what could not be carried over.",
        "FILE",
    )
    command.add_argument("file", metavar="FILE", nargs="?", type=Path, help="the configuration")
    add_project(command)
    command.add_argument("--name", metavar="NAME", help="the trainer's name (default: the file's)")
    command.add_argument("--dry-run", action="store_true", help="write nothing")
    command.add_argument("--json", action="store_true", help="print {tool, trainer, toml, notes, unneeded}")


def _add_data(parser: CommandLine) -> None:
    data = parser.add_command(
        "data",
        "Check a data set for unreadable rows, duplicates, secrets, broken text and more, and say why each "
        "finding matters and what to do. Exits with 1 if there is an error.",
        "check [FILE]",
    )
    data.add_argument("action", metavar="check", nargs="?", help="what to do")
    data.add_argument(
        "file", metavar="FILE", nargs="?", type=Path,
        help="a file or a folder of files (default: the data of a trainer in arkor.toml)",
    )  # fmt: skip
    add_project(data)
    data.add_argument("--trainer", metavar="NAME", help="whose data (default: the first trainer's)")
    data.add_argument("--strict", action="store_true", help="exit with 1 for warnings too")
    data.add_argument(
        "--seconds", metavar="N", type=_seconds, help="stop reading after this time, and say where"
    )
    data.add_argument("--json", action="store_true", help="print {rows, files, findings, leftOut}")


def _settings(arguments: argparse.Namespace) -> Settings:
    from arkor_dev.core.settings import Settings

    project = Path(getattr(arguments, "project", Path()))
    if not project.is_dir():
        raise BadRequestError(f"{project} is not a folder. Name the project's folder with --project.")
    settings = Settings.from_environment(
        os.environ,
        project,
        local=getattr(arguments, "local", False),
        port=getattr(arguments, "port", None),
        open_browser=getattr(arguments, "open", False),
        resume=not getattr(arguments, "no_resume", False),
        at_once=getattr(arguments, "at_once", None),
        engine=getattr(arguments, "engine", None),
        allow_other_users=getattr(arguments, "allow_other_users", False),
        log_level=getattr(arguments, "log_level", "warning"),
        cluster=getattr(arguments, "cluster", None),
        insecure_cluster=getattr(arguments, "insecure_cluster", False),
    )
    return _with_backend(settings, arguments) if arguments.command in (None, *ON_A_BACKEND) else settings


def _with_backend(settings: Settings, arguments: argparse.Namespace) -> Settings:
    """Return the settings with the backend that the command uses."""
    from arkor_dev.cli.which_backend import remember, where

    managed = getattr(arguments, "managed", False)
    if managed and settings.local:
        raise BadRequestError("--local and --managed exclude each other. Give one of them.")
    if not (managed or settings.local):
        names = [getattr(arguments, name, None) for name in NAMES_A_JOB]
        # Training belongs to the current project, whichever job is named.
        anywhere = arguments.command != "start" and not hasattr(arguments, "project")
        settings, why = where(settings, names, anywhere=anywhere)
        if why:
            print(why, file=sys.stderr)  # noqa: T201
    if arguments.command in (None, "start", "serve"):
        remember(settings)
    return settings


def _run(arguments: argparse.Namespace) -> int:
    if arguments.command == "init":
        from arkor_dev.cli.commands.init import run_init

        return run_init(arguments.folder, template=arguments.template)
    settings, yes = _settings(arguments), getattr(arguments, "yes", False)
    if arguments.command is None:
        if settings.local:
            from arkor_dev.identity.local_backend import require_extra

            require_extra()
        gc.disable()  # Imported modules are never garbage: scanning them costs a twentieth of the start.
        from arkor_dev.cli.commands.studio import run_studio

        return run_studio(settings, yes=yes)
    if arguments.command == "data":
        from arkor_dev.cli.commands.data import run_data

        how = {"trainer": arguments.trainer, "as_json": arguments.json, "strict": arguments.strict}
        return run_data(settings, arguments.action, arguments.file, **how, seconds=arguments.seconds)
    if arguments.command == "import-config":
        from arkor_dev.cli.commands.import_config import run_import_config

        how = {"name": arguments.name, "dry_run": arguments.dry_run, "as_json": arguments.json}
        return run_import_config(settings, arguments.file, **how)
    import asyncio  # importing it would take a sixth of --help's time

    if arguments.command == "jobs":
        from arkor_dev.cli.commands.jobs import run_jobs

        end = {"maxSteps": arguments.steps, "numTrainEpochs": arguments.epochs}
        how = {"schedule": arguments.schedule, "force": arguments.force or None, "on": arguments.at}
        how |= {"format": arguments.format, "out": arguments.out, "workers": arguments.workers}
        options = {name: value for name, value in {**end, **how}.items() if value is not None}
        done = run_jobs(settings, arguments.action, arguments.job, as_json=arguments.json, options=options)
        return asyncio.run(done)
    if arguments.command == "evaluate":
        from arkor_dev.cli.commands.evaluate import Asked, run_evaluate

        if arguments.settings and not arguments.against:
            raise BadRequestError(
                "--settings compares the settings of two jobs: name the other one by --against."
            )
        asked = Asked(
            arguments.job,
            arguments.checkpoint,
            arguments.force,
            arguments.data,
            arguments.against,
            arguments.settings,
        )
        return asyncio.run(run_evaluate(settings, asked, as_json=arguments.json))
    if arguments.command == "export":
        from arkor_dev.cli.commands.export.run import asked_by, run_export

        return asyncio.run(run_export(settings, arguments.job, **asked_by(arguments)))
    if arguments.command == "push":
        from arkor_dev.cli.commands.push.run import Publication, run_push

        return asyncio.run(run_push(settings, arguments.job, arguments.repo, Publication.by(arguments)))
    if arguments.command == "serve":
        from arkor_dev.cli.commands.serving.serve import run_serve

        return asyncio.run(run_serve(settings, arguments.name, open_to_all=arguments.open_to_all))
    if arguments.command == "verify":
        from arkor_dev.cli.commands.verify.check import run_verify

        if arguments.target is None:
            raise BadRequestError("Name what to verify: an adapter's folder, a file in it, or a job's id.")
        how = {"repeat": arguments.repeat, "as_json": arguments.json}
        return asyncio.run(run_verify(settings, arguments.target, **how))
    if arguments.command == "cluster":
        from arkor_dev.cli.commands.cluster.status import run_cluster

        return asyncio.run(run_cluster(settings, arguments.action, arguments.address, as_json=arguments.json))
    if arguments.command == "local":
        from arkor_dev.cli.commands.local import run_local

        names = [name for name in (arguments.first, arguments.second) if name is not None]
        return asyncio.run(run_local(settings, arguments.action, names, as_json=arguments.json, yes=yes))
    if arguments.command == "login":
        from arkor_dev.cli.account.login import run_login

        return run_login(settings, anonymous=arguments.anonymous, browser=not arguments.no_browser, yes=yes)
    if arguments.command == "logout":
        from arkor_dev.cli.account.login import run_logout

        return run_logout(settings, os.environ, yes=yes)
    if arguments.command == "whoami":
        from arkor_dev.cli.account.whoami import run_whoami

        return run_whoami(settings, as_json=arguments.json)
    if arguments.command == "doctor":
        from arkor_dev.cli.commands.doctor import run_doctor

        return asyncio.run(run_doctor(settings, as_json=arguments.json))
    from arkor_dev.cli.commands.start import run_start
    from arkor_dev.cli.set_option import parse_settings

    chosen = {"file": arguments.file, "trainer": arguments.trainer, "dry_run": arguments.dry_run}
    begin = {"like": arguments.like, "parent": arguments.parent, "changes": parse_settings(arguments.changes)}
    begin |= {"revision": arguments.revision}
    begin |= {"seeds": arguments.seeds}
    return asyncio.run(run_start(settings, **chosen, **begin, yes=yes))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Expected errors print one line and exit with 2; any other raises a traceback."""
    try:
        with _standard_output():
            arguments = _parser().parse(_as_options(sys.argv[1:] if argv is None else argv))
            if arguments.version:
                print(f"arkor-dev {__version__}")  # noqa: T201
                return 0
            return _run(arguments)
    except ArkorError as error:
        print(f"arkor-dev: {error.text}", file=sys.stderr)  # noqa: T201
        return 2
    except BrokenPipeError:
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second failing flush would print a traceback at exit
        print("arkor-dev: interrupted", file=sys.stderr)  # noqa: T201
        return 130


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
