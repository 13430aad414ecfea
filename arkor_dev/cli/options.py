"""Options that several commands have, and what their values may be."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from .command_line import CommandLine

LEVELS = ("debug", "info", "warning", "error")


class OneOf:
    """The type of an option that takes one of ``names``; ``label`` describes it.

    ``names`` may be a function, for names whose import --help does not need.
    """

    def __init__(self, label: str, names: Collection[str] | Callable[[], Collection[str]]) -> None:
        self._label, self._names = label, names

    @property
    def names(self) -> Collection[str]:
        return self._names() if callable(self._names) else self._names

    def __call__(self, text: str) -> str:
        if text not in self.names:
            raise argparse.ArgumentTypeError(
                f"{text} is not a valid {self._label}. Choose one of {', '.join(self.names)}."
            )
        return text


def whole_number(words: str, maximum: int, digits: int) -> Callable[[str], int]:
    """Return the type of an option that takes a whole number from 1 to ``maximum``; ``words`` name it."""

    def check(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and len(text) <= digits and 1 <= int(text) <= maximum):
            raise argparse.ArgumentTypeError(f"{text} isn't a valid {words}.")
        return int(text)

    return check


def fraction(maximum: float, message: str) -> Callable[[str], float]:
    """Return an option's type: a number above 0, up to ``maximum``; ``message`` is the error."""

    def check(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = 0.0
        if not 0 < number <= maximum:
            raise argparse.ArgumentTypeError(f"{text} {message}")
        return number

    return check


step = whole_number("number of steps (a whole number above 0)", 10**9, 9)


def checkpoint(text: str) -> int | str:
    """A step, ``best`` or ``final``; raises ArgumentTypeError."""
    return text if text in ("best", "final") else step(text)


def _address(text: str) -> str:
    from arkor_dev.contract.placement import ADDRESS, HERE  # keeps the import out of --help

    text = text.strip()
    if text != HERE and not ADDRESS.fits(text):
        raise argparse.ArgumentTypeError(f"{text} is not {ADDRESS.words}.")
    return text


def add_job(parser: CommandLine) -> None:
    parser.add_argument("job", metavar="JOB", nargs="?", help="an id, a prefix of one, or latest")


def add_project(parser: CommandLine) -> None:
    parser.add_argument(
        "--project", metavar="DIR", type=Path, help="the project's folder (default: the current one)"
    )


def _ssh_host(text: str) -> str:
    from arkor_dev.contract.placement import SSH_HOST  # not needed for --help

    if not SSH_HOST.fits(text):
        raise argparse.ArgumentTypeError(f"{text} is not {SSH_HOST.noun}.")
    return text


def add_launch(parser: CommandLine) -> None:
    """Options that select the project and the backend."""
    add_project(parser)
    parser.add_argument(
        "--local", action="store_true",
        help="train and chat on this machine, without an account or network; remembered for the project "
            "until --managed is given",
    )  # fmt: skip
    parser.add_argument(
        "--ssh", metavar="HOST", type=_ssh_host,
        help="train and chat on another machine, reached by ssh; overrides [compute] in arkor.toml",
    )  # fmt: skip
    parser.add_argument(
        "--managed", action="store_true",
        help="train and chat on the managed backend (the default of a new project)",
    )  # fmt: skip
    parser.add_argument(
        "--log-level", metavar="LEVEL", type=OneOf("level", LEVELS), default="warning",
        help=f"how much to log: {', '.join(LEVELS)} (default: warning)",
    )  # fmt: skip


def add_yes(parser: CommandLine, text: str) -> None:
    parser.add_argument("--yes", action="store_true", help=text)


def add_port(
    parser: CommandLine, text: str = "the port to listen on (default: 4000, or the next free one of ten)"
) -> None:
    parser.add_argument("--port", metavar="N", type=whole_number("port (1 to 65535)", 65535, 5), help=text)


def add_placement(parser: CommandLine) -> None:
    """Options that select the cluster of a job."""
    parser.add_argument(
        "--on", metavar="ADDRESS", dest="cluster", type=_address,
        help="train on this Ray cluster, or here; overrides ARKOR_CLUSTER, which overrides [compute] in "
            "arkor.toml",
    )  # fmt: skip
    add_insecure(parser)


def add_insecure(parser: CommandLine) -> None:
    parser.add_argument(
        "--insecure-cluster", action="store_true",
        help="use a cluster on another machine even if it requires no token: anyone can run programs there",
    )  # fmt: skip


def add_export_options(parser: CommandLine) -> None:
    """Options that select the model to export, and its format."""
    from arkor_dev.contract.bodies import QUANTIZATIONS
    from arkor_dev.contract.export_formats import EXPORT_FORMATS

    usual, *others, last = EXPORT_FORMATS

    parser.add_argument(
        "--format", metavar="HOW", choices=EXPORT_FORMATS, default=usual,
        help=f"{usual} (the default), {', '.join(others)} or {last}",
    )  # fmt: skip
    parser.add_argument(
        "--quantization", metavar="TYPE", choices=QUANTIZATIONS, default=None,
        help="for gguf and ollama, most exact first: f16, q8_0 (the default), q6_k, q5_k_m, q4_k_m, q4_0",
    )  # fmt: skip
    parser.add_argument(
        "--strength", metavar="TIMES", default=1.0,
        type=fraction(1.5, "is not a valid strength. Choose one above 0, up to 1.5."),
        help="adapter strength: above 0, up to 1.5 (default: 1); not with adapter",
    )  # fmt: skip
    parser.add_argument(
        "--checkpoint", metavar="WHICH", type=checkpoint, default="best",
        help="a step, final, or best (the default): the checkpoint that is clearly better than the final "
            "adapter, else the final one",
    )  # fmt: skip
