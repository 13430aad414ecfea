"""Turns the options of a making run into its estimate and its `Maker`, for the terminal and the page."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.errors import ArkorError, BadRequestError
from arkor_dev.core.plain_text import one_line, slug_of
from arkor_dev.data.sources import SourceError, files_of
from arkor_dev.project.arkor_toml import parse, read
from arkor_dev.project.data_editor import config_of, files_in
from arkor_dev.teacher.client import HttpTeacher, clean_address, open_teacher_session
from arkor_dev.teacher.ledger import Budget, Ledger, Price

from . import variations
from .backend_teacher import BASE, BackendTeacher
from .documents import find_documents, read_documents
from .kinds import MOST_PER_PASSAGE, Kind
from .made_file import MadeFile
from .making import Maker
from .passages import passages_of
from .tasks import Task

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Mapping

    from arkor_dev.backend.client import Backend
    from arkor_dev.contract.making_shapes import MakingEstimate, MakingOptions
    from arkor_dev.core.settings import Settings
    from arkor_dev.data.reader import DataFile
    from arkor_dev.teacher.client import Teacher

RUBRIC: Final = "rubric"
"""Instead of a kind: rows are judged, not made."""
NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
LIKELY: Final = 120
"""Typical tokens of a row in an answer."""


def check_options(options: MakingOptions) -> None:
    """Raise BadRequestError for options that cannot be used together, or lack something."""
    if options["kind"] in variations.KINDS or options["kind"] == RUBRIC:
        if not (options.get("of") or options.get("trainer")):
            raise BadRequestError("Name a file of rows, or a trainer for those of its data.")
    else:
        _kind(options).check()
        if not options.get("paths"):
            raise BadRequestError("Name a folder of documents, or documents.")
    if not 1 <= _per_passage(options) <= MOST_PER_PASSAGE:
        raise BadRequestError(f"A passage or row gives 1 to {MOST_PER_PASSAGE} rows.")
    if not NAME.fullmatch(name_of(options)):
        raise BadRequestError("A name has small letters, digits and dashes, 40 at most.")
    variable = options.get("keyEnv")
    if variable and not VARIABLE.fullmatch(variable):
        raise BadRequestError("That is not the name of an environment variable. Give the name, not the key.")
    if options["teacher"] != BASE:
        clean_address(options["teacher"], with_key=bool(variable))
        if not options["model"].strip():
            raise BadRequestError("Name the teacher's model.")
    elif variable:
        raise BadRequestError("The model of the trainer needs no key.")
    budget = _budget(options)
    if budget.money is not None and budget.price == Price():
        raise BadRequestError("A budget of money needs the price of a million tokens.")


def name_of(options: MakingOptions) -> str:
    """Return the name of a making run and of its file: as given, else from its first source and kind."""
    if options.get("name"):
        return str(options["name"])
    first = Path(
        (options.get("paths") or [options.get("of") or options.get("trainer") or "rows"])[0]
    ).resolve()
    return f"{slug_of(first.stem)[:28].strip('-') or 'rows'}-{options['kind']}"


async def load_tasks(options: MakingOptions, project: Path) -> tuple[list[Task], list[str]]:
    """Return the requests of a making run, and what was left out. Raises BadRequestError."""
    if options["kind"] in variations.KINDS:
        files = await asyncio.to_thread(_files_of_rows, options, project)
        numbers = frozenset(options.get("rows") or ())
        return await asyncio.to_thread(
            variations.tasks_of_rows, options["kind"], files, numbers, _per_passage(options), options["model"]
        )
    kind = _kind(options)
    tasks: list[Task] = []
    left_out: list[str] = []
    paths = [project / path for path in options.get("paths") or ()]
    documents = await asyncio.to_thread(find_documents, paths, project)
    async for document in read_documents(documents):
        if document.problem:
            left_out.append(f"{one_line(document.name, 200)}: {one_line(document.problem, 300)}.")
            continue
        tasks += [
            Task(
                passage.document,
                passage.key,
                kind.request(passage, options["model"]),
                partial(kind.candidates, passage),
            )
            for passage in passages_of(document)
        ]
    if not tasks:
        why = f" {left_out[0]}" if left_out else ""
        raise BadRequestError(f"The documents have no passage that is long enough.{why}")
    return tasks, left_out


async def estimate(options: MakingOptions, settings: Settings) -> MakingEstimate:
    """Return the estimate of a making run, without sending a request. Raises BadRequestError."""
    options = with_model(options, settings.project)
    tasks, left_out = await load_tasks(options, settings.project)
    ledger = Ledger(settings.local_data)
    try:
        address = _address(options)
        remaining = [task for task in tasks if ledger.answer(task.request.hash(address)) is None]
    finally:
        ledger.close()
    output = LIKELY * _per_passage(options) * len(remaining)
    likely = sum(task.request.likely_input() for task in remaining)
    return {
        "name": name_of(options),
        "documents": len({task.source for task in tasks}),
        "passages": len(tasks),
        "requests": len(remaining),
        "kept": len(tasks) - len(remaining),
        "tokens": likely + output,
        "mostTokens": sum(task.request.most_input() + task.request.max_tokens for task in remaining),
        "money": float(_budget(options).price.of(likely, output)),
        "leftOut": left_out,
    }


@asynccontextmanager
async def opened(
    options: MakingOptions,
    settings: Settings,
    environ: Mapping[str, str],
    backend: Backend | None = None,
    make: type[Maker] = Maker,
) -> AsyncIterator[tuple[Maker, Callable[[], Coroutine[object, object, None]]]]:
    """Yield a maker, of the class ``make``, and the coroutine function that runs it. Raises BadRequestError.

    ``backend`` answers if the teacher is its base model.
    """
    check_options(options)
    options = with_model(options, settings.project)
    key = key_of(options.get("keyEnv"), environ)
    async with open_teacher_session() as session:
        teacher: Teacher
        if options["teacher"] == BASE:
            assert backend is not None
            teacher = BackendTeacher(backend)
        else:
            teacher = HttpTeacher(session, options["teacher"], key)
        ledger = Ledger(settings.local_data)
        try:
            name, budget = name_of(options), _budget(options)
            maker = make(
                name, options["kind"], teacher, options["model"], budget, ledger,
                MadeFile(settings.project, name), settings.project,
            )  # fmt: skip
            now = datetime.now(UTC).isoformat(timespec="seconds")
            if options["kind"] != RUBRIC:
                ledger.remember(name, json.dumps(options), now)
            load = partial(load_tasks, options, settings.project)
            yield maker, partial(maker.run, load, settings.local_data)
        finally:
            ledger.close()


def with_model(options: MakingOptions, project: Path) -> MakingOptions:
    """Return the options with the first trainer's model if the teacher is the base. Raises ArkorError."""
    if options["teacher"] != BASE or options["model"]:
        return options
    model = first_model(project)
    if model is None:
        raise BadRequestError("arkor.toml has no trainer whose model could answer. Name a model.")
    return {**options, "model": model}


def first_model(project: Path) -> str | None:
    """Return the model of the first trainer in ``arkor.toml``; None without one."""
    try:
        trainers = parse(project, read(project))
    except ArkorError:
        return None
    return next((trainer["config"]["model"] for trainer in trainers if "config" in trainer), None)


def _address(options: MakingOptions) -> str:
    if options["teacher"] == BASE:
        return BASE
    return clean_address(options["teacher"], with_key=bool(options.get("keyEnv")))


def key_of(variable: str | None, environ: Mapping[str, str]) -> str | None:
    """Return the value of a key's environment variable. Raises BadRequestError if it is not set."""
    if not variable:
        return None
    key = environ.get(variable, "").strip()
    if not key or not key.isprintable():
        raise BadRequestError(f"The environment variable {variable} is not set. Set it to the teacher's key.")
    return key


def _kind(options: MakingOptions) -> Kind:
    return Kind(
        options["kind"],
        _per_passage(options),
        (options.get("voice") or "").strip(),
        options.get("schema") or {},
    )


def _per_passage(options: MakingOptions) -> int:
    count = options.get("perPassage")
    return 3 if count is None else count


def _budget(options: MakingOptions) -> Budget:
    money, price = options.get("budgetMoney"), options.get("price") or [0.0, 0.0]
    return Budget(
        options.get("budgetTokens"),
        options.get("budgetRequests"),
        None if money is None else Decimal(str(money)),
        Price(*(Decimal(str(amount)) for amount in price)),
    )


def _files_of_rows(options: MakingOptions, project: Path) -> list[DataFile]:
    """Return the file that is named, or those of a trainer's data set. Raises BadRequestError."""
    if not options.get("of"):
        return files_in(config_of(project, options["trainer"]), project)
    try:
        return files_of({"type": "file", "path": options["of"]}, project)
    except SourceError as fault:
        raise BadRequestError(f"The file of the rows: {fault}.") from None
