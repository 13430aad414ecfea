"""Scores answers in a separate process with a time limit, and compares two models' scores."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final, Self

from arkor_dev.local.workers.errors import JobFailure

from .rates import compare_scores
from .words import interval, verdict_words

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from pathlib import Path

    from arkor_dev.contract.shapes import EvaluationPart, EvaluationSet

    from .answer_scorer import AnsweredRow
    from .own_set_worker import ScorerRequest
    from .paired import Comparison


SECONDS: Final = 60.0
"""Time limit in seconds for scoring one model's answers, or those of one training step."""
END_SECONDS: Final = 15.0
"""Time in seconds that the process has to stop the processes started by the metric."""
RATES: Final = {
    "exact_match": "equal to the wanted answer",
    "contains": "containing the wanted answer",
    "regex": "matching the expression",
    "json_schema": "valid JSON for the schema",
    "tool_call": "with the right tool calls",
}
DIGITS: Final = 5
MOST_BYTES: Final = 2**16
"""Maximum length of a line of the process's output."""
MODULE: Final = "arkor_dev.local.evaluation.own_set_worker"


class ScoringFailure(JobFailure):
    """Why rows could not be scored; ``place`` is the index of the row."""

    def __init__(self, text: str, index: int) -> None:
        super().__init__(text)
        self.index = index


class Scorer:
    """Scores rows by the metric of the set ``told``, in a process that runs until :meth:`close`.

    ``name`` is used in error messages. Each call may take ``SECONDS``.
    """

    def __init__(self, settings: EvaluationSet, project: Path, name: str) -> None:
        self._name, self._read = name, b""
        request: ScorerRequest = {
            "metric": settings["metric"],
            "pattern": settings.get("pattern"),
            "schema": settings.get("schema"),
            "project": str(project),
        }
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=project,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            start_new_session=True,
            bufsize=0,
        )
        self._request = json.dumps(request).encode() + b"\n"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __call__(self, rows: Sequence[AnsweredRow]) -> list[float]:
        """Score each of ``rows``, ``{question, wanted, answer}`` and optionally its other ``columns``;
        ``tool_call`` needs the row's `call_fields`, too.

        Raises :class:`ScoringFailure` if the metric fails or takes too long; the process has then ended.
        """
        scores: list[float] = []
        until = time.monotonic() + SECONDS
        try:
            assert self._process.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # its earlier output has yet to be read
                _write(self._process.stdin.fileno(), self._request + json.dumps(list(rows)).encode() + b"\n")
            self._request = b""
            while len(scores) < len(rows):
                answer = json.loads(self._line(until))
                if "error" in answer:
                    raise ScoringFailure(str(answer["error"]), len(scores))
                scores.append(float(answer["score"]))
        except TimeoutError:
            self.close()
            text = f"The metric of {self._name} took longer than {SECONDS:.0f} s"
            raise ScoringFailure(text, len(scores)) from None
        except (EOFError, ValueError, TypeError, KeyError):
            self.close()
            text = f"The metric of {self._name} ended without scores (status {self._process.returncode})"
            raise ScoringFailure(text, len(scores)) from None
        except ScoringFailure:
            self.close()
            raise
        return scores

    def close(self) -> None:
        """Stop the process and all processes it has started."""
        _end(self._process)

    def _line(self, until: float) -> bytes:
        """Return the next line of the process's output. Raises TimeoutError, and EOFError after the end."""
        assert self._process.stdout is not None
        while b"\n" not in self._read:
            wait = until - time.monotonic()
            if wait <= 0 or not select.select([self._process.stdout], [], [], wait)[0]:
                raise TimeoutError
            more = os.read(self._process.stdout.fileno(), 2**16)
            if not more or len(self._read) > MOST_BYTES:
                raise EOFError
            self._read += more
        line, self._read = self._read.split(b"\n", 1)
        return line


def _write(pipe: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(pipe, view) :]


def _end(process: subprocess.Popen[bytes]) -> None:
    """Stop the process and all processes it started; it does so itself if it can."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(END_SECONDS)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe:
            pipe.close()


def score_part(
    settings: EvaluationSet,
    base: Sequence[float],
    adapter: Sequence[float],
    groups: Sequence[Hashable],
    of: int,
) -> EvaluationPart:
    """Return the figures of a scored set, for which more is better; ``of`` is its total number of rows."""
    metric = settings["metric"]
    compared = compare_scores(base, adapter, groups, rate=metric in RATES)
    figures = {"mean": compared.mean, "low": compared.low, "high": compared.high}
    part: EvaluationPart = {
        "name": settings["name"],
        "metric": metric,
        "rows": compared.rows,
        "base": round(compared.base, DIGITS),
        "adapter": round(compared.adapter, DIGITS),
        "difference": {key: round(value, DIGITS) for key, value in figures.items()},  # type: ignore[typeddict-item]
        "confidence": compared.confidence,
        "verdict": compared.verdict,
        "sentence": sentence(settings["name"], metric, compared),
    }
    if compared.groups < compared.minimum:
        part["tooFew"] = True
    if compared.verdict == "unclear" and (needed := compared.rows_to_settle):
        part["rowsToSettle"] = needed
    if of > compared.rows:
        part["of"] = of
    return part


def sentence(name: str, metric: str, compared: Comparison) -> str:
    rows = compared.rows
    if metric in RATES:
        right, before = (round(mean * rows) for mean in (compared.adapter, compared.base))
        answers = "answer" if rows == 1 else "answers"
        figures = f"{right} of {rows:,} {answers} {RATES[metric]} vs. {before} for the base"
    else:
        figures = f"mean score {compared.adapter:.2f} vs. {compared.base:.2f} for the base on {rows:,} rows"
    return f"{name}: {verdict_words(compared)}, {figures}{interval(compared, 2)}."
