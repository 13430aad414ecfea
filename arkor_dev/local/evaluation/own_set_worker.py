"""The process that scores answers. It is separate because a project's function may do anything.

Reads lines of JSON from standard input: ``{metric, pattern, schema, project}``, then any number of
``[{question, wanted, answer, columns, tools, calls}, …]``. Writes a line for each row to standard output:
``{score}``, a finite number, or ``{error}``, after which it ends.
"""

from __future__ import annotations

import inspect
import json
import math
import os
import re
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn, NotRequired, TypedDict

from arkor_dev.contract import strict_json
from arkor_dev.contract.settings.json_schema import valid
from arkor_dev.local.evaluation.tool_call_match import call_fault, calls_rightly
from arkor_dev.local.gguf.limited import limit_memory
from arkor_dev.local.workers.descendants import adopt_orphans, end_descendants
from arkor_dev.local.workers.link import die_with_parent
from arkor_dev.local.workers.project_code import ProjectCodeError, defined_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from .answer_scorer import AnsweredRow


MEMORY: Final = 2 * 2**30
"""Maximum bytes of private memory, in each of its processes: a job trains beside it."""
ERROR: Final = 500
"""Maximum length of a function's error message, in characters."""


class ScorerRequest(TypedDict):
    """The metric of a set with what it needs, and the ``project``'s folder."""

    metric: str
    pattern: NotRequired[str | None]
    schema: NotRequired[object]
    project: str


def main() -> NoReturn:
    """Score the rows in a child process, then stop every process that it started, even reparented ones."""
    adopt_orphans()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    status = 1
    try:
        child = os.fork()
        if not child:
            try:
                _serve()
            finally:
                os._exit(1)  # it must not continue as a second parent
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        end_descendants()
    os._exit(status & 0xFF)


def _serve() -> NoReturn:
    """Run in the child: score rows until the input ends.

    A scoring function has no access to our standard input and output, since it may read and print.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    die_with_parent()
    limit_memory(MEMORY)
    lines, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    request = json.loads(lines.readline())
    score: Callable[[AnsweredRow], object] | None = None
    for line in lines:
        for row in json.loads(line):
            try:
                score = score or scorer(request)
                response: dict[str, object] = {"score": _number(score(row))}
            except ScoringError as fault:
                response = {"error": str(fault)[:ERROR]}
            except MemoryError:
                limit = f"{MEMORY >> 30} GiB of memory, the limit for a metric"
                response = {"error": f"{request['metric']} needs more than {limit}"}
            except Exception as error:  # noqa: BLE001 - a project's function may raise anything
                response = {"error": f"{request['metric']} failed: {type(error).__name__}: {error}"[:ERROR]}
            answers.write(json.dumps(response).encode() + b"\n")
            answers.flush()
            if "error" in response:
                os._exit(1)
    os._exit(0)  # exits even if the function left threads running


class ScoringError(Exception):
    """Scoring is impossible; ``str()`` is the reason for the user."""


def scorer(request: ScorerRequest) -> Callable[[AnsweredRow], object]:
    """Return the function that scores a row by the requested metric. Raises ScoringError."""
    metric, pattern, schema = request["metric"], request.get("pattern"), request.get("schema")
    match metric:
        case "exact_match":
            return lambda row: _tidy(row["answer"]) == _tidy(row["wanted"])
        case "contains":
            return lambda row: _tidy(row["wanted"]).lower() in _tidy(row["answer"]).lower()
        case "regex":
            return lambda row: re.search(pattern or row["wanted"], row["answer"]) is not None
        case "json_schema":
            return lambda row: _is_valid(row["answer"], schema)
        case "tool_call":
            return _calls_rightly
    function = _entry(metric, Path(request["project"]))
    # Only a function that asks for the row's other columns gets them.
    with_columns = "columns" in inspect.signature(function).parameters

    def score(row: AnsweredRow) -> object:
        more = {"columns": row.get("columns", {})} if with_columns else {}
        return function(row["question"], row["answer"], row["wanted"], **more)

    return score


def _entry(metric: str, project: Path) -> Callable[..., object]:
    """Return the function ``module:function``, which a file of the project must define."""
    try:
        return defined_in(project, metric, "function")
    except ProjectCodeError as fault:
        raise ScoringError(f"metric {metric}: {fault}") from None


def _is_valid(answer: str, schema: object) -> bool:
    try:
        return valid(strict_json.parse(answer.encode()), schema)
    except ValueError:
        return False


def _calls_rightly(row: AnsweredRow) -> bool:
    if fault := call_fault({"tools": row["tools"], "calls": row["calls"]}):
        raise ScoringError(f"The row {fault}")
    return calls_rightly(row["answer"], row["tools"], row["calls"])


def _tidy(text: str) -> str:
    """Normalise whitespace."""
    return " ".join(text.split())


def _number(score: object) -> float:
    if isinstance(score, bool | int | float) and math.isfinite(score):
        return float(score)
    raise ScoringError(f"A score must be a finite number, true or false, not {str(score)[:60]!r}")


if __name__ == "__main__":
    main()
