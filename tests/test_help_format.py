"""The usage line, letter for letter: CI runs this on every supported Python, and all of them must agree."""

from __future__ import annotations

import argparse

import pytest

from arkor_dev.help_format import HelpFormatter

WIDE = "usage: tool [-h] [--name NAME] [--level {low,high}] --must N [--all] source [target] ...\n"
NARROW = """\
usage: tool [-h] [--name NAME]
            [--level {low,high}]
            --must N [--all] source
            [target] ...
"""


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="tool", formatter_class=HelpFormatter)
    made.add_argument("source")
    made.add_argument("target", nargs="?")
    made.add_argument("--name", metavar="NAME")
    made.add_argument("--level", choices=["low", "high"])
    made.add_argument("--must", required=True, metavar="N")
    made.add_argument("--hidden", help=argparse.SUPPRESS)
    made.add_argument("--all", action="store_true", help="100 %% of it")
    made.add_subparsers(metavar="").add_parser("go")
    return made


@pytest.mark.parametrize(("columns", "expected"), [("120", WIDE), ("42", NARROW)])
def test_the_usage_line(columns: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert parser().format_usage() == expected


def test_a_parser_s_own_usage_is_left_alone() -> None:
    made = argparse.ArgumentParser(prog="tool", usage="%(prog)s what you like", formatter_class=HelpFormatter)
    assert made.format_usage() == "usage: tool what you like\n"


def test_help_still_lists_every_option(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = parser().format_help()
    assert "100 % of it" in text
    assert "--hidden" not in text
