"""``arkor-dev data import``: logs and traces of model calls as rows of the project."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from arkor_dev.cli.console import print_wrapped
from arkor_dev.client.endpoints import deployment_of, logged_requests
from arkor_dev.connection.connect import joined
from arkor_dev.contract.errors import BadRequestError
from arkor_dev.data.traces.convert import LoggedRecord
from arkor_dev.project.import_traces import import_files, import_records, summary

from .jobs import require_sign_in

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from arkor_dev.contract.dataset_shapes import ImportedTraces
    from arkor_dev.core.settings import Settings


async def run_import(settings: Settings, arguments: Namespace, console: Console | None = None) -> int:
    """Convert the logs that the arguments name; return the exit code: 1 without a row.

    Raises ArkorError if a log cannot be read.
    """
    console = console or Console()

    def refuse(line: str) -> None:
        print_wrapped(console, Text(line, "yellow"))

    said = None if arguments.json else refuse
    if arguments.endpoint is None:
        imported = import_files(settings.project, arguments.files, arguments.name, said)
    elif arguments.files:
        raise BadRequestError("Give either FILE or --endpoint, not both.")
    else:
        imported = await _import_log(settings, arguments, said)
    if arguments.json:
        print(json.dumps(imported))  # noqa: T201
    else:
        _show(imported, console)
    return int(imported["file"] is None)


async def _import_log(
    settings: Settings, arguments: Namespace, refuse: Callable[[str], None] | None
) -> ImportedTraces:
    """Convert the log of an endpoint, which its backend has."""
    if not settings.local:
        require_sign_in(settings)
    async with joined(settings, lambda _: None, idle=True) as backend:
        endpoint = await deployment_of(backend, arguments.endpoint)
        requests = [request async for request in logged_requests(backend, endpoint)]
    name = endpoint["slug"]
    records = (LoggedRecord(f"{name}, request {request.get('id')}", request) for request in requests)
    return import_records(settings.project, records, arguments.name or f"{name}-rows", refuse)


def _show(imported: ImportedTraces, console: Console) -> None:
    print_wrapped(console, Text(summary(imported), "bold"))
    if imported["file"] is not None:
        check = f"arkor-dev data check {imported['file']}"
        print_wrapped(console, Text(f"Written to {imported['file']}. Next: {check}"))
