"""One making run: asks a teacher about each source within a budget, and adds the rows that pass to a file.

It can stop at any moment (a person pauses it, the budget is spent, the teacher fails, the process is killed)
and continues with the same call: answers are kept, and rows that are in the file are not added again.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal, NotRequired, TypedDict

from arkor_dev.contract.errors import ArkorError
from arkor_dev.data.exclusions import row_hash
from arkor_dev.data.rows import Row
from arkor_dev.project.reviews import add_reviews
from arkor_dev.teacher.asker import Asker, texts_of
from arkor_dev.teacher.request import UnreadableAnswerError

from .duplicates import KnownRows, is_conversation, is_whole
from .made_file import line_of, only_one
from .tasks import Candidate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from pathlib import Path

    from arkor_dev.contract.making_shapes import Making as Wire
    from arkor_dev.contract.making_shapes import MakingState
    from arkor_dev.data.rows import RowMessage
    from arkor_dev.teacher.client import Teacher
    from arkor_dev.teacher.ledger import Budget, Ledger

    from .made_file import MadeFile
    from .tasks import Task

log = logging.getLogger(__name__)

_ACTIVE: Final = ("reading", "running")


class RowOrigin(TypedDict):
    """How a row was made: by the model ``by`` on ``host``, as ``item`` of the answer to the ``request``.

    ``source`` is the document or row, ``origin`` the key of the passage, ``quote`` what the row rests on;
    ``prompt`` and ``request`` are hashes.
    """

    kind: str
    by: str
    host: str
    source: str
    origin: str
    quote: NotRequired[str]
    prompt: str
    request: str
    item: int


class MadeRow(TypedDict):
    """A line of the file: a conversation, the ``document`` that it is held out with, and its origin."""

    messages: list[RowMessage]
    document: str
    made: RowOrigin


class Maker:
    """A making run, which can be started once. ``state`` and the counts can be read at any time."""

    def __init__(
        self,
        name: str,
        kind: str,
        teacher: Teacher,
        model: str,
        budget: Budget,
        ledger: Ledger,
        file: MadeFile,
        project: Path,
    ) -> None:
        self.name, self.kind, self.model, self.budget = name, kind, model, budget
        self._teacher, self._ledger, self._file, self._project = teacher, ledger, file, project
        self.state: MakingState = "reading"
        self._ending: Literal["paused", "budget"] | None = None
        self.error: str | None = None
        self.left_out: list[str] = []
        self.passages = self.done = self.reused = self.rows = 0
        self.dropped: Counter[str] = Counter()
        self._unreadable = 0
        self._asker = Asker(name, teacher, ledger, budget, "Run this again")
        self._known = KnownRows()
        self._in_file: set[tuple[str, object]] = set()

    def fail(self, why: str) -> None:
        """Record what prevented the start, or ended the run."""
        self.error, self.state = why, "failed"

    def pause(self) -> None:
        """Send no further request (``pausing``); `run` returns when those under way are answered."""
        self._end("paused")

    async def run(
        self, load: Callable[[], Awaitable[tuple[Sequence[Task], list[str]]]], folder: Path
    ) -> None:
        """Make rows of the tasks that ``load`` returns together with sentences about what was left out.

        ``folder`` is that of the ledger. Raises ArkorError for what prevents a start; later errors are in
        ``error``. Cancelling it drops the requests under way, which then count in full.
        """
        with only_one(folder, self.name):
            try:
                tasks, self.left_out = await load()
                self.passages = len(tasks)
                await asyncio.to_thread(self._learn_rows)
                waiting = iter(await asyncio.to_thread(self._hashed, tasks))
                self.state = "running"
                try:
                    async with asyncio.TaskGroup() as group:
                        for _ in range(self._teacher.at_once):
                            group.create_task(self._work(waiting))
                    if self.done + self._unreadable == self.passages:
                        self.state = "done"
                except* ArkorError as faults:
                    self.fail(next(texts_of(faults)))
            finally:
                if self.state in _ACTIVE:
                    self.state = self._ending or "paused"

    def as_wire(self) -> Wire:
        """Return the run as the page and ``--json`` show it. Blocks briefly."""
        spent = self._ledger.spent(self.name)
        return {
            "name": self.name,
            "file": self._file.path,
            "state": "pausing" if self.state in _ACTIVE and self._ending == "paused" else self.state,
            "kind": self.kind,
            "model": self.model,
            "host": self._teacher.host,
            "passages": self.passages,
            "done": self.done,
            "kept": self.reused,
            "rows": self.rows,
            "dropped": dict(self.dropped),
            "requests": spent.requests,
            "inputTokens": spent.input,
            "outputTokens": spent.output,
            "money": float(self.budget.price.of(spent.input, spent.output)),
            "budgetTokens": self.budget.tokens,
            "budgetRequests": self.budget.requests,
            "budgetMoney": None if self.budget.money is None else float(self.budget.money),
            "waiting": self._asker.waiting() if self.state == "running" else None,
            "error": self.error,
            "leftOut": [*self.left_out, *self._beyond_bounds()],
        }

    def _learn_rows(self) -> None:
        self._known.add_project(self._project)
        for row in self._file.rows():
            origin, messages = row.get("made"), row.get("messages")
            if isinstance(origin, dict) and is_conversation(messages):
                self._in_file.add((str(origin.get("request")), origin.get("item")))
                self._known.add(Row(messages, ""))
        self.rows = len(self._in_file)

    def _hashed(self, tasks: Sequence[Task]) -> list[tuple[str, Task]]:
        """Return the tasks whose rows are not in the file yet, with the hashes of their requests."""
        written = self._ledger.written(self.name)
        hashed = [(task.request.hash(self._teacher.address), task) for task in tasks]
        remaining = [(hash_, task) for hash_, task in dict(hashed).items() if hash_ not in written]
        self.done = self.reused = len(tasks) - len(remaining)
        return remaining

    async def _work(self, waiting: Iterator[tuple[str, Task]]) -> None:
        for hash_, task in waiting:
            if self._asker.stopped:
                return
            answer = await self._asker.kept(task.request)
            if answer is None:
                answer = await self._asker.ask(task.request)
                if answer is None:
                    if self._asker.over_budget:
                        self._end("budget")
                    return
            else:
                self.reused += 1
            try:
                await self._take(hash_, task, answer)
            except UnreadableAnswerError:
                self.dropped["unreadable"] += 1
                self._unreadable += 1
                await self._asker.forget(task.request)  # so that a retry asks again
            else:
                self.done += 1

    async def _take(self, hash_: str, task: Task, answer: str) -> None:
        """Add the rows of an answer that pass every check. Raises UnreadableAnswerError."""
        rows: list[MadeRow] = []
        for item, candidate in enumerate(task.read(answer)):
            if isinstance(candidate, str):
                self.dropped[candidate] += 1
            elif not isinstance(candidate, Candidate) or not is_whole(candidate.messages):
                self.dropped["unreadable"] += 1
            elif (hash_, item) not in self._in_file:
                row = Row(candidate.messages, "")
                if (why := self._known.match(row)) is not None:
                    self.dropped[why] += 1
                    continue
                self._known.add(row)
                rows.append(self._row(hash_, item, task, candidate.messages, candidate.quote))
        if rows:
            await asyncio.to_thread(self._add, rows)
        await asyncio.to_thread(self._ledger.note_written, self.name, hash_)
        self.rows += len(rows)

    def _add(self, rows: list[MadeRow]) -> None:
        """Write rows, after recording that a program made them, so that they wait for a judgement."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        lines = [line_of(row) for row in rows]
        add_reviews(
            self._project,
            [
                {
                    "row": f"{row_hash(line):016x}",
                    "file": self._file.path,
                    "at": now,
                    "made": {**row["made"], "at": now},
                }
                for row, line in zip(rows, lines, strict=True)
            ],
        )
        self._file.add(lines)

    def _row(self, hash_: str, item: int, task: Task, messages: list[RowMessage], quote: str) -> MadeRow:
        instructions = task.request.messages[0]["content"]
        origin: RowOrigin = {
            "kind": self.kind,
            "by": self.model,
            "host": self._teacher.host,
            "source": task.source,
            "origin": task.made_from,
            "prompt": hashlib.sha256(instructions.encode()).hexdigest()[:16],
            "request": hash_,
            "item": item,
        }
        if quote:
            origin["quote"] = quote
        # Rows of one document, or of one passage if there are few documents, are held out together or not at
        # all.
        return {"messages": messages, "document": task.source, "made": origin}

    def _beyond_bounds(self) -> list[str]:
        if not self._asker.overcount:
            return []
        tokens = f"{self._asker.overcount:,} tokens that {self._teacher.host} reports"
        return [f"{tokens} beyond the most that its requests can have. Compare with its bill."]

    def _end(self, state: Literal["paused", "budget"]) -> None:
        self._ending = self._ending or state
        self._asker.stop()
