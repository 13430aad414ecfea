"""An adapter beside its base, row by row: the last stage of a job, or what a person asks for later."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.local.workers.errors import JobFailure

from .paired import compare
from .words import GENERAL, HELD_OUT, part

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from arkor_dev.contract.run_shapes import Evaluation
    from arkor_dev.data.rows import Row

    Measure = Callable[[Sequence[Any]], list[tuple[float, int]]]
    """Of each row its summed cross entropy and how many tokens that is of."""

TOGETHER: Final = 16
"""General questions that are computed at once: they are short."""
MOST_ROWS: Final = 1000
TEXT: Final = 1000
"""Characters of a question or an answer that are kept."""
CONVERSATION: Final = 4000
"""Characters, as JSON, of what came before a question up to which it is kept."""
TOLD: Final = ("role", "content", "tool_calls", "tool_call_id")


class Stopped(Exception):  # noqa: N818 - somebody asked for it
    """The job was cancelled meanwhile."""


@dataclass
class Stage:
    """What is measured: ``rows`` that were held out and their tokens ``held_out``, and ``general`` ones.

    ``measure`` gives the figures of some rows by one model, ``batch`` at once. ``known`` are the adapter's
    losses on the held-out rows where they have been measured already. ``progress`` hears of the rows of both
    models that are done, ``cancelled`` is asked between batches.
    """

    rows: Sequence[Row]
    held_out: Sequence[Any]
    general: Sequence[Any]
    batch: int
    progress: Callable[[str, float, float | None, str], None]
    cancelled: Callable[[], bool]
    known: Sequence[float] | None = None
    began: float = field(default_factory=time.monotonic)
    _done: int = 0

    def run(self, adapter: Measure, base: AbstractContextManager[Measure]) -> tuple[Any, Any]:
        """The contract's :class:`Evaluation` and its rows.

        ``base`` is entered once the adapter has been measured: it may be the same model, changed. Raises
        :class:`Stopped`, and :class:`JobFailure` where a loss is no number.
        """
        held, general = self._all(adapter, self.known)
        with base as measure:
            held_before, general_before = self._all(measure, None)
        compared = compare(held_before, held, groups_of(self.rows))
        evaluation: Evaluation = {
            "verdict": compared.verdict,
            "sentence": "",
            "heldOut": part(HELD_OUT, compared),
        }
        evaluation["sentence"] = evaluation["heldOut"]["sentence"]
        if general:
            evaluation["general"] = part(GENERAL, compare(general_before, general))
        evaluation["seconds"] = round(time.monotonic() - self.began, 2)
        return evaluation, list(self._told(held_before, held))

    def _all(self, measure: Measure, known: Sequence[float] | None) -> tuple[list[float], list[float]]:
        held = list(known) if known is not None else self._losses(measure, self.held_out, self.batch)
        return held, self._losses(measure, self.general, max(self.batch, TOGETHER))

    def _losses(self, measure: Measure, examples: Sequence[Any], batch: int) -> list[float]:
        """The mean loss a token of each of ``examples``."""
        total = 2 * (len(self.held_out) + len(self.general)) - len(self.known or ())
        losses: list[float] = []
        for start in range(0, len(examples), batch):
            if self.cancelled():
                raise Stopped
            self.progress("Evaluating", self._done, total, "rows")
            losses += [loss / tokens for loss, tokens in measure(examples[start : start + batch])]
            self._done += len(examples[start : start + batch])
        if not all(map(math.isfinite, losses)):
            raise JobFailure("The loss of a row is not a number")
        if self._done == total:
            self.progress("Evaluating", total, total, "rows")
        return losses

    def _told(self, base: Sequence[float], adapter: Sequence[float]) -> Iterator[dict[str, Any]]:
        """Each row's figures; of very many those that changed most, for better and for worse."""
        order = sorted(range(len(base)), key=lambda place: adapter[place] - base[place])
        if len(order) > MOST_ROWS:
            order = order[: MOST_ROWS // 2] + order[-MOST_ROWS // 2 :]
        for place in sorted(order):
            row, example = self.rows[place], self.held_out[place]
            question, wanted = texts_of(row)
            yield {
                "row": place + 1,
                "where": row.where,
                "tokens": sum(label >= 0 for label in example.labels[1:]),
                "base": round(base[place], 5),
                "adapter": round(adapter[place], 5),
                "question": _cut(question),
                "wanted": _cut(wanted),
                **context_of(row),
            }


def texts_of(row: Row) -> tuple[str, str]:
    """What a row asks, and what is wanted: of a conversation its last question and the answer to it."""
    if row.text is not None:
        return "", row.text
    last = max(place for place, turn in enumerate(row.messages) if turn["role"] == "assistant")
    asked = [turn for turn in row.messages[:last] if turn["role"] == "user"]
    return _content(asked[-1]) if asked else "", _content(row.messages[last])


def context_of(row: Row) -> dict[str, Any]:
    """``messages`` up to the last answer, where they are more than a question; none if too much to tell."""
    last = max((place for place, turn in enumerate(row.messages) if turn["role"] == "assistant"), default=0)
    before = row.messages[:last]
    if len(before) < 2 and all(turn["role"] == "user" for turn in before):
        return {}
    told = [{key: turn[key] for key in TOLD if key in turn} for turn in before]
    return {"messages": told if len(json.dumps(told)) <= CONVERSATION else []}


def groups_of(rows: Sequence[Row]) -> list[Hashable]:
    """By what rows belong together: the same question may be there twice, with two answers to it."""
    return [texts_of(row)[0] or place for place, row in enumerate(rows)]


def _content(turn: dict[str, Any]) -> str:
    content = turn.get("content")
    return content if isinstance(content, str) else ""


def _cut(text: str) -> str:
    return text if len(text) <= TEXT else f"{text[: TEXT - 1]}…"
