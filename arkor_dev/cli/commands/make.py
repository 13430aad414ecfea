"""``arkor-dev data make`` and ``more``: rows made by a teacher, with progress; Ctrl-C pauses."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.text import Text

from arkor_dev.connection.connect import joined
from arkor_dev.contract import strict_json
from arkor_dev.contract.errors import BadRequestError
from arkor_dev.contract.regular_files import read_small
from arkor_dev.core.plain_text import one_line
from arkor_dev.making import start
from arkor_dev.making.kinds import KINDS
from arkor_dev.making.teacher import BASE
from arkor_dev.making.variations import KINDS as OF_ROWS
from arkor_dev.project.arkor_toml import index_of, parse, read

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Coroutine

    from arkor_dev.contract.making_shapes import Making, MakingEstimate, MakingOptions
    from arkor_dev.core.settings import Settings
    from arkor_dev.data.agreement import Agreement
    from arkor_dev.making.making import Maker
    from arkor_dev.making.tasks import Task

LOOK: Final = 0.25
"""Seconds between two looks at the progress."""
WHY: Final = {
    "quote": "with a quote that is not in the source",
    "duplicate": "like a row that exists",
    "held-out": "like a held-out row",
    "schema": "that do not fit the schema",
    "unreadable": "unreadable",
}
"""Why items are no rows, after their number."""
CODES: Final = {"done": 0, "paused": 4, "budget": 4, "failed": 1}


async def run_make(settings: Settings, given: Namespace) -> int:
    """Make rows as the arguments say; return the exit code. Raises ArkorError if nothing can be made."""
    options = _options(settings, given)
    start.check_options(options)
    console = Console()
    if given.dry_run:
        found = await start.estimate(options, settings)
        if given.json:
            print(json.dumps(found))  # noqa: T201
        else:
            _say(console, estimate_lines(found))
        return 0
    async with AsyncExitStack() as stack:
        backend = None
        if options["teacher"] == BASE:
            backend = await stack.enter_async_context(joined(settings, lambda _: None, idle=True))
        maker, run = await stack.enter_async_context(start.opened(options, settings, os.environ, backend))
        done = await _run(maker, run(), console, quiet=given.json)
    if given.json:
        print(json.dumps(done))  # noqa: T201
    else:
        _say(console, result_lines(done))
    return CODES[done["state"]]


async def run_judge(settings: Settings, given: Namespace) -> int:
    """Judge the rows of a trainer's data by a rubric; return the exit code. Raises ArkorError."""
    from arkor_dev.making import rubric as judging

    if given.rubric is None:
        raise BadRequestError(
            "data judge needs a rubric: --rubric FILE, in which it says what a good row is."
        )
    try:
        text = read_small(given.rubric).decode(errors="replace").strip()[: judging.RUBRIC]
    except OSError as fault:
        raise BadRequestError(f"{one_line(given.rubric, 200)} cannot be read: {fault.strerror}.") from None
    options = start.with_model(_options(settings, given), settings.project)
    start.check_options(options)
    console = Console()
    loaded = await asyncio.to_thread(
        judging.load_rows, settings.project, options["trainer"], text, options["model"]
    )
    async with AsyncExitStack() as stack:
        backend = None
        if options["teacher"] == BASE:
            backend = await stack.enter_async_context(joined(settings, lambda _: None, idle=True))

        async def ask(tasks: list[Task]) -> tuple[Making, dict[str, tuple[str, str]]]:
            async def load() -> tuple[list[Task], list[str]]:
                return tasks, []

            how = (options, settings, os.environ, backend, judging.Verdicts)
            async with start.opened(*how) as (maker, _):
                done = await _run(maker, maker.run(load, settings.local_data), console, quiet=given.json)
                return done, maker.verdicts

        done, verdicts = await ask(loaded.judged)
        found, heard = judging.tried(loaded, verdicts)
        opinions: dict[str, tuple[str, str]] = {}
        if heard and done["state"] == "done":
            done, opinions = await ask(loaded.others)
            how = (settings.project, loaded, opinions, options["model"])
            await asyncio.to_thread(judging.write_opinions, *how)
    told = {
        "heard": heard,
        "agreement": None if found is None else found._asdict(),
        "opinions": len(opinions),
        "making": done,
    }
    if given.json:
        print(json.dumps(told))  # noqa: T201
    else:
        _say(console, judge_lines(found, heard, opinions, done))
    return CODES[done["state"]]


def judge_lines(
    found: Agreement | None, heard: bool, opinions: dict[str, tuple[str, str]], done: Making
) -> list[str]:
    """Describe what a judge did."""
    from arkor_dev.data.agreement import LEAST_KAPPA, LEAST_ROWS

    need = f"It is heard from κ {LEAST_KAPPA} on, over at least {LEAST_ROWS} rows that you have judged."
    if found is None:
        lines = [f"The judge can't be compared with you yet: judge rows first, some of each verdict. {need}"]
    else:
        interval = f"κ {found.kappa:.2f} (95 % {found.low:.2f} to {found.high:.2f})"
        lines = [f"The judge agrees with people on {found.equal} of {found.rows} rows: {interval}."]
        if not heard:
            lines.append(f"{need} So it says nothing about the other rows.")
    if opinions:
        rejected = sum(verdict == "rejected" for verdict, _ in opinions.values())
        lines.append(
            f"It would reject {rejected:,} of {len(opinions):,} other rows: they have the tag "
            "rubric: rejected, and its reason. What trains is still for people to say."
        )
    return [*lines, *result_lines(done)[-2 if done["state"] != "done" else -1 :]]


async def _run(maker: Maker, running: Coroutine[Any, Any, None], console: Console, *, quiet: bool) -> Making:
    """Run a maker with progress; Ctrl-C pauses it, and a second one drops what is under way."""
    making = asyncio.create_task(running, name="making")

    def pause() -> None:
        if maker.as_wire()["state"] == "pausing":
            making.cancel()  # what is under way counts in full
        else:
            maker.pause()
            if not quiet:
                console.print("Finishing the requests under way. Press Ctrl-C again to drop them.")

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, pause)
    try:
        await _follow(maker, making, console, shown=console.is_terminal and not quiet)
    finally:
        loop.remove_signal_handler(signal.SIGINT)
    return maker.as_wire()


async def _follow(maker: Any, making: asyncio.Task[None], console: Console, *, shown: bool) -> None:
    """Show the progress until the making ends; raise its error."""
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), console=console, transient=True
    )
    bar.disable = not shown
    with bar, contextlib.suppress(asyncio.CancelledError):
        task = bar.add_task("Reading", total=None)
        while not making.done():
            await asyncio.wait({making}, timeout=LOOK)
            now = maker.as_wire()
            total = now["passages"] or None
            bar.update(task, description=progress_text(now), completed=now["done"], total=total)
        await making


def _options(settings: Settings, given: Namespace) -> MakingOptions:
    if not given.teacher:
        raise BadRequestError(
            f"data {given.action} needs a teacher: --teacher http://localhost:1234/v1 --model NAME for a "
            "server with OpenAI's API, or --teacher base for the model of the trainer."
        )
    kinds = {"make": KINDS, "more": OF_ROWS}.get(given.action, {start.RUBRIC: ""})
    kind = given.kind or next(iter(kinds))
    if kind not in kinds:
        raise BadRequestError(f"data {given.action} does not make {kind}. It makes: {', '.join(kinds)}.")
    options: dict[str, Any] = {
        "kind": kind,
        "teacher": given.teacher,
        "model": given.model,
        "name": given.name,
        "keyEnv": given.key_env,
        "perPassage": given.each,
        "voice": given.voice,
        "schema": None if given.schema is None else _schema(given.schema),
        "budgetTokens": given.budget_tokens,
        "budgetRequests": given.budget_requests,
        "budgetMoney": given.budget_money,
        "price": given.price,
    }
    if given.action == "make":
        options["paths"] = [_shown(path, settings.project) for path in given.files]
    else:
        options |= {**_rows(settings, given), "rows": given.rows or []}
    return options  # type: ignore[return-value]


def _shown(path: Path, project: Path) -> str:
    """Return a path within the project, or an absolute one."""
    resolved = Path(os.path.abspath(path))  # noqa: PTH100 - keeps symlinks
    return resolved.relative_to(project).as_posix() if resolved.is_relative_to(project) else str(resolved)


def _rows(settings: Settings, given: Namespace) -> dict[str, Any]:
    """Return the file of rows that is given, else the trainer with the data."""
    if len(given.files) > 1 or (given.files and given.action == "judge"):
        raise BadRequestError(
            f"unexpected argument {given.files[-1]}. data more has one file of rows, data judge none."
        )
    if given.files:
        return {"of": _shown(given.files[0], settings.project)}
    trainers = parse(settings.project, read(settings.project))
    return {"trainer": trainers[index_of(trainers, given.trainer)]["name"]}


def _schema(path: Path) -> Any:
    try:
        return strict_json.parse(read_small(path))
    except OSError as fault:
        raise BadRequestError(f"{one_line(path, 200)} cannot be read: {fault.strerror}.") from None
    except strict_json.StrictJSONError as fault:
        raise BadRequestError(f"{one_line(path, 200)} {fault}.") from None


def progress_text(now: Making) -> str:
    """Return one line about a making that runs."""
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


def estimate_lines(found: MakingEstimate) -> list[str]:
    """Describe an estimate."""
    kept = f" ({found['kept']:,} more are answered already)" if found["kept"] else ""
    money = f", {found['money']:.2f} by the price" if found["money"] else ""
    tokens = f"about {found['tokens']:,} tokens{money}; certainly at most {found['mostTokens']:,}"
    return [
        f"{found['passages']:,} passages or rows of {found['documents']:,} sources.",
        f"{found['requests']:,} requests{kept}, {tokens}.",
        *(f"Left out: {one_line(text)}" for text in found["leftOut"]),
    ]


def result_lines(done: Making) -> list[str]:
    """Describe a making that has ended."""
    lines = [f"Left out: {one_line(text)}" for text in done["leftOut"]]
    lines.append(
        f"{done['file']} has {done['rows']:,} made rows; {done['done']:,} of {done['passages']:,} passages "
        "or rows are done."
    )
    if done["dropped"]:
        dropped = ", ".join(f"{count:,} {WHY.get(why, why)}" for why, count in done["dropped"].items())
        lines.append(f"Dropped: {dropped}.")
    tokens = f"{done['inputTokens'] + done['outputTokens']:,} tokens in {done['requests']:,} requests"
    money = f", {done['money']:.4f} by the price" if done["money"] else ""
    lines.append(f"Spent: {tokens}{money}.")
    again = "Run the same command again to resume; nothing is asked twice."
    match done["state"]:
        case "paused":
            lines.append(f"Paused. {again}")
        case "budget":
            lines.append("Stopped: the next request could exceed the budget. Raise it to resume.")
        case "failed":
            lines.append(f"Stopped: {one_line(done['error'] or '')} {again}")
    return lines


def _say(console: Console, lines: list[str]) -> None:
    for line in lines:
        console.print(Text(line), soft_wrap=True)
