"""The command that serves an endpoint, and its options."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from arkor_dev.cli.options import add_launch, add_project, port

if TYPE_CHECKING:
    from arkor_dev.cli.command_line import CommandLine


def add_serve(parser: CommandLine) -> None:
    """``serve``, and where."""
    serve = parser.add_command(
        "serve",
        "Serve an endpoint of this machine to other programs, as OpenAI's API, without page and training. "
        "NAME is an endpoint's name, or a job: its id, the beginning of its id, or latest. Of a job that has "
        "no endpoint yet one is made, with a key that is shown once.",
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
        help="make an endpoint that asks for no key: every program of this machine can call it",
    )  # fmt: skip
