"""Options that place a job, and the command that shows a cluster."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from arkor_dev.cli.options import add_project

if TYPE_CHECKING:
    from arkor_dev.cli.command_line import CommandLine


def _address(text: str) -> str:
    from arkor_dev.contract.placement.address import ADDRESS, HERE  # keeps the import out of --help

    text = text.strip()
    if text != HERE and not ADDRESS.fits(text):
        raise argparse.ArgumentTypeError(f"{text} is not {ADDRESS.words}.")
    return text


def add_placement(parser: CommandLine) -> None:
    parser.add_argument(
        "--on", metavar="ADDRESS", dest="cluster", type=_address, default=argparse.SUPPRESS,
        help="train on this Ray cluster, or here; overrides ARKOR_CLUSTER, which overrides [compute] in "
            "arkor.toml",
    )  # fmt: skip
    add_insecure(parser)


def add_insecure(parser: CommandLine) -> None:
    parser.add_argument(
        "--insecure-cluster", action="store_true", default=argparse.SUPPRESS,
        help="use a cluster on another machine even if it requires no token: anyone can run programs there",
    )  # fmt: skip


def add_cluster(parser: CommandLine) -> None:
    """Add ``cluster`` and its subcommands."""
    cluster = parser.add_command(
        "cluster",
        "Show a Ray cluster: its machines, what is free, and what is missing. ADDRESS defaults to "
        "ARKOR_CLUSTER, then to arkor.toml.",
        "status [ADDRESS]",
    )
    cluster.add_argument("action", metavar="status", nargs="?", help="what to do")
    cluster.add_argument(
        "address", metavar="ADDRESS", nargs="?", type=str.strip, help="ray://HOST:PORT, HOST:PORT, or auto"
    )
    add_project(cluster)
    add_insecure(cluster)
    cluster.add_argument("--json", action="store_true", help="print {cluster}")
