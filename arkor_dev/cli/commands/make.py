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
from arkor_dev.project.arkor_toml import parse, read
from arkor_dev.project.data_editor import files_in

if TYPE_CHECKING:
    from argparse import Namespace

    from arkor_dev.contract.making_shapes import Making, MakingEstimate, MakingOptions
    from arkor_dev.core.settings import Settings

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
        making = asyncio.create_task(run(), name="making")

        def pause() -> None:
            if maker.as_wire()["state"] == "pausing":
                making.cancel()  # what is under way counts in full
            else:
                maker.pause()
                if not given.json:
                    console.print("Finishing the requests under way. Press Ctrl-C again to drop them.")

        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, pause)
        try:
            await _follow(maker, making, console, shown=console.is_terminal and not given.json)
        finally:
            loop.remove_signal_handler(signal.SIGINT)
        done = maker.as_wire()
    if given.json:
        print(json.dumps(done))  # noqa: T201
    else:
        _say(console, result_lines(done))
    return CODES[done["state"]]


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
    kinds = KINDS if given.action == "make" else OF_ROWS
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
        options |= {"of": _rows_file(settings, given), "rows": given.rows or []}
    return options  # type: ignore[return-value]


def _shown(path: Path, project: Path) -> str:
    """Return a path within the project, or an absolute one."""
    resolved = Path(os.path.abspath(path))  # noqa: PTH100 - keeps symlinks
    return resolved.relative_to(project).as_posix() if resolved.is_relative_to(project) else str(resolved)


def _rows_file(settings: Settings, given: Namespace) -> str:
    """Return the file of rows that is given, else the first of a trainer's data set."""
    if len(given.files) > 1:
        raise BadRequestError(f"unexpected argument {given.files[1]}. data more has one file of rows.")
    if given.files:
        return _shown(given.files[0], settings.project)
    trainers = parse(settings.project, read(settings.project))
    for trainer in trainers:
        if given.trainer in (None, trainer["name"]) and "config" in trainer:
            files = files_in(trainer["config"], settings.project)
            if files:
                return files[0].name
    raise BadRequestError("Name a file of rows: arkor-dev data more FILE.")


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
