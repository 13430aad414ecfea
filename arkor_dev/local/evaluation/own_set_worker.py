"""A short-lived process that scores answers, since a project's function may do anything, or never return.

Reads ``{metric, pattern, schema, project, rows: [{question, wanted, answer}]}`` from standard input; writes
``{scores}``, one finite number per row, or ``{error}`` to standard output.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import re
import signal
import sys
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, NoReturn

from arkor_dev.contract import strict_json
from arkor_dev.contract.settings.json_schema import valid
from arkor_dev.data.sources import SourceError, resolved
from arkor_dev.local.workers.descendants import adopt_orphans, end_descendants
from arkor_dev.local.workers.link import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


MODULE: Final = "arkor_own_metric"
ERROR: Final = 500
"""Longest error message of a function, in characters."""


def main() -> NoReturn:
    """Let a child score the rows, send its answer, and end every process that it started, wherever
    reparented.

    The child answers through a file: a pipe would stay open as long as any process it forked.
    """
    asked = sys.stdin.buffer.read()
    adopt_orphans()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    status = 1
    with tempfile.TemporaryFile() as answer:
        try:
            child = os.fork()
            if not child:
                try:
                    _score(json.loads(asked), answer)
                finally:
                    os._exit(1)  # it must not continue as a second parent
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            end_descendants()
        answer.seek(0)
        sys.stdout.buffer.write(answer.read())
    sys.stdout.flush()
    os._exit(status & 0xFF)


def _score(asked: Mapping[str, Any], answer: IO[bytes]) -> NoReturn:
    """Run as the child: score and write ``answer``. Standard output stays free, since a function may
    print.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    die_with_parent()
    os.dup2(2, 1)
    try:
        score = scorer(asked)
        told: dict[str, Any] = {"scores": [_number(score(row)) for row in asked["rows"]]}
    except ScoringError as fault:
        told = {"error": str(fault)[:ERROR]}
    except Exception as error:  # noqa: BLE001 - a function of the project's raises what it likes
        told = {"error": f"{asked['metric']} failed: {type(error).__name__}: {error}"[:ERROR]}
    answer.write(json.dumps(told).encode())
    answer.flush()
    os._exit(0)  # ends regardless of threads the function left running


class ScoringError(Exception):
    """Why scoring is impossible, for a person."""


def scorer(asked: Mapping[str, Any]) -> Callable[[Mapping[str, str]], Any]:
    """Return the function that scores a row by the requested metric. Raises ScoringError."""
    metric, pattern, schema = asked["metric"], asked.get("pattern"), asked.get("schema")
    match metric:
        case "exact_match":
            return lambda row: _tidy(row["answer"]) == _tidy(row["wanted"])
        case "contains":
            return lambda row: _tidy(row["wanted"]).lower() in _tidy(row["answer"]).lower()
        case "regex":
            return lambda row: re.search(pattern or row["wanted"], row["answer"]) is not None
        case "json_schema":
            return lambda row: _is_valid(row["answer"], schema)
    function = _entry(metric, Path(asked["project"]))
    return lambda row: function(row["question"], row["answer"], row["wanted"])


def _entry(metric: str, project: Path) -> Callable[[str, str, str], Any]:
    """Return the function ``module:function``, which a file of the project must define."""
    module_name, _, name = metric.partition(":")
    path = f"{module_name.replace('.', '/')}.py"
    try:
        file = resolved(project, path)
    except SourceError as fault:
        raise ScoringError(f"metric {metric}: {fault}") from None
    spec = importlib.util.spec_from_file_location(MODULE, file)
    if spec is None or spec.loader is None:
        raise ScoringError(f"metric {metric}: {path} is not a Python file")
    sys.path.append(str(project))  # a file with a standard module's name must not shadow it
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE] = module
    spec.loader.exec_module(module)
    function = getattr(module, name, None)
    # An imported name could be any function of any library.
    if not callable(function) or getattr(function, "__module__", None) != MODULE:
        raise ScoringError(f"metric {metric}: {path} defines no function {name}")
    return function  # type: ignore[no-any-return]


def _is_valid(answer: str, schema: Any) -> bool:
    try:
        return valid(strict_json.parse(answer.encode()), schema)
    except ValueError:
        return False


def _tidy(text: str) -> str:
    """Normalise whitespace."""
    return " ".join(text.split())


def _number(score: object) -> float:
    if isinstance(score, bool | int | float) and math.isfinite(score):
        return float(score)
    raise ScoringError(f"A score must be a finite number, true or false, not {str(score)[:60]!r}")


if __name__ == "__main__":
    main()
