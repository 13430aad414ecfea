"""The options of ``arkor-dev ssh``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arkor_dev.cli.options import add_project, add_yes

if TYPE_CHECKING:
    from arkor_dev.cli.command_line import CommandLine


def add_ssh(parser: CommandLine) -> None:
    """``ssh``, and what it does with another machine."""
    ssh = parser.add_command(
        "ssh",
        "Look after the machine that --ssh uses. status: which projects it has, what runs, and disk usage. "
        "fetch: download the adapter of every completed job of the project. stop: end all backends there; "
        "running jobs pause, and resume when you connect again. remove: stop, and delete everything that was "
        "put or made there, jobs and adapters too. HOST defaults to [compute] in arkor.toml.",
        "status|fetch|stop|remove [HOST]",
    )
    ssh.add_argument("action", metavar="ACTION", nargs="?", help="what to do (default: status)")
    ssh.add_argument("host", metavar="HOST", nargs="?", help="a host of your ssh configuration")
    add_project(ssh)
    ssh.add_argument("--out", metavar="FOLDER", help="fetch: where to (default: fetched in the project)")
    ssh.add_argument("--json", action="store_true", help="print status as {projects, bytes, root}")
    add_yes(ssh, "remove: delete without asking")
