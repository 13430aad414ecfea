"""Options shared by several commands, and the commands for jobs and local storage."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .command_line import CommandLine

FORMATS = ("csv", "jsonl", "tensorboard")
LEVELS = ("debug", "info", "warning", "error")
SCHEDULES = ("continue", "restart")


def template_name(text: str) -> str:
    """Validate a template name of `starter_typescript`. Raises ArgumentTypeError."""
    from arkor_dev.project.starter_typescript import TEMPLATES  # needed by one command only

    if text not in TEMPLATES:
        raise argparse.ArgumentTypeError(f"unknown template {text}. Choose one of {', '.join(TEMPLATES)}.")
    return text


def port(text: str) -> int:
    """Parse a port number. Raises ArgumentTypeError."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 5 and 1 <= int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text} isn't a valid port (1 to 65535).")
    return int(text)


def _level(text: str) -> str:
    if text not in LEVELS:
        raise argparse.ArgumentTypeError(f"{text} is not a valid level. Choose one of {', '.join(LEVELS)}.")
    return text


def _steps(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 9 and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text} isn't a valid number of steps (a whole number above 0).")
    return int(text)


def _workers(text: str) -> int:
    from arkor_dev.contract.placement.workers import WORKERS

    if not (text.isascii() and text.isdecimal() and len(text) <= 9 and WORKERS.fits(int(text))):
        raise argparse.ArgumentTypeError(f"{text} isn't a valid number of workers ({WORKERS.words}).")
    return int(text)


def _which(text: str) -> int | str:
    return text if text in ("best", "final") else _steps(text)


def _epochs(text: str) -> float:
    try:
        epochs = float(text)
    except ValueError:
        epochs = 0.0
    if not 0 < epochs <= 10_000:
        raise argparse.ArgumentTypeError(f"{text} isn't a valid number of epochs (above 0, up to 10,000).")
    return epochs


def _strength(text: str) -> float:
    try:
        strength = float(text)
    except ValueError:
        strength = 0.0
    if not 0 < strength <= 1.5:
        raise argparse.ArgumentTypeError(f"{text} is not a valid strength. Choose one above 0, up to 1.5.")
    return strength


def _schedule(text: str) -> str:
    if text not in SCHEDULES:
        raise argparse.ArgumentTypeError(f"{text} is not a valid schedule. Choose {' or '.join(SCHEDULES)}.")
    return text


# No defaults here: those of a subcommand would overwrite options given before its name.


def add_project(parser: CommandLine) -> None:
    parser.add_argument(
        "--project", metavar="DIR", type=Path, default=argparse.SUPPRESS,
        help="the project's folder (default: the current one)",
    )  # fmt: skip


def add_launch(parser: CommandLine) -> None:
    parser.add_argument(
        "--local", action="store_true", default=argparse.SUPPRESS,
        help="train and chat on this machine, without an account or network; remembered for the project "
            "until --managed is given",
    )  # fmt: skip
    parser.add_argument(
        "--managed", action="store_true", default=argparse.SUPPRESS,
        help="train and chat on the managed backend (the default of a new project)",
    )  # fmt: skip
    parser.add_argument(
        "--log-level", metavar="LEVEL", type=_level, default=argparse.SUPPRESS,
        help=f"how much to log: {', '.join(LEVELS)} (default: warning)",
    )  # fmt: skip


def add_yes(parser: CommandLine, text: str) -> None:
    parser.add_argument("--yes", action="store_true", default=argparse.SUPPRESS, help=text)


def _format(text: str) -> str:
    if text not in FORMATS:
        raise argparse.ArgumentTypeError(f"{text} is not a valid format. Choose one of {', '.join(FORMATS)}.")
    return text


def add_jobs(parser: CommandLine) -> None:
    """Add ``jobs`` and its actions."""
    jobs = parser.add_command(
        "jobs",
        "List the jobs, newest first, or show, pause, resume, extend or cancel one, or write its metrics. "
        "JOB is an id, a prefix of one, or latest.",
        "[show|pause|resume|extend|cancel|figures JOB]",
    )
    jobs.add_argument(
        "action", metavar="ACTION", nargs="?",
        help="show: one job, its verdict, and where its files are. pause: stop a running job after its step. "
        "resume: continue a paused, failed or cancelled one. extend: give a completed one "
        "more steps. cancel: stop one that has not ended. figures: write losses, rates and machine metrics",
    )  # fmt: skip
    jobs.add_argument("job", metavar="JOB", nargs="?", help="an id, a prefix of one, or latest")
    add_project(jobs)
    add_launch(jobs)
    jobs.add_argument(
        "--steps", metavar="N", type=_steps, help="extend: train to this step, counted from the first"
    )
    jobs.add_argument("--epochs", metavar="N", type=_epochs, help="extend: train for this many epochs in all")
    jobs.add_argument(
        "--schedule", metavar="HOW", type=_schedule,
        help="extend: continue the learning rate schedule as if the job had been this long from the start "
            "(the default), or restart it",
    )  # fmt: skip
    jobs.add_argument(
        "--force", action="store_true",
        help="resume and extend: even if the job's data or model has changed since",
    )  # fmt: skip
    jobs.add_argument(
        "--at", metavar="ADDRESS", type=str.strip, help="resume: on this Ray cluster, or here, from now on"
    )
    jobs.add_argument(
        "--workers",
        metavar="N",
        type=_workers,
        help="resume: with this many workers of its cluster from now on",
    )
    jobs.add_argument(
        "--format", metavar="HOW", type=_format, help="figures: csv (the default), jsonl or tensorboard"
    )
    jobs.add_argument(
        "--out", metavar="PATH", help="figures: the file, or TensorBoard's folder (default: standard output)"
    )
    jobs.add_argument("--json", action="store_true", help="print {jobs: [...]}, or {job} of one")


def add_evaluate(parser: CommandLine) -> None:
    """Add ``evaluate`` and its options."""
    evaluate = parser.add_command(
        "evaluate",
        "Compare a job's adapter with its base on held-out rows: is it better, and how certain is that? "
        "JOB is an id, a prefix of one, or latest.",
        "JOB",
    )
    evaluate.add_argument("job", metavar="JOB", nargs="?", help="an id, a prefix of one, or latest")
    add_project(evaluate)
    add_launch(evaluate)
    evaluate.add_argument(
        "--checkpoint",
        metavar="STEP",
        type=_steps,
        help="evaluate the checkpoint of this step, not the final adapter",
    )
    evaluate.add_argument(
        "--data", metavar="FILE", help="use the rows of this file of the project, not the held-out ones"
    )
    evaluate.add_argument(
        "--against",
        metavar="JOB",
        help="compare with this job's final adapter on the same rows, not with the base",
    )
    evaluate.add_argument(
        "--settings",
        action="store_true",
        help="with --against: compare the settings of both jobs, by all their runs with different seeds",
    )
    evaluate.add_argument("--force", action="store_true", help="even if the job's data have changed since")
    evaluate.add_argument(
        "--json", action="store_true", help="print {evaluation, rows}, or {comparison} with --against"
    )


def add_export(parser: CommandLine) -> None:
    """Add ``export`` and its options."""
    export = parser.add_command(
        "export",
        "Export a job's result for other programs. Formats: adapter (PEFT), merged (base and adapter as one "
        "model in safetensors), gguf (the same for llama.cpp and LM Studio), gguf-lora (the adapter alone "
        "for llama.cpp), ollama (a model with its Modelfile). The files are written first, then verified: "
        "loaded by those programs' own libraries, they have to predict what the trained model does; else "
        "the exit code is 1. JOB is an id, a prefix of one, or latest.",
        "JOB --out FOLDER",
    )
    export.add_argument("job", metavar="JOB", nargs="?", help="an id, a prefix of one, or latest")
    add_project(export)
    add_launch(export)
    export.add_argument("--out", metavar="FOLDER", help="where to write it; a folder that does not exist yet")
    add_what_leaves(export)
    export.add_argument("--replace", action="store_true", help="replace an existing folder")
    export.add_argument("--json", action="store_true", help="print {export, path}, the proof in it")


def add_what_leaves(parser: CommandLine) -> None:
    """Add the options that select a model and its export format."""
    from arkor_dev.contract.bodies import EXPORT_FORMATS, QUANTIZATIONS

    parser.add_argument(
        "--format", metavar="HOW", choices=EXPORT_FORMATS, default="adapter",
        help="adapter (the default), merged, gguf, gguf-lora or ollama",
    )  # fmt: skip
    parser.add_argument(
        "--quantization", metavar="TYPE", choices=QUANTIZATIONS, default=None,
        help="for gguf and ollama, most exact first: f16, q8_0 (the default), q6_k, q5_k_m, q4_k_m, q4_0",
    )  # fmt: skip
    parser.add_argument(
        "--strength", metavar="TIMES", type=_strength, default=1.0,
        help="adapter strength: above 0, up to 1.5 (default: 1); not with adapter",
    )  # fmt: skip
    parser.add_argument(
        "--checkpoint", metavar="WHICH", type=_which, default="best",
        help="a step, final, or best (the default): the checkpoint that is clearly better than the final "
            "adapter, else the final one",
    )  # fmt: skip


def add_verify(parser: CommandLine) -> None:
    """Add ``verify`` and its options."""
    verify = parser.add_command(
        "verify",
        "Check an adapter's folder, or one file of it, against the hashes in its provenance.json. Name a "
        "job of this machine by its id, or JOB:STEP for a checkpoint.",
        "FOLDER|FILE|JOB",
    )
    verify.add_argument(
        "target", metavar="FOLDER", nargs="?", help="a folder, a file in one, a job's id, or latest"
    )
    add_project(verify)
    verify.add_argument(
        "--repeat", action="store_true",
        help="train it again on this machine, on the project's data with the same hash, and compare bit "
            "for bit",
    )  # fmt: skip
    verify.add_argument("--json", action="store_true", help="print {ok, folder, job, files, repeat?}")


def add_local(parser: CommandLine) -> None:
    """Add ``local`` and its actions."""
    local = parser.add_command(
        "local",
        "Show what this machine stores of the project's jobs. status: disk usage by job. gc: delete what "
        "belongs to no job, and unused models. path: print the folder. export: write a job with all its "
        "files to one file. import: read such a file. rebuild: restore the list of jobs if its file is "
        "damaged.",
        "status|gc|path|export JOB FILE|import FILE|rebuild",
    )
    local.add_argument("action", metavar="ACTION", nargs="?", help="what to do (default: status)")
    local.add_argument("first", metavar="JOB", nargs="?", help="export: an id, a prefix of one, or latest")
    local.add_argument("second", metavar="FILE", nargs="?", help="export and import: the file")
    add_project(local)
    local.add_argument("--json", action="store_true", help="print status as {disk, data, cache}")
    add_yes(local, "gc: delete without asking")


def add_training(parser: argparse.ArgumentParser) -> None:
    """Add options for this machine's jobs: automatic resume and how many train concurrently."""
    parser.add_argument(
        "--no-resume", action="store_true",
        help="don't resume interrupted jobs of this machine (or ARKOR_NO_RESUME=1)",
    )  # fmt: skip
    parser.add_argument(
        "--at-once", metavar="N", type=_at_once,
        help="train up to N jobs at once on this machine, if memory allows (ARKOR_AT_ONCE; default: one "
            "per GPU, or one)",
    )  # fmt: skip
    parser.add_argument(
        "--engine", metavar="NAME", type=_engine,
        help="engine for chats on this machine: exact (transformers), llama.cpp, or auto, the faster one "
            "available (ARKOR_ENGINE; default: auto)",
    )  # fmt: skip


def _engine(text: str) -> str:
    from arkor_dev.contract.bodies import ENGINES

    if text not in ENGINES:
        raise argparse.ArgumentTypeError(f"{text} is not a valid engine. Choose one of {', '.join(ENGINES)}.")
    return text


def _at_once(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 3 and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"{text} isn't a valid number of jobs (1 or more).")
    return int(text)
