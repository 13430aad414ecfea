"""Options that several commands have, and the commands about jobs and what this machine keeps of them."""

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
    """A template of `starter_typescript`; raises ArgumentTypeError."""
    from arkor_dev.project.starter_typescript import TEMPLATES  # what only one command needs

    if text not in TEMPLATES:
        raise argparse.ArgumentTypeError(f"unknown template {text}. Choose one of {', '.join(TEMPLATES)}.")
    return text


def port(text: str) -> int:
    """A port's number; raises ArgumentTypeError."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 5 and 1 <= int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text} isn't a valid port (1 to 65535).")
    return int(text)


def _level(text: str) -> str:
    if text not in LEVELS:
        raise argparse.ArgumentTypeError(f"{text} is no level. Choose one of {', '.join(LEVELS)}.")
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
        raise argparse.ArgumentTypeError(f"{text} is no strength. Choose one above 0, up to 1.5.")
    return strength


def _schedule(text: str) -> str:
    if text not in SCHEDULES:
        raise argparse.ArgumentTypeError(f"{text} is no way to go on. Choose {' or '.join(SCHEDULES)}.")
    return text


# Defaults are left out: a command's would replace what was said before its name.


def add_project(parser: CommandLine) -> None:
    parser.add_argument(
        "--project", metavar="DIR", type=Path, default=argparse.SUPPRESS,
        help="the project's folder (default: the current one)",
    )  # fmt: skip


def add_launch(parser: CommandLine) -> None:
    parser.add_argument(
        "--local", action="store_true", default=argparse.SUPPRESS,
        help="train and chat on this machine: no account, no network needed; the project is opened so again "
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
        raise argparse.ArgumentTypeError(f"{text} is no format. Choose one of {', '.join(FORMATS)}.")
    return text


def add_jobs(parser: CommandLine) -> None:
    """``jobs``, and what it does with one."""
    jobs = parser.add_command(
        "jobs",
        "List the jobs, the newest first, or show, pause, resume, extend or cancel one, or write its "
        "figures. A job is named by its id, by the beginning of its id, or as latest.",
        "[show|pause|resume|extend|cancel|figures JOB]",
    )
    jobs.add_argument(
        "action", metavar="ACTION", nargs="?",
        help="show: one job, its verdict, and where its files are. pause: stop a running job after its step. "
        "resume: let a paused, failed or cancelled one go on where it stood. extend: give a completed one "
        "more steps. cancel: end one that is not over. figures: write losses, rates and what the machine did",
    )  # fmt: skip
    jobs.add_argument("job", metavar="JOB", nargs="?", help="an id, the beginning of one, or latest")
    add_project(jobs)
    add_launch(jobs)
    jobs.add_argument(
        "--steps", metavar="N", type=_steps, help="extend: train to this step, counted from the first"
    )
    jobs.add_argument("--epochs", metavar="N", type=_epochs, help="extend: train for so many epochs in all")
    jobs.add_argument(
        "--schedule", metavar="HOW", type=_schedule,
        help="extend: continue the learning rate's schedule as if the job had been so long from the start "
        "(the default), or restart it",
    )  # fmt: skip
    jobs.add_argument(
        "--force", action="store_true",
        help="resume and extend: also where the job's data or model has changed since",
    )  # fmt: skip
    jobs.add_argument(
        "--at", metavar="ADDRESS", type=str.strip, help="resume: on this Ray cluster, or here, from now on"
    )
    jobs.add_argument(
        "--workers",
        metavar="N",
        type=_workers,
        help="resume: with so many workers of its cluster from here on",
    )
    jobs.add_argument(
        "--format", metavar="HOW", type=_format, help="figures: csv (the default), jsonl or tensorboard"
    )
    jobs.add_argument(
        "--out", metavar="PATH", help="figures: the file, or TensorBoard's folder (default: standard output)"
    )
    jobs.add_argument("--json", action="store_true", help="print {jobs: [...]}, or {job} of one")


def add_evaluate(parser: CommandLine) -> None:
    """``evaluate``, and what it measures."""
    evaluate = parser.add_command(
        "evaluate",
        "Compare a job's adapter with its base on the rows that were held out of its training: is it better, "
        "and how sure is that? A job is named by its id, by the beginning of its id, or as latest.",
        "JOB",
    )
    evaluate.add_argument("job", metavar="JOB", nargs="?", help="an id, the beginning of one, or latest")
    add_project(evaluate)
    add_launch(evaluate)
    evaluate.add_argument(
        "--checkpoint", metavar="STEP", type=_steps, help="the checkpoint of this step, not the final adapter"
    )
    evaluate.add_argument(
        "--data", metavar="FILE", help="on the rows of this file of the project, not on the held-out ones"
    )
    evaluate.add_argument(
        "--against",
        metavar="JOB",
        help="beside the final adapter of this job, on the same rows, not the base",
    )
    evaluate.add_argument(
        "--settings",
        action="store_true",
        help="with --against: compare the settings of both jobs, by their runs with other seeds",
    )
    evaluate.add_argument("--force", action="store_true", help="also where the job's data have changed since")
    evaluate.add_argument(
        "--json", action="store_true", help="print {evaluation, rows}, or {comparison} with --against"
    )


def add_export(parser: CommandLine) -> None:
    """``export``, and what it writes."""
    export = parser.add_command(
        "export",
        "Write what a job has made for other programs: adapter is PEFT's format, merged is one model of base "
        "and adapter in safetensors, gguf the same for llama.cpp and LM Studio, gguf-lora the adapter alone "
        "for llama.cpp, ollama a model with its Modelfile. What was written is read again by libraries of "
        "those programs alone and has to answer as the trained model does; where it does not, the exit code "
        "is 1. A job is named by its id, by the beginning of its id, or as latest.",
        "JOB --out FOLDER",
    )
    export.add_argument("job", metavar="JOB", nargs="?", help="an id, the beginning of one, or latest")
    add_project(export)
    add_launch(export)
    export.add_argument("--out", metavar="FOLDER", help="where to write it; a folder that is not there yet")
    add_what_leaves(export)
    export.add_argument("--replace", action="store_true", help="replace a folder that is there")
    export.add_argument("--json", action="store_true", help="print {export, path}, the proof in it")


def add_what_leaves(parser: CommandLine) -> None:
    """Which of a job's models leaves, and as what."""
    from arkor_dev.contract.bodies import EXPORT_FORMATS, QUANTIZATIONS

    parser.add_argument(
        "--format", metavar="HOW", choices=EXPORT_FORMATS, default="adapter",
        help="adapter (the default), merged, gguf, gguf-lora or ollama",
    )  # fmt: skip
    parser.add_argument(
        "--quantization", metavar="TYPE", choices=QUANTIZATIONS, default=None,
        help="of gguf and ollama, the most exact first: f16, q8_0 (the default), q6_k, q5_k_m, q4_k_m, q4_0",
    )  # fmt: skip
    parser.add_argument(
        "--strength", metavar="TIMES", type=_strength, default=1.0,
        help="how much of the adapter's change is written: above 0, up to 1.5 (default: 1); not with adapter",
    )  # fmt: skip
    parser.add_argument(
        "--checkpoint", metavar="WHICH", type=_which, default="best",
        help="a step, final, or best (the default): the checkpoint that is better than the final adapter "
        "beyond doubt, else that one",
    )  # fmt: skip


def add_verify(parser: CommandLine) -> None:
    """``verify``, and what it checks."""
    verify = parser.add_command(
        "verify",
        "Check every file of an adapter's folder, or one of them, against the hashes in its "
        "provenance.json. A job of this machine is named by its id, or as JOB:STEP for a checkpoint of it.",
        "FOLDER|FILE|JOB",
    )
    verify.add_argument(
        "target", metavar="FOLDER", nargs="?", help="a folder, a file in one, a job's id, or latest"
    )
    add_project(verify)
    verify.add_argument(
        "--repeat", action="store_true",
        help="train it again on this machine, with the project's data of the same hash, and compare the bits",
    )  # fmt: skip
    verify.add_argument("--json", action="store_true", help="print {ok, folder, job, files, repeat?}")


def add_local(parser: CommandLine) -> None:
    """``local``, and what it does with what lies on the disk."""
    local = parser.add_command(
        "local",
        "What this machine keeps of the project's jobs: status says what each takes on the disk, gc removes "
        "what belongs to no job and models that no job uses, path prints the folder, export writes a job "
        "with all its files to one file, import takes such a file in, and rebuild makes the list of jobs "
        "again where its file is damaged.",
        "status|gc|path|export JOB FILE|import FILE|rebuild",
    )
    local.add_argument("action", metavar="ACTION", nargs="?", help="what to do (default: status)")
    local.add_argument(
        "first", metavar="JOB", nargs="?", help="export: an id, the beginning of one, or latest"
    )
    local.add_argument("second", metavar="FILE", nargs="?", help="export and import: the file")
    add_project(local)
    local.add_argument("--json", action="store_true", help="print status as {disk, data, cache}")
    add_yes(local, "gc: remove without asking")


def add_training(parser: argparse.ArgumentParser) -> None:
    """How this machine's jobs run: which go on by themselves, and how many beside each other."""
    parser.add_argument(
        "--no-resume", action="store_true",
        help="let jobs of this machine that were interrupted stand (ARKOR_NO_RESUME=1 does the same)",
    )  # fmt: skip
    parser.add_argument(
        "--at-once", metavar="N", type=_at_once,
        help="train so many jobs of this machine at once, as far as memory allows (ARKOR_AT_ONCE; "
        "default: one for each GPU, or one)",
    )  # fmt: skip
    parser.add_argument(
        "--engine", metavar="NAME", type=_engine,
        help="what answers chats of this machine: exact (transformers), llama.cpp, or auto, the quicker one "
        "that is there (ARKOR_ENGINE; default: auto)",
    )  # fmt: skip


def _engine(text: str) -> str:
    from arkor_dev.contract.bodies import ENGINES

    if text not in ENGINES:
        raise argparse.ArgumentTypeError(f"{text} is no engine. Choose one of {', '.join(ENGINES)}.")
    return text


def _at_once(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 3 and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"{text} isn't a valid number of jobs (1 or more).")
    return int(text)
