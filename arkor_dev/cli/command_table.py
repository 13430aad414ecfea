"""Every command of ``arkor-dev`` as one record: its name, help, arguments, and what runs it.

A record's functions import what only its command needs when they are called, so a launch builds one parser
and loads one command's modules.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.errors import BadRequestError

from .command_line import CommandLine
from .options import (
    OneOf,
    add_export_options,
    add_insecure,
    add_job,
    add_launch,
    add_placement,
    add_port,
    add_project,
    add_yes,
    fraction,
    step,
    whole_number,
)

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Coroutine

    from arkor_dev.core.settings import Settings

    Run = Callable[[Settings, argparse.Namespace], int | Coroutine[object, object, int]]


@dataclass(frozen=True, slots=True)
class Command:
    """A command. ``help`` is its line in the program's help, ``text`` and ``usage`` begin its own.

    ``add`` adds its arguments; ``run`` returns the exit code, perhaps as a coroutine. ``on_backend``: it
    calls the backend that the launch chooses, always or with some arguments.
    """

    name: str
    help: str
    text: str
    usage: str
    add: Callable[[CommandLine], None]
    run: Run
    on_backend: bool | Callable[[argparse.Namespace], bool] = False

    def parser(self) -> CommandLine:
        parser = CommandLine(f"arkor-dev {self.name}", self.text, f"[options] {self.usage}".rstrip())
        self.add(parser)
        return parser


def _init_arguments(init: CommandLine) -> None:
    from arkor_dev.project.starter import TEMPLATES

    init.add_argument(
        "folder", metavar="FOLDER", nargs="?", type=Path, default=Path(),
        help="the folder (default: the current one)",
    )  # fmt: skip
    init.add_argument(
        "--template", metavar="NAME", type=OneOf("template", TEMPLATES),
        help="another project instead: agent, which learns to call tools in an environment, or a TypeScript "
            "project for the managed backend: triage, translate or redaction",
    )  # fmt: skip


def _init(_: Settings, arguments: argparse.Namespace) -> int:
    from .commands.init import run_init

    return run_init(arguments.folder, template=arguments.template)


def _start_arguments(start: CommandLine) -> None:
    from arkor_dev.contract.bodies import MOST_SEEDS

    start.add_argument(
        "file", metavar="NAME", nargs="?",
        help="a trainer of arkor.toml (default: the first one), or an entry of a TypeScript project "
            "(default: src/arkor/index.ts)",
    )  # fmt: skip
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
        "--changes", metavar="FILE", dest="changes_file",
        help="override settings by a JSON object of them, named as in a job's config, from a file, or - from "
            "standard input; --set overrides them",
    )  # fmt: skip
    start.add_argument(
        "--like", metavar="JOB",
        help="use the settings and the data of a job, named as for jobs; --set overrides them",
    )  # fmt: skip
    start.add_argument(
        "--data", metavar="FILE", action="append", default=[],
        help="train on this file of the project instead of the trainer's data set; may be repeated",
    )  # fmt: skip
    start.add_argument(
        "--seeds", metavar="N", default=1,
        type=whole_number(f"number of seeds: 1 to {MOST_SEEDS}", MOST_SEEDS, 2),
        help="train N times (up to 10), with the settings' seed and those after it; a job named by --like "
            "counts as the first",
    )  # fmt: skip
    start.add_argument(
        "--from", metavar="JOB[:STEP]", dest="parent",
        help="start from a job's adapter, or from one of its checkpoints, with its LoRA settings; a name is "
            "the newest of its jobs with a final adapter",
    )  # fmt: skip
    start.add_argument(
        "--then", metavar="NAME", action="append", default=[],
        help="train this trainer of arkor.toml next, from the new adapter; may be repeated",
    )  # fmt: skip
    start.add_argument(
        "--revision", metavar="R", help="run nothing if arkor.toml has changed since Studio showed it"
    )
    add_yes(start, "at Ctrl-C, stop a job that can't continue without this command, without asking")


def _start(settings: Settings, arguments: argparse.Namespace) -> Coroutine[object, object, int]:
    from .commands.start import run_start
    from .set_option import parse_settings, read_changes

    changes = {} if arguments.changes_file is None else read_changes(arguments.changes_file)
    return run_start(
        settings, file=arguments.file, trainer=arguments.trainer, dry_run=arguments.dry_run,
        like=arguments.like, parent=arguments.parent, changes=changes | parse_settings(arguments.changes),
        data=arguments.data, revision=arguments.revision, seeds=arguments.seeds, then=arguments.then,
        yes=arguments.yes,
    )  # fmt: skip


def _import_config_arguments(command: CommandLine) -> None:
    command.add_argument("file", metavar="FILE", nargs="?", type=Path, help="the configuration")
    add_project(command)
    command.add_argument("--name", metavar="NAME", help="the trainer's name (default: the file's)")
    command.add_argument("--dry-run", action="store_true", help="write nothing")
    command.add_argument("--json", action="store_true", help="print {tool, trainer, toml, notes, unneeded}")


def _import_config(settings: Settings, arguments: argparse.Namespace) -> int:
    from .commands.import_config import run_import_config

    options = {"name": arguments.name, "dry_run": arguments.dry_run, "as_json": arguments.json}
    return run_import_config(settings, arguments.file, **options)


def _data_arguments(data: CommandLine) -> None:
    from arkor_dev.data.mending import KINDS, ON_REQUEST

    data.add_argument(
        "action", metavar="ACTION", nargs="?",
        help="check: report findings. fix: show how the rows of a trainer's files would change so that "
            "findings go away, ask, and change them. make: make rows from documents. more: make rows from "
            "rows. import: make rows of logs and traces of model calls. "
            "judge: have a teacher judge a trainer's rows by a rubric, once it agrees with people. "
            "reviews: count how rows were judged, and how far people agree",
    )  # fmt: skip
    data.add_argument(
        "files", metavar="FILE", nargs="*", type=Path,
        help="check: a file or a folder of files. make: documents, or folders of them. more: a file of rows. "
            "import: logs. "
            "(default: the data of a trainer in arkor.toml)",
    )  # fmt: skip
    add_launch(data)
    data.add_argument("--trainer", metavar="NAME", help="whose data (default: the first trainer's)")
    data.add_argument("--strict", action="store_true", help="exit with 1 for warnings too")
    data.add_argument(
        "--seconds", metavar="N", type=whole_number("number of seconds (whole, up to 99999)", 99_999, 5),
        help="stop reading after this time, and say where",
    )  # fmt: skip
    data.add_argument(
        "--only", metavar="KIND", action="append", choices=KINDS,
        help=f"fix: only this finding, once for each: {', '.join(KINDS)} (default: all but "
            f"{' and '.join(sorted(ON_REQUEST))})",
    )  # fmt: skip
    data.add_argument(
        "--row", metavar="N", type=whole_number("row number", 2**32, 10), help="fix: only this row"
    )
    data.add_argument(
        "--dry-run", action="store_true",
        help="fix: only show how rows would change. make, more: only show what would be asked",
    )  # fmt: skip
    data.add_argument("--yes", action="store_true", help="fix: do not ask")
    data.add_argument(
        "--json", action="store_true",
        help="print {rows, files, findings, leftOut}; of fix {rows, counts, diff, changes, leftOut}; of "
            "reviews the counts; of make and more {state, file, rows, dropped, requests, inputTokens, "
            "outputTokens, …}; of import {file, rows, merged, others, failed, formats, reasons}",
    )  # fmt: skip
    data.add_argument(
        "--endpoint", metavar="NAME", help="import: the log of this endpoint, as far as it keeps texts"
    )
    _make_arguments(data)


def _make_arguments(data: CommandLine) -> None:
    from arkor_dev.making.kinds import KINDS, MOST_PER_PASSAGE
    from arkor_dev.making.variations import KINDS as OF_ROWS

    tokens = whole_number("number (whole, above 0)", 10**12, 13)
    data.add_argument(
        "--kind", metavar="KIND", type=OneOf("kind of rows", [*KINDS, *OF_ROWS]),
        help=f"make: {', '.join(KINDS)} (default: qa). more: {', '.join(OF_ROWS)} (default: variations)",
    )  # fmt: skip
    data.add_argument(
        "--teacher", metavar="ADDRESS",
        help="make, more: a server with OpenAI's API, such as http://localhost:1234/v1, or base: the model "
            "of the first trainer",
    )  # fmt: skip
    data.add_argument("--model", metavar="NAME", default="", help="make, more: the teacher's model")
    data.add_argument(
        "--key-env", metavar="NAME",
        help="make, more: the environment variable with the teacher's key, which is never stored",
    )  # fmt: skip
    data.add_argument(
        "--each", metavar="N",
        type=whole_number(f"number of rows (1 to {MOST_PER_PASSAGE})", MOST_PER_PASSAGE, 2),
        help="make, more: at most so many rows of a passage or a row (default: 3)",
    )  # fmt: skip
    data.add_argument("--voice", metavar="TEXT", help="make: the voice to rewrite in")
    data.add_argument(
        "--schema", metavar="FILE", type=Path, help="make: a file with the JSON Schema of what to extract"
    )
    data.add_argument(
        "--rubric", metavar="FILE", type=Path, help="judge: a text that says what a good row is"
    )
    data.add_argument(
        "--rows", metavar="LIST", type=_row_numbers,
        help="more: only these rows, such as 3,7-9 (default: all)",
    )  # fmt: skip
    data.add_argument(
        "--name", metavar="NAME",
        help="make, more: the rows are written to data/made/NAME.jsonl, those of import to data/NAME.jsonl "
            "(default: after the source and kind)",
    )  # fmt: skip
    data.add_argument(
        "--budget-tokens", metavar="N", type=tokens, help="make, more: stop before more tokens than this"
    )
    data.add_argument(
        "--budget-requests", metavar="N", type=tokens, help="make, more: stop after so many requests"
    )
    data.add_argument(
        "--budget-money", metavar="X", type=fraction(1e9, "isn't a valid amount (a number above 0)."),
        help="make, more: stop before spending more than this; needs --price",
    )  # fmt: skip
    data.add_argument(
        "--price", metavar="IN,OUT", type=_price,
        help="make, more: what a million tokens of input and of output cost, such as 0.15,0.60",
    )  # fmt: skip


def _row_numbers(text: str) -> list[int]:
    import argparse

    numbers: set[int] = set()
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        ends = [first, last or first]
        if not all(end.isascii() and end.isdecimal() and 0 < len(end) < 10 for end in ends):
            raise argparse.ArgumentTypeError(f"{text} isn't a valid list of rows, such as 3,7-9.")
        numbers.update(range(int(ends[0]), min(int(ends[1]), int(ends[0]) + 10_000) + 1))
    return sorted(numbers)


def _price(text: str) -> list[float]:
    import argparse

    try:
        prices = [float(part) for part in text.split(",")]
    except ValueError:
        prices = []
    if len(prices) != 2 or not all(0 <= price <= 1e6 for price in prices):
        raise argparse.ArgumentTypeError(f"{text} isn't a valid price, such as 0.15,0.60.")
    return prices


def _data(settings: Settings, arguments: argparse.Namespace) -> int | Coroutine[object, object, int]:
    from .commands.data import Fixes, run_data

    if arguments.action in ("make", "more", "judge"):
        from .commands.make import run_judge, run_make

        return (run_judge if arguments.action == "judge" else run_make)(settings, arguments)
    if arguments.action == "import":
        from .commands.import_traces import run_import

        return run_import(settings, arguments)
    for extra in arguments.files[1:]:
        raise BadRequestError(f"unexpected argument {extra}. See arkor-dev data --help.")
    file = next(iter(arguments.files), None)
    fixes = Fixes(arguments.only or (), arguments.row, arguments.dry_run, arguments.yes)
    return run_data(
        settings, arguments.action, file, trainer=arguments.trainer, as_json=arguments.json,
        strict=arguments.strict, seconds=arguments.seconds, fixes=fixes,
    )  # fmt: skip


def _jobs_arguments(jobs: CommandLine) -> None:
    from arkor_dev.contract.placement import WORKERS

    jobs.add_argument(
        "action", metavar="ACTION", nargs="?",
        help="show, or only JOB: one job, its verdict, and where its files are. pause: stop a running job "
            "after its step. "
            "resume: continue a paused, failed or cancelled one. extend: give a completed one "
            "more steps. cancel: stop one that has not ended. figures: write losses, rates and machine "
            "metrics. diff: say how its rows differ from those of another job (--with)",
    )  # fmt: skip
    add_job(jobs)
    add_launch(jobs)
    jobs.add_argument(
        "--steps", metavar="N", type=step, help="extend: train to this step, counted from the first"
    )
    jobs.add_argument(
        "--epochs", metavar="N",
        type=fraction(10_000, "isn't a valid number of epochs (above 0, up to 10,000)."),
        help="extend: train for this many epochs in total",
    )  # fmt: skip
    jobs.add_argument(
        "--schedule", metavar="HOW", type=OneOf("schedule", ("continue", "restart")),
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
        "--workers", metavar="N",
        type=whole_number(f"number of workers ({WORKERS.words})", int(WORKERS.high), 9),
        help="resume: with this many workers of its cluster from now on",
    )  # fmt: skip
    jobs.add_argument(
        "--format", metavar="HOW", type=OneOf("format", ("csv", "jsonl", "tensorboard")),
        help="figures: csv (the default), jsonl or tensorboard",
    )  # fmt: skip
    jobs.add_argument(
        "--out", metavar="PATH", help="figures: the file, or TensorBoard's folder (default: standard output)"
    )
    jobs.add_argument("--with", dest="other", metavar="JOB", help="diff: the other job")
    jobs.add_argument(
        "--json", action="store_true", help="print {jobs: [...]}, or {job} of one; of diff {difference}"
    )


def _jobs(settings: Settings, arguments: argparse.Namespace) -> Coroutine[object, object, int]:
    from .commands.jobs import run_jobs

    filters = {
        "maxSteps": arguments.steps, "numTrainEpochs": arguments.epochs, "schedule": arguments.schedule,
        "force": arguments.force or None, "on": arguments.at, "format": arguments.format,
        "out": arguments.out, "workers": arguments.workers, "with": arguments.other,
    }  # fmt: skip
    options = {name: value for name, value in filters.items() if value is not None}
    return run_jobs(settings, arguments.action, arguments.job, as_json=arguments.json, options=options)


def _sweep_arguments(sweep: CommandLine) -> None:
    sweep.add_argument(
        "action", metavar="ACTION", nargs="?",
        help="start: search by [sweep] of arkor.toml, or by the options. status: its trials, and its "
            "verdict (the default). stop: end it now, with the verdict that its results allow. delete: "
            "delete the record of an ended one",
    )  # fmt: skip
    sweep.add_argument(
        "sweep", metavar="SWEEP", nargs="?",
        help="an id or a prefix of it (default: the newest, except for delete)",
    )  # fmt: skip
    add_launch(sweep)
    sweep.add_argument("--trainer", metavar="NAME", help="start: whose settings (default: that of the file)")
    sweep.add_argument(
        "--space", metavar="KEY=VALUES", action="append", default=[],
        help="start: search this setting instead of [sweep.space], such as lora.r=8,16,64 or "
            "'learning_rate={low=1e-4, high=5e-3, log=true}'; may be repeated",
    )  # fmt: skip
    sweep.add_argument("--until", metavar="TIME", help="start: end before this time of day, such as 07:00")
    sweep.add_argument(
        "--hours", metavar="N", help="start: end within so many hours",
        type=fraction(14 * 24, "isn't a valid number of hours (above 0, up to 336)."),
    )  # fmt: skip
    sweep.add_argument(
        "--jobs", metavar="N", type=whole_number("number of trials: 2 to 500", 500, 3),
        help="start: try so many settings, the present ones among them",
    )  # fmt: skip
    sweep.add_argument(
        "--with-jobs", action="store_true", help="delete: its jobs as well, with their adapters"
    )
    sweep.add_argument("--json", action="store_true", help="print {sweep}")


def _sources_arguments(sources: CommandLine) -> None:
    sources.add_argument("trainer", metavar="TRAINER", nargs="?", help="whose data set (default: the first)")
    add_launch(sources)
    sources.add_argument(
        "--runs", metavar="N", type=whole_number("number of runs: 8, 12 or 16", 16, 2),
        help="8, 12 or 16: more runs see smaller effects (default: the most that fit its sources)",
    )  # fmt: skip
    sources.add_argument(
        "--steps", metavar="N", type=whole_number("number of steps: 1 to 10,000,000", 10_000_000, 8),
        help="steps of each run (default: half of the trainer's)",
    )  # fmt: skip
    sources.add_argument("--json", action="store_true", help="print {sweep}")


def _sources(settings: Settings, arguments: argparse.Namespace) -> Coroutine[object, object, int]:
    from .commands.sweep import run_sources

    return run_sources(settings, arguments)


def _sweep(settings: Settings, arguments: argparse.Namespace) -> Coroutine[object, object, int]:
    from .commands.sweep import run_sweep

    return run_sweep(settings, arguments)


def _evaluate_arguments(evaluate: CommandLine) -> None:
    add_job(evaluate)
    add_launch(evaluate)
    evaluate.add_argument(
        "--checkpoint", metavar="STEP", type=step,
        help="evaluate the checkpoint of this step, not the final adapter",
    )  # fmt: skip
    evaluate.add_argument(
        "--data", metavar="FILE", help="use the rows of this file of the project, not the held-out ones"
    )
    evaluate.add_argument(
        "--adapter", metavar="FOLDER", type=Path,
        help="in place of JOB: an adapter that another program trained (PEFT, safetensors), on the rows of "
            "--data, on this machine; it becomes a job that can be asked and exported",
    )  # fmt: skip
    evaluate.add_argument(
        "--model", metavar="NAME", help="with --adapter: its base model (default: the one that it names)"
    )
    evaluate.add_argument(
        "--against", metavar="JOB",
        help="compare with this job's final adapter on the same rows, not with the base",
    )  # fmt: skip
    evaluate.add_argument(
        "--settings", action="store_true",
        help="with --against: compare the settings of both jobs, by all their runs with different seeds",
    )  # fmt: skip
    evaluate.add_argument(
        "--strengths", action="store_true",
        help="measure the final adapter at 25, 50 and 75 % strength, too: what each keeps and costs",
    )  # fmt: skip
    evaluate.add_argument("--force", action="store_true", help="even if the job's data have changed since")
    evaluate.add_argument(
        "--json", action="store_true", help="print {evaluation, rows}, or {comparison} with --against"
    )


def _evaluate(settings: Settings, arguments: argparse.Namespace) -> Coroutine[object, object, int]:
    from .commands.evaluate import run_evaluate

    return run_evaluate(settings, arguments)


def _why_arguments(parser: CommandLine) -> None:
    add_job(parser)
    parser.add_argument(
        "question", metavar="QUESTION", nargs="?",
        help="what the adapter was asked (without it: rows that contradict the rows most like them)",
    )  # fmt: skip
    add_launch(parser)
    parser.add_argument(
        "--answer", metavar="TEXT", help="the answer to trace (default: what the adapter says)"
    )
    parser.add_argument(
        "--prove", action="store_true",
        help="train the job again without these rows, and without as many random ones, and compare",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the attribution")


def _why(settings: Settings, arguments: argparse.Namespace) -> Coroutine[object, object, int]:
    from .commands.why import run_why

    return run_why(settings, arguments)


def _forget_arguments(parser: CommandLine) -> None:
    add_job(parser)
    parser.add_argument(
        "--rows", metavar="ROWS", action="append",
        help="the rows to delete: numbers as on the Data page (3,7-9), their hashes, or a place such as "
        "'data/chats.jsonl, line 3' (without it: search again for those that JOB deleted)",
    )  # fmt: skip
    add_launch(parser)
    parser.add_argument(
        "--delete", action="store_true",
        help="also delete copies of their text from job files, exports, logs and caches",
    )  # fmt: skip
    parser.add_argument(
        "--replace", action="store_true", help="delete the old job once the new one is complete"
    )
    parser.add_argument("--json", action="store_true", help="print the certificate")


def _forget(settings: Settings, arguments: argparse.Namespace) -> Coroutine[object, object, int]:
    from .commands.forget import run_forget

    return run_forget(settings, arguments)


def _export_arguments(export: CommandLine) -> None:
    add_job(export)
    add_launch(export)
    export.add_argument("--out", metavar="FOLDER", help="where to write it; a folder that does not exist yet")
    add_export_options(export)
    export.add_argument("--replace", action="store_true", help="replace an existing folder")
    export.add_argument("--json", action="store_true", help="print {export, path}, the proof in it")


def _export(settings: Settings, arguments: argparse.Namespace) -> Coroutine[object, object, int]:
    from .commands.export.run import run_export

    return run_export(settings, arguments)


def _push_arguments(push: CommandLine) -> None:
    add_job(push)
    push.add_argument(
        "repo", metavar="NAME/REPOSITORY", nargs="?", help="a user or an organisation, and the repository"
    )
    add_launch(push)
    push.add_argument("--private", action="store_true", help="visible only to you and those you invite")
    add_export_options(push)
    push.add_argument(
        "--replace", action="store_true",
        help="remove weights of another format from the repository: programs would load both",
    )  # fmt: skip
    push.add_argument(
        "--force", action="store_true", help="publish even if the export is not the trained model"
    )
    push.add_argument("--json", action="store_true", help="print {export, repository}; needs --yes")
    add_yes(push, "publish without asking")


def _push(settings: Settings, arguments: argparse.Namespace) -> Coroutine[object, object, int]:
    from .commands.push.run import run_push

    return run_push(settings, arguments)


def _serve_arguments(serve: CommandLine) -> None:
    serve.add_argument("name", metavar="NAME", nargs="?", help="an endpoint's name, or a job")
    add_launch(serve)
    add_port(serve)
    serve.add_argument(
        "--open", action="store_true", dest="open_to_all",
        help="create an endpoint without an API key: every program on this machine can call it",
    )  # fmt: skip


def _serve(settings: Settings, arguments: argparse.Namespace) -> Coroutine[object, object, int]:
    from .commands.serve import run_serve

    return run_serve(settings, arguments.name, open_to_all=arguments.open_to_all)


def _endpoints_arguments(endpoints: CommandLine) -> None:
    endpoints.add_argument("action", metavar="ACTION", nargs="?", help="what to do (default: list them)")
    endpoints.add_argument("name", metavar="NAME", nargs="?", help="an endpoint; of create, a job")
    add_launch(endpoints)
    endpoints.add_argument(
        "--name", metavar="NAME", dest="endpoint_name", help="create: its name (default: made of the job's)"
    )
    endpoints.add_argument(
        "--checkpoint", metavar="STEP", type=whole_number("step (1 or more)", 10**9, 10),
        help="create: serve the checkpoint of this step, not the final adapter",
    )  # fmt: skip
    endpoints.add_argument(
        "--open", action="store_true", dest="open_to_all", help="create: require no API key"
    )
    endpoints.add_argument("--json", action="store_true", help="print {endpoints}, or {endpoint, key?}")


def _endpoints(settings: Settings, arguments: argparse.Namespace) -> Coroutine[object, object, int]:
    from .commands.endpoints import run_endpoints

    return run_endpoints(settings, arguments)


def _verify_arguments(verify: CommandLine) -> None:
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


def _verify(settings: Settings, arguments: argparse.Namespace) -> Coroutine[object, object, int]:
    from .commands.verify import run_verify

    if arguments.target is None:
        raise BadRequestError("Name what to verify: an adapter's folder, a file in it, or a job's id.")
    return run_verify(settings, arguments.target, repeat=arguments.repeat, as_json=arguments.json)


def _cluster_arguments(cluster: CommandLine) -> None:
    cluster.add_argument("action", metavar="status", nargs="?", help="what to do")
    cluster.add_argument(
        "address", metavar="ADDRESS", nargs="?", type=str.strip, help="ray://HOST:PORT, HOST:PORT, or auto"
    )
    add_project(cluster)
    add_insecure(cluster)
    cluster.add_argument("--json", action="store_true", help="print {cluster}")


def _cluster(settings: Settings, arguments: argparse.Namespace) -> Coroutine[object, object, int]:
    from .commands.cluster import run_cluster

    return run_cluster(settings, arguments.action, arguments.address, as_json=arguments.json)


def _ssh_arguments(ssh: CommandLine) -> None:
    ssh.add_argument("action", metavar="ACTION", nargs="?", help="what to do (default: status)")
    ssh.add_argument("host", metavar="HOST", nargs="?", help="a host of your ssh configuration")
    add_project(ssh)
    ssh.add_argument("--out", metavar="FOLDER", help="fetch: where to (default: fetched in the project)")
    ssh.add_argument("--json", action="store_true", help="print status as {projects, bytes, root}")
    add_yes(ssh, "remove: delete without asking")


def _ssh(settings: Settings, arguments: argparse.Namespace) -> Coroutine[object, object, int]:
    from .commands.ssh import run_ssh

    return run_ssh(
        settings, arguments.action, arguments.host, out=arguments.out, as_json=arguments.json,
        yes=arguments.yes,
    )  # fmt: skip


def _local_arguments(local: CommandLine) -> None:
    local.add_argument("action", metavar="ACTION", nargs="?", help="what to do (default: status)")
    local.add_argument("first", metavar="JOB", nargs="?", help="export: an id, a prefix of one, or latest")
    local.add_argument("second", metavar="FILE", nargs="?", help="export and import: the file")
    add_project(local)
    local.add_argument("--json", action="store_true", help="print status as {disk, data, cache}")
    add_yes(local, "gc: delete without asking")


def _local(settings: Settings, arguments: argparse.Namespace) -> Coroutine[object, object, int]:
    from .commands.local import run_local

    names = [name for name in (arguments.first, arguments.second) if name is not None]
    return run_local(settings, arguments.action, names, as_json=arguments.json, yes=arguments.yes)


def _login_arguments(login: CommandLine) -> None:
    login.add_argument("--anonymous", action="store_true", help="a new anonymous identity: no account")
    login.add_argument("--no-browser", action="store_true", help="open no browser; print the address")
    add_yes(login, "replace existing credentials without asking")


def _login(settings: Settings, arguments: argparse.Namespace) -> int:
    from .account.login import run_login

    browser = not arguments.no_browser
    return run_login(settings, anonymous=arguments.anonymous, browser=browser, yes=arguments.yes)


def _logout(settings: Settings, arguments: argparse.Namespace) -> int:
    from .account.login import run_logout

    return run_logout(settings, os.environ, yes=arguments.yes)


def _whoami_arguments(whoami: CommandLine) -> None:
    add_project(whoami)
    whoami.add_argument(
        "--json", action="store_true", help="print {signedIn, mode, user, orgs, orgSlug, projectSlug, …}"
    )


def _whoami(settings: Settings, arguments: argparse.Namespace) -> int:
    from .account.whoami import run_whoami

    return run_whoami(settings, as_json=arguments.json)


def _doctor_arguments(doctor: CommandLine) -> None:
    add_launch(doctor)
    add_port(doctor, "the port to check")
    doctor.add_argument(
        "--train", action="store_true", help="train a few steps on this machine as well: 1 to 3 minutes"
    )
    doctor.add_argument(
        "--json", action="store_true", help="print {ok, checks: [{name, status, text, next}]}"
    )


def _doctor(settings: Settings, arguments: argparse.Namespace) -> Coroutine[object, object, int]:
    if arguments.train:
        from .commands.train_check import run_train_check

        return run_train_check(settings, as_json=arguments.json)
    from .commands.doctor import run_doctor

    return run_doctor(settings, as_json=arguments.json)


def _setup_arguments(setup: CommandLine) -> None:
    setup.add_argument("--dry-run", action="store_true", help="only say what would be installed where")
    setup.add_argument("--remove", action="store_true", help="delete what setup has installed")
    setup.add_argument(
        "--json", action="store_true", help="print an object a line: looking, plan, progress, installed"
    )
    add_yes(setup, "do not ask")


def _setup(settings: Settings, arguments: argparse.Namespace) -> int:
    from .commands.setup import run_setup

    return run_setup(
        settings,
        yes=arguments.yes,
        dry_run=arguments.dry_run,
        remove=arguments.remove,
        as_json=arguments.json,
    )


def _self_arguments(own: CommandLine) -> None:
    own.add_argument("action", metavar="ACTION", nargs="?", help="update, add or uninstall")
    own.add_argument("extras", metavar="EXTRA", nargs="*", help="add: the extras, such as gguf or mcp")
    own.add_argument("--dry-run", action="store_true", help="only print the command")
    add_yes(own, "uninstall: do not ask")


def _self(settings: Settings, arguments: argparse.Namespace) -> int:
    from .commands.self_command import run_self

    return run_self(
        settings, arguments.action, arguments.extras, yes=arguments.yes, dry_run=arguments.dry_run
    )


def _mcp_arguments(mcp: CommandLine) -> None:
    add_launch(mcp)
    mcp.add_argument(
        "--allow-start", action="store_true",
        help="let the assistant start runs without asking on Studio's page",
    )  # fmt: skip


def _mcp(settings: Settings, arguments: argparse.Namespace) -> Coroutine[object, object, int]:
    from arkor_dev.sdk.mcp_server import run_mcp

    return run_mcp(settings, allow_start=arguments.allow_start)


def _status_arguments(status: CommandLine) -> None:
    add_launch(status)
    status.add_argument("--json", action="store_true", help="print it as JSON, for programs")


def _status(settings: Settings, arguments: argparse.Namespace) -> Coroutine[object, object, int]:
    from .commands.status import run_status

    return run_status(settings, as_json=arguments.json)


def _docs_arguments(docs: CommandLine) -> None:
    docs.add_argument("--path", action="store_true", help="only print where the pages are")


def _docs(_: Settings, arguments: argparse.Namespace) -> Coroutine[object, object, int]:
    from .commands.docs import run_docs

    return run_docs(print_only=arguments.path)


def _completion_arguments(completion: CommandLine) -> None:
    completion.add_argument("shell", metavar="SHELL", nargs="?", help="bash, zsh or fish")


def _completion(_: Settings, arguments: argparse.Namespace) -> int:
    from .commands.completion import run_completion
    from .main import parser

    return run_completion(arguments.shell, parser())


COMMANDS: Final = {
    command.name: command
    for command in (
        Command(
            "init", "write a commented arkor.toml and a small data set",
            "Write a commented arkor.toml and a small data set, or a TypeScript project.",
            "[FOLDER]", _init_arguments, _init,
        ),
        Command(
            "import-config", "import a training configuration of Axolotl, LLaMA-Factory, TRL or OpenAI",
            "Add a trainer to arkor.toml from another tool's configuration: YAML of Axolotl, LLaMA-Factory, "
            "torchtune, mlx-lm, H2O LLM Studio or AutoTrain, TOML of prime-rl, arguments of TRL, "
            "transformers or Unsloth in JSON, YAML, a script or a notebook (never run), or a fine-tuning job "
            "or file of OpenAI. Says line by line what could not be carried over, and refuses what would be "
            "another run.",
            "FILE", _import_config_arguments, _import_config,
        ),
        Command(
            "start", "run a trainer and follow it in this terminal",
            "Run a trainer of arkor.toml and follow its job.",
            "[NAME]", _start_arguments, _start, on_backend=True,
        ),
        Command(
            "data", "check a data set and fix its errors; make rows with a teacher or of logs",
            "Check a data set for unreadable rows, duplicates, secrets, broken text and more, and say why "
            "each finding matters and what to do. Exits with 1 if there is an error. Or fix what can be "
            "fixed safely, in the files of a trainer. Or make rows with a teacher, another model: from "
            "documents (Markdown, text, HTML, PDF, DOCX), or more rows like those of a file. They wait in a "
            "file of their own for a person's judgement. Ctrl-C pauses, and the same command resumes. Or "
            "make rows of logs and traces of model calls: of OpenAI's and Anthropic's APIs, OpenTelemetry, "
            "LangSmith, Langfuse, or an endpoint of the project.",
            "check [FILE] | fix | reviews | make FILE… | more [FILE] | import FILE… | judge",
            _data_arguments, _data,
            on_backend=lambda arguments: arguments.teacher == "base" or arguments.endpoint is not None,
        ),
        Command(
            "jobs", "list the jobs; show, pause, resume, extend or cancel one; write its metrics",
            "List the jobs, newest first, or show, pause, resume, extend or cancel one, or write its "
            "metrics. JOB is an id, a prefix of one, or latest.",
            "[JOB | show|pause|resume|extend|cancel|figures|diff JOB]", _jobs_arguments, _jobs,
            on_backend=True,
        ),
        Command(
            "sweep", "search for better settings until a given time, and judge the best honestly",
            "Search for better settings of a trainer by many short runs, until a given time, and say whether "
            "the best are better than yours on held-out rows that took no part in the choice. Jobs that you "
            "start meanwhile go first. Needs the extra [sweep] for more than 32 combinations.",
            "[start|status|stop|delete [SWEEP]]", _sweep_arguments, _sweep, on_backend=True,
        ),
        Command(
            "sources", "estimate which source of a data set helps, by 8 to 16 short runs",
            "Train 8 to 16 short runs, each on half of the sources of a trainer's data set, and estimate for "
            "each source whether it helps or harms on eval_dataset, with an interval and a weight to try. "
            "`arkor-dev sweep` shows how far they are, and stops or deletes them.",
            "[TRAINER]", _sources_arguments, _sources, on_backend=True,
        ),
        Command(
            "evaluate", "compare a job's adapter with its base",
            "Compare a job's adapter with its base on held-out rows: is it better, and how certain is that? "
            "JOB is an id, a prefix of one, or latest.",
            "JOB", _evaluate_arguments, _evaluate, on_backend=True,
        ),
        Command(
            "why", "show rows that may be behind an answer, and train without them",
            "Show which training rows may be behind an adapter's answer: those with the most words in "
            "common; without a question, which rows contradict the rows most like them. --prove trains the "
            "job again without the rows. JOB is an id, a prefix of one, or latest.",
            "JOB [QUESTION]", _why_arguments, _why, on_backend=True,
        ),
        Command(
            "forget", "delete rows from a trained adapter, with a certificate",
            "Delete rows from a job's adapter: train it again from before it first used them, with the same "
            "order, seeds and schedule, and say where on this machine their text still is. The result is a "
            "new job. JOB is the job's id, a prefix of it, its name, or latest.",
            "JOB [--rows ROWS]", _forget_arguments, _forget, on_backend=True,
        ),
        Command(
            "export", "export a job's result for other programs, such as Ollama and llama.cpp",
            "Export a job's result for other programs. Formats: adapter (PEFT), merged (base and adapter as "
            "one model in safetensors), gguf (the same for llama.cpp and LM Studio), gguf-lora (the adapter "
            "alone for llama.cpp), ollama (a model with its Modelfile). The files are written first, then "
            "verified: loaded by those programs' own libraries, they have to predict what the trained model "
            "does; else the exit code is 1. JOB is an id, a prefix of one, or latest.",
            "JOB --out FOLDER", _export_arguments, _export, on_backend=True,
        ),
        Command(
            "push", "publish a job's result on the Hugging Face Hub, after asking",
            "Publish a job's result on the Hugging Face Hub, with its model card and provenance: an "
            "existing export, or a new, verified one. It shows what will be published and asks first. The "
            "token comes from `hf auth login` or HF_TOKEN. JOB is an id, a prefix of one, or latest.",
            "JOB NAME/REPOSITORY", _push_arguments, _push, on_backend=True,
        ),
        Command(
            "serve", "serve an endpoint of this machine to other programs, without the page",
            "Serve an endpoint of this machine to other programs through OpenAI's API, without the page or "
            "training. NAME is an endpoint's name, or a job: its id, a prefix of it, or latest. For a job "
            "without an endpoint, one is created, with an API key that is shown once.",
            "NAME --local", _serve_arguments, _serve, on_backend=True,
        ),
        Command(
            "endpoints", "list endpoints; create, change or delete one",
            "List the endpoints of the project, by which other programs call a model. create JOB makes one "
            "of a job's adapter, with an API key that is shown once; key makes another key; on and off have "
            "it answer or refuse requests; delete removes it.",
            "[create JOB|key NAME|on NAME|off NAME|delete NAME]", _endpoints_arguments, _endpoints,
            on_backend=True,
        ),
        Command(
            "verify", "check an adapter's files against its provenance, or train it again",
            "Check an adapter's folder, or one file of it, against the hashes in its provenance.json. Name "
            "a job of this machine by its id, or JOB:STEP for a checkpoint.",
            "FOLDER|FILE|JOB", _verify_arguments, _verify,
        ),
        Command(
            "cluster", "show a Ray cluster: what is free, and what is missing",
            "Show a Ray cluster: its machines, what is free, and what is missing. ADDRESS defaults to "
            "ARKOR_CLUSTER, then to arkor.toml.",
            "status [ADDRESS]", _cluster_arguments, _cluster,
        ),
        Command(
            "ssh", "show, stop or remove what runs on another machine for --ssh",
            "Look after the machine that --ssh uses. status: which projects it has, what runs, and disk "
            "usage. fetch: download the adapter of every completed job of the project. stop: end all "
            "backends there; running jobs pause, and resume when you connect again. remove: stop, and delete "
            "everything that was put or made there, jobs and adapters too. HOST defaults to [compute] in "
            "arkor.toml.",
            "status|fetch|stop|remove [HOST]", _ssh_arguments, _ssh,
        ),
        Command(
            "local", "show and clean up what this machine stores of a project's jobs",
            "Show what this machine stores of the project's jobs. status: disk usage by job. gc: delete what "
            "belongs to no job, and unused models. path: print the folder. export: write a job with all its "
            "files to one file. import: read such a file. rebuild: restore the list of jobs if its file is "
            "damaged.",
            "status|gc|path|export JOB FILE|import FILE|rebuild", _local_arguments, _local,
        ),
        Command(
            "login", "sign in to the managed backend",
            "Sign in to the managed backend with an account, in the browser. The credentials are kept in "
            "~/.arkor/credentials.json, which the arkor command reads too.",
            "", _login_arguments, _login,
        ),
        Command(
            "logout", "sign out: remove this machine's credentials",
            "Remove this machine's credentials: ~/.arkor/credentials.json.",
            "", lambda parser: add_yes(parser, "do not ask, even if the identity can't be recovered"), _logout
        ),
        Command(
            "whoami", "show who is signed in where",
            "Show who is signed in where. Nothing is changed.", "", _whoami_arguments, _whoami,
        ),
        Command(
            "doctor", "check what Studio needs, with a next step for each problem",
            "Check what Studio needs, one line each. Nothing is changed.",
            "", _doctor_arguments, _doctor, on_backend=True,
        ),
        Command(
            "setup", "install what local training needs, in an environment of its own",
            "Install the local engine into an environment of its own, with the build of PyTorch that suits "
            "this machine: says the size, asks, and shows progress. An interrupted installation continues at "
            "the next call. Afterwards `arkor-dev --local` uses it.",
            "", _setup_arguments, _setup,
        ),
        Command(
            "self", "update Arkor Studio, add an extra to it, or uninstall it",
            "Update or uninstall this installation, or add the packages of an extra, with the tool that made "
            "it: uv tool, pipx, uv or pip. Prints the command instead where that is for you to decide, such "
            "as in a clone or under uvx. Uninstalling keeps projects, jobs, adapters and models, and says "
            "where they are.",
            "update|add|uninstall", _self_arguments, _self,
        ),
        Command(
            "mcp", "let an assistant use the project's runs as tools (Model Context Protocol)",
            "Serve the project's runs as tools for an assistant, by the Model Context Protocol over standard "
            "input and output: list, start, watch, verdict, chat, export. A person allows each start on "
            "Studio's page. Assistants start this command themselves: docs/mcp.md has their configuration.",
            "", _mcp_arguments, _mcp, on_backend=True,
        ),
        Command(
            "status", "say whether Studio is open on the project, and how far its jobs are",
            "Say whether Studio is open on the project, and on which port, and how far its running jobs "
            "are if it was started with --agent. Exit code 1 if it is not open.",
            "", _status_arguments, _status, on_backend=True,
        ),
        Command(
            "docs", "open the documentation in the browser",
            "Open the documentation of this version in the browser. Its pages are files that came with the "
            "installation: they work offline.",
            "", _docs_arguments, _docs,
        ),
        Command(
            "completion", "print a script that completes commands and options in your shell",
            "Print a script that completes commands, options and their values. bash: source <(arkor-dev "
            "completion bash) in ~/.bashrc; zsh: the same in ~/.zshrc; fish: arkor-dev completion fish "
            "| source in config.fish.",
            "bash|zsh|fish", _completion_arguments, _completion,
        ),
    )
}  # fmt: skip
