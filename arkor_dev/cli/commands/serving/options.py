"""The options of ``arkor-dev serve``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from arkor_dev.cli.options import add_launch, add_project, port

if TYPE_CHECKING:
    from arkor_dev.cli.command_line import CommandLine


def add_serve(parser: CommandLine) -> None:
    """Add ``serve`` and its options."""
    serve = parser.add_command(
        "serve",
        "Serve an endpoint of this machine to other programs through OpenAI's API, without the page or "
        "training. NAME is an endpoint's name, or a job: its id, a prefix of it, or latest. For a job "
        "without an endpoint, one is created, with an API key that is shown once.",
        "NAME --local",
    )
    serve.add_argument("name", metavar="NAME", nargs="?", help="an endpoint's name, or a job")
    add_project(serve)
    add_launch(serve)
    serve.add_argument(
        "--port", metavar="N", type=port, default=argparse.SUPPRESS,
        help="the port to listen on (default: 4000, or the next free one of ten)",
    )  # fmt: skip
    serve.add_argument(
        "--open", action="store_true", dest="open_to_all",
        help="create an endpoint without an API key: every program on this machine can call it",
    )  # fmt: skip
