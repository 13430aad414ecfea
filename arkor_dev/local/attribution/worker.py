"""The process that traces one answer, scores one proof, or looks for rows that contradict others.

Start with ``work``.
"""

from __future__ import annotations

import random
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from arkor_dev.data.reader import open_data
from arkor_dev.data.sources import SourceError, every_file
from arkor_dev.local.evaluation.stage import texts_of
from arkor_dev.local.jobs.job_folder import adapter_folder
from arkor_dev.local.models.catalog import Model
from arkor_dev.local.training.preparation import RunPreparation
from arkor_dev.local.training.run_events import RunEvents
from arkor_dev.local.workers.errors import JobFailure, failure_reason
from arkor_dev.local.workers.link import serve

from .lexical import CLOSE, likenesses
from .messages import Attributed, AttributionRequest, Proved

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arkor_dev.contract.attribution import AnswerScore, TracedRow
    from arkor_dev.data.rows import Row
    from arkor_dev.local.workers.link import Link

    from .messages import AttributionRecord
    from .trained import Scored, Trained

EXCERPT: Final = 300
PROPOSED: Final = 5
"""Number of rows proposed for an answer."""
MOST: Final = 100
"""Maximum number of contradicting rows listed."""


def work(order: AttributionRequest, link: Link) -> Attributed | Proved:
    """Process the backend's request."""
    preparation = RunPreparation(order.job, RunEvents(), link.progress)
    preparation.read()
    preparation.load(link.receive(Model))
    preparation.encode()
    from .trained import Trained

    trained = Trained(preparation)
    match order.task:
        case "why":
            return Attributed(why(trained, Rows(preparation), order))
        case "rows":
            return Attributed(contradicting(trained, Rows(preparation), link))
        case "prove":
            return Proved(prove(trained, order, link))


class Rows:
    """The training rows of ``preparation``, for display."""

    def __init__(self, preparation: RunPreparation) -> None:
        self._rows: dict[str, Row] = {row.where: row for row in preparation.train_rows}
        self._numbers: dict[str, int] | None = None
        self._preparation = preparation

    def traced(self, where: str, score: float) -> TracedRow:
        """Return the row at ``where`` with its ``score``, rounded."""
        question, answer = texts_of(self._rows[where])
        row: TracedRow = {
            "where": where,
            "question": question[:EXCERPT],
            "answer": answer[:EXCERPT],
            "score": round(score, 2),
        }
        if (number := self._number(where)) is not None:
            row["row"] = number
        return row

    def text(self, where: str) -> str:
        """Return the text of the row at ``where``: its last question and answer."""
        return " ".join(texts_of(self._rows[where]))

    def _number(self, where: str) -> int | None:
        """Return the row's number on the Data page; None for rows from elsewhere."""
        if self._numbers is None:
            self._numbers = {}
            try:
                source, project = self._preparation.config["datasetSource"], self._preparation.project
                with open_data(list(every_file(source, project, _refuse))) as data:
                    self._numbers = {item.where: item.location.number for item in data}
            except (SourceError, OSError):
                pass
        return self._numbers.get(where)


def _refuse(_: object) -> NoReturn:
    raise SourceError("not a file of the project")


def why(trained: Trained, rows: Rows, order: AttributionRequest) -> AttributionRecord:
    """Return which models give an answer, and its likely causes."""
    messages = order.messages
    trained.load_adapter(adapter_folder(Path(order.job.data), order.job.id, None))
    answer = order.answer or trained.answer(messages)
    if not answer:
        raise JobFailure("The adapter's answer is empty, so there is nothing to trace")
    example = trained.example(messages, answer)
    adapter, base = trained.score(example), trained.base_score(example)
    record: AttributionRecord = {
        "answer": answer,
        "adapter": _logp(adapter),
        "base": _logp(base),
        "learned": adapter.logp > base.logp,
    }
    if not record["learned"]:
        return record
    where = list(dict.fromkeys(example.where for example in trained.train))
    scores = likenesses([rows.text(location) for location in where], f"{messages[-1]['content']} {answer}")
    order_of = sorted(range(len(where)), key=lambda row: -scores[row])
    similar = [row for row in order_of if scores[row] > 0][:PROPOSED]
    unlike = [row for row in range(len(where)) if row not in similar]
    # Seeded by the answer: repeated requests get the same rows, and other answers get others.
    drawn = random.Random(answer).sample(unlike, min(len(similar), len(unlike)))  # noqa: S311 - no secret
    return {
        **record,
        "rows": len(where),
        "hash": trained.rows,
        "similar": [rows.traced(where[row], scores[row]) for row in similar],
        "close": max(scores, default=0.0) >= CLOSE,
        "random": [{"where": where[row]} for row in drawn],
    }


def contradicting(trained: Trained, rows: Rows, link: Link) -> AttributionRecord:
    """Return the rows that contradict those most similar to them, or if there are none, unproven ones.

    See ``contradictions``.
    """
    from .contradictions import agreement, contradictions, least_agreeing

    unit, losses = trained.row_gradients(
        lambda done, total: link.progress("Reading the rows' gradients", done, total, "rows")
    )
    where = [where for where, _ in groupby(example.where for example in trained.train)]

    def shown(found: Sequence[tuple[int, float]]) -> list[TracedRow]:
        return [rows.traced(where[row], agrees) for row, agrees in found]

    agreements = agreement(unit)
    found = contradictions(agreements, losses)[:MOST]
    unproven = [] if found else least_agreeing(agreements)
    return {
        "rows": len(where),
        "hash": trained.rows,
        "contradicting": shown(found),
        "unproven": shown(unproven),
    }


def prove(trained: Trained, order: AttributionRequest, link: Link) -> dict[str, AnswerScore]:
    """For every adapter in ``folders``, return the answer's log-probability and the adapter's own answer."""
    example = trained.example(order.messages, order.answer or "")
    scores: dict[str, AnswerScore] = {}
    for number, (name, folder) in enumerate(order.folders.items()):
        link.progress("Asking the adapters", number, len(order.folders), "adapters")
        trained.load_adapter(Path(folder))
        scores[name] = {**_logp(trained.score(example)), "text": trained.answer(order.messages)}
    return scores


def _logp(scored: Scored) -> AnswerScore:
    return {"logp": round(scored.logp, 4), "tokens": scored.tokens}


if __name__ == "__main__":
    serve(AttributionRequest, work, failure_reason, nice=5)
