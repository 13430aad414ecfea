"""``arkor-dev data make`` and ``more``: rows made by a teacher, with progress; Ctrl-C pauses."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.text import Text

from arkor_dev.cli.console import print_wrapped
from arkor_dev.connection.connect import joined
from arkor_dev.contract import strict_json
from arkor_dev.contract.errors import BadRequestError
from arkor_dev.contract.regular_files import read_small
from arkor_dev.contract.settings.own_sets import LONGEST_RUBRIC
from arkor_dev.core.plain_text import one_line
from arkor_dev.making import start
from arkor_dev.making.backend_teacher import BASE
from arkor_dev.making.kinds import KINDS
from arkor_dev.making.variations import KINDS as OF_ROWS
from arkor_dev.project.arkor_toml import index_of, parse, read

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Coroutine

    from arkor_dev.contract.making_shapes import Making, MakingEstimate, MakingOptions
    from arkor_dev.core.settings import Settings
    from arkor_dev.data.agreement import Agreement
    from arkor_dev.making.making import Maker
    from arkor_dev.making.tasks import Opinion, Task

LOOK: Final = 0.25
"""Seconds between two polls of the progress."""
WHY: Final = {
    "quote": "with a quote that is not in the source",
    "duplicate": "like a row that exists",
    "held-out": "like a held-out row",
    "schema": "that do not fit the schema",
    "unreadable": "unreadable",
}
"""Why items were dropped, to follow their number."""
NEXT: Final = (
    "Next: add the file to a trainer's dataset in arkor.toml, and judge its rows on the Data page. "
    "Only accepted ones are trained on."
)
CODES: Final = {"done": 0, "paused": 4, "budget": 4, "failed": 1}


async def run_make(settings: Settings, arguments: Namespace) -> int:
    """Make rows as the arguments say; return the exit code. Raises ArkorError if nothing can be made."""
    options = _options(settings, arguments)
    start.check_options(options)
    console = Console()
    if arguments.dry_run:
        estimate = await start.estimate(options, settings)
        if arguments.json:
            print(json.dumps(estimate))  # noqa: T201
        else:
            _print_lines(console, estimate_lines(estimate))
        return 0
    async with AsyncExitStack() as stack:
        backend = None
        if options["teacher"] == BASE:
            backend = await stack.enter_async_context(joined(settings, lambda _: None, idle=True))
        maker, run = await stack.enter_async_context(start.opened(options, settings, os.environ, backend))
        done = await _run(maker, run(), console, quiet=arguments.json)
    if arguments.json:
        print(json.dumps(done))  # noqa: T201
    else:
        _print_lines(console, result_lines(done))
        if done["state"] == "done" and done["rows"]:
            _print_lines(console, [NEXT])
    return CODES[done["state"]]


async def run_judge(settings: Settings, arguments: Namespace) -> int:
    """Judge the rows of a trainer's data by a rubric; return the exit code. Raises ArkorError."""
    from arkor_dev.making import rubric as judging

    if arguments.rubric is None:
        raise BadRequestError(
            "data judge needs a rubric: --rubric FILE, in which it says what a good row is."
        )
    try:
        text = read_small(arguments.rubric).decode(errors="replace").strip()[:LONGEST_RUBRIC]
    except OSError as fault:
        raise BadRequestError(
            f"{one_line(arguments.rubric, 200)} cannot be read: {fault.strerror}."
        ) from None
    options = start.with_model(_options(settings, arguments), settings.project)
    start.check_options(options)
    console = Console()
    loaded = await asyncio.to_thread(
        judging.load_rows, settings.project, options["trainer"], text, options["model"]
    )
    async with AsyncExitStack() as stack:
        backend = None
        if options["teacher"] == BASE:
            backend = await stack.enter_async_context(joined(settings, lambda _: None, idle=True))

        async def judge_tasks(tasks: list[Task]) -> tuple[Making, dict[str, Opinion]]:
            async def load() -> tuple[list[Task], list[str]]:
                return tasks, []

            options_of_run = (options, settings, os.environ, backend, judging.Verdicts)
            async with start.opened(*options_of_run) as (maker, _):
                assert isinstance(maker, judging.Verdicts)
                done = await _run(maker, maker.run(load, settings.local_data), console, quiet=arguments.json)
                return done, maker.verdicts

        done, verdicts = await judge_tasks(loaded.judged)
        agreement, trusted = judging.tried(loaded, verdicts)
        opinions: dict[str, Opinion] = {}
        if trusted and done["state"] == "done":
            done, opinions = await judge_tasks(loaded.unjudged)
            options_of_run = (settings.project, loaded, opinions, options["model"])
            await asyncio.to_thread(judging.write_opinions, *options_of_run)
    document = {
        "heard": trusted,
        "agreement": None if agreement is None else agreement._asdict(),
        "opinions": len(opinions),
        "making": done,
    }
    if arguments.json:
        print(json.dumps(document))  # noqa: T201
    else:
        _print_lines(console, judge_lines(agreement, trusted, opinions, done))
    return CODES[done["state"]]


def judge_lines(
    agreement: Agreement | None, trusted: bool, opinions: dict[str, Opinion], done: Making
) -> list[str]:
    """Describe the result of judging."""
    from arkor_dev.data.agreement import LEAST_KAPPA, LEAST_ROWS

    need = f"It is heard from κ {LEAST_KAPPA} on, over at least {LEAST_ROWS} rows that you have judged."
    if agreement is None:
        lines = [f"The judge can't be compared with you yet: judge rows first, some of each verdict. {need}"]
    else:
        interval = f"κ {agreement.kappa:.2f} (95 % {agreement.low:.2f} to {agreement.high:.2f})"
        lines = [f"The judge agrees with people on {agreement.equal} of {agreement.rows} rows: {interval}."]
        if not trusted:
            lines.append(f"{need} So it says nothing about the other rows.")
    if opinions:
        rejected = sum(verdict == "rejected" for verdict, _ in opinions.values())
        lines.append(
            f"It would reject {rejected:,} of {len(opinions):,} other rows: they have the tag "
            "rubric: rejected, and its reason. What trains is still for people to say."
        )
    return [*lines, *result_lines(done)[-2 if done["state"] != "done" else -1 :]]


async def _run(
    maker: Maker, running: Coroutine[object, None, None], console: Console, *, quiet: bool
) -> Making:
    """Run a maker with progress; Ctrl-C pauses it, and a second one drops the requests under way."""
    task = asyncio.create_task(running, name="making")

    def pause() -> None:
        if maker.as_wire()["state"] == "pausing":
            task.cancel()  # requests under way count in full
        else:
            maker.pause()
            if not quiet:
                console.print("Finishing the requests under way. Press Ctrl-C again to drop them.")

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, pause)
    try:
        await _follow(maker, task, console, visible=console.is_terminal and not quiet)
    finally:
        loop.remove_signal_handler(signal.SIGINT)
    return maker.as_wire()


async def _follow(maker: Maker, run: asyncio.Task[None], console: Console, *, visible: bool) -> None:
    """Show the progress of a making run until it ends; raise its error."""
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), console=console, transient=True
    )
    bar.disable = not visible
    with bar, contextlib.suppress(asyncio.CancelledError):
        task = bar.add_task("Reading", total=None)
        while not run.done():
            await asyncio.wait({run}, timeout=LOOK)
            now = maker.as_wire()
            total = now["passages"] or None
            bar.update(task, description=progress_text(now), completed=now["done"], total=total)
        await run


def _options(settings: Settings, arguments: Namespace) -> MakingOptions:
    if arguments.teacher not in (None, "", BASE) and not (arguments.model or "").strip():
        raise BadRequestError("Name the model of the teacher's server, too: --model NAME.")
    if not arguments.teacher:
        raise BadRequestError(
            f"data {arguments.action} needs a teacher: --teacher http://localhost:1234/v1 --model NAME for a "
            "server with OpenAI's API, or --teacher base for the model of the trainer."
        )
    kinds = {"make": KINDS, "more": OF_ROWS}.get(arguments.action, {start.RUBRIC: ""})
    kind = arguments.kind or next(iter(kinds))
    if kind not in kinds:
        raise BadRequestError(f"data {arguments.action} does not make {kind}. It makes: {', '.join(kinds)}.")
    options: MakingOptions = {
        "kind": kind,
        "teacher": arguments.teacher,
        "model": arguments.model,
        "name": arguments.name,
        "keyEnv": arguments.key_env,
        "perPassage": arguments.each,
        "voice": arguments.voice,
        "schema": None if arguments.schema is None else _schema(arguments.schema),
        "budgetTokens": arguments.budget_tokens,
        "budgetRequests": arguments.budget_requests,
        "budgetMoney": arguments.budget_money,
        "price": arguments.price,
    }
    if arguments.action == "make":
        options["paths"] = [_relative(path, settings.project) for path in arguments.files]
    else:
        _add_rows(options, settings, arguments)
    return options


def _relative(path: Path, project: Path) -> str:
    """Return a path within the project, or an absolute one."""
    resolved = Path(os.path.abspath(path))  # noqa: PTH100 - keeps symlinks
    return resolved.relative_to(project).as_posix() if resolved.is_relative_to(project) else str(resolved)


def _add_rows(options: MakingOptions, settings: Settings, arguments: Namespace) -> None:
    """Add the given file of rows, or else the trainer with the data."""
    options["rows"] = arguments.rows or []
    if len(arguments.files) > 1 or (arguments.files and arguments.action == "judge"):
        raise BadRequestError(
            f"unexpected argument {arguments.files[-1]}. data more has one file of rows, data judge none."
        )
    if arguments.files:
        options["of"] = _relative(arguments.files[0], settings.project)
        return
    trainers = parse(settings.project, read(settings.project))
    options["trainer"] = trainers[index_of(trainers, arguments.trainer)]["name"]


def _schema(path: Path) -> dict[str, object] | None:
    """Return the JSON Schema in a file; `start.check_options` says whether it is one."""
    try:
        schema: dict[str, object] | None = strict_json.parse(read_small(path))
        return schema
    except OSError as fault:
        raise BadRequestError(f"{one_line(path, 200)} cannot be read: {fault.strerror}.") from None
    except strict_json.StrictJSONError as fault:
        raise BadRequestError(f"{one_line(path, 200)} {fault}.") from None


def progress_text(now: Making) -> str:
    """Return one line about a making run in progress."""
    if now["state"] == "reading":
        return "Reading"
    tokens = now["inputTokens"] + now["outputTokens"]
    limit = "" if now["budgetTokens"] is None else f" of {now['budgetTokens']:,}"
    parts = [f"{now['rows']:,} rows", f"{tokens:,}{limit} tokens"]
    if now["money"]:
        most = "" if now["budgetMoney"] is None else f" of {now['budgetMoney']:.2f}"
        parts.append(f"{now['money']:.2f}{most}")
    if now["waiting"]:
        parts.append(one_line(now["waiting"], 60))
    return ", ".join(parts)


def estimate_lines(estimate: MakingEstimate) -> list[str]:
    answered = f" ({estimate['kept']:,} more already answered)" if estimate["kept"] else ""
    money = f", {estimate['money']:.2f} by the price" if estimate["money"] else ""
    tokens = f"about {estimate['tokens']:,} tokens{money}; certainly at most {estimate['mostTokens']:,}"
    passages = _count(estimate["passages"], "passage or row", "passages or rows")
    return [
        f"{passages} of {_count(estimate['documents'], 'source')}.",
        f"{_count(estimate['requests'], 'request')}{answered}, {tokens}.",
        *(f"Left out: {one_line(text)}" for text in estimate["leftOut"]),
    ]


def result_lines(done: Making) -> list[str]:
    """Describe a making run that has ended."""
    lines = [f"Left out: {one_line(text)}" for text in done["leftOut"]]
    lines.append(
        f"{done['file']} has {_count(done['rows'], 'made row')}; {done['done']:,} of "
        f"{_count(done['passages'], 'passage or row', 'passages or rows')} done."
    )
    if done["rows"] and done["kind"] in KINDS:
        lines.append(
            "Their quotes are in the documents, word by word. Whether an answer follows from its quote is "
            "not checked: judge the rows before they train."
        )
    if done["dropped"]:
        dropped = ", ".join(
            f"{count:,} {WHY.get(reason, reason)}" for reason, count in done["dropped"].items()
        )
        lines.append(f"Dropped: {dropped}.")
    tokens = f"{done['inputTokens'] + done['outputTokens']:,} tokens in {_count(done['requests'], 'request')}"
    money = f", {done['money']:.4f} by the price" if done["money"] else ""
    lines.append(f"Spent: {tokens}{money}.")
    if done["state"] == "done" and (again := done["passages"] - done["done"]):
        lines.append(
            f"{_count(again, 'answer')} could not be read. Run the same command to ask again, "
            "or use a larger model."
        )
    resume_hint = "Run the same command again to resume; nothing is asked twice."
    match done["state"]:
        case "paused":
            lines.append(f"Paused. {resume_hint}")
        case "budget":
            lines.append("Stopped: the next request could exceed the budget. Raise it to resume.")
        case "failed":
            lines.append(f"Stopped: {one_line(done['error'] or '')} {resume_hint}")
    return lines


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def _print_lines(console: Console, lines: list[str]) -> None:
    for line in lines:
        print_wrapped(console, Text(line))
