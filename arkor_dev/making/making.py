"""One making run: asks a teacher about each source within a budget, and adds the rows that pass to a file.

It can stop at any moment (a person pauses it, the budget is spent, the teacher fails, the process is killed)
and continues with the same call: answers are kept, and rows that are in the file are not added again.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.errors import ArkorError
from arkor_dev.data.exclusions import row_hash
from arkor_dev.data.rows import Row
from arkor_dev.project.reviews import add_reviews

from .duplicates import KnownRows, is_conversation, is_whole
from .made_file import line_of, only_one
from .request import UnreadableAnswerError
from .teacher import AttemptError, TeacherError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from pathlib import Path

    from arkor_dev.contract.making_shapes import Making as Wire

    from .answer import Reply
    from .ledger import Budget, Ledger
    from .made_file import MadeFile
    from .tasks import Task
    from .teacher import Teacher

log = logging.getLogger(__name__)

ATTEMPTS: Final = 6
"""Failed attempts of one request after which the run stops."""
PAUSES: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""Seconds before each further attempt, unless the teacher says how long to wait."""
_ACTIVE: Final = ("reading", "running")
LONGEST_WAIT: Final = 600.0
"""If the teacher asks to wait longer, the run stops and can be resumed later."""
DAY: Final = 86_400.0


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
        self.state: Any = "reading"
        self._ending: str | None = None
        self.error: str | None = None
        self.left_out: list[str] = []
        self.passages = self.done = self.reused = self.rows = 0
        self.dropped: Counter[str] = Counter()
        self._overcount = 0
        self._unreadable = 0
        self._waiting = ""
        self._not_before = 0.0
        self._under_way = 0
        self._settled = asyncio.Event()
        self._stop = asyncio.Event()
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
                    self.fail(next(_texts(faults)))
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
            "waiting": self._waiting_now(),
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
            if self._stop.is_set():
                return
            answer = await asyncio.to_thread(self._ledger.answer, hash_)
            if answer is None:
                answer = await self._answer(hash_, task)
                if answer is None:
                    return
            else:
                self.reused += 1
            try:
                await self._take(hash_, task, answer)
            except UnreadableAnswerError:
                self.dropped["unreadable"] += 1
                self._unreadable += 1
                await asyncio.to_thread(self._ledger.forget, hash_)  # so that a retry asks again
            else:
                self.done += 1

    async def _answer(self, hash_: str, task: Task) -> str | None:
        """Ask until there is an answer; None if the run stops first. Raises TeacherError."""
        failed = 0
        while await self._may_send():
            most = task.request.most_input()
            reservation = await self._reserve(most, task.request.max_tokens)
            if reservation is None:
                return None
            spent = (most, task.request.max_tokens)  # what counts if this is cancelled
            entry = None
            self._under_way += 1
            try:
                reply = await self._teacher.ask(task.request)
                spent, over = _cost(reply, most, task.request.max_tokens)
                self._overcount += over
                entry = (hash_, reply.text)
            except AttemptError as fault:
                if not fault.cost:
                    spent = (0, 0)
                if not fault.at_once:
                    failed += 1
                    self._wait(fault, failed)
            except TeacherError:
                spent = (0, 0)
                raise
            finally:
                self._under_way -= 1
                self._ledger.settle(reservation, *spent, entry)
                self._settled.set()
            if entry is not None:
                return entry[1]
        return None

    async def _reserve(self, most_input: int, most_output: int) -> int | None:
        """Reserve what a request can cost, once those under way leave room; None if they never will."""
        while not self._stop.is_set():
            self._settled.clear()
            reservation = await asyncio.to_thread(
                self._ledger.reserve, self.name, most_input, most_output, self.budget
            )
            if reservation is not None:
                return reservation
            if not self._under_way:
                self._end("budget")
                return None
            await self._settled.wait()
        return None

    def _wait(self, fault: AttemptError, failed: int) -> None:
        """Hold back all requests for a while. Raises TeacherError if waiting cannot help."""
        wait = PAUSES[min(failed, len(PAUSES)) - 1] if fault.wait is None else fault.wait
        if wait > LONGEST_WAIT:
            span = "more than a day" if wait > DAY else f"{round(wait / 60)} minutes"
            raise TeacherError(f"{fault.why}: for {span}. Run this again then; nothing is lost.")
        if failed >= ATTEMPTS:
            raise TeacherError(f"{fault.why}, {failed} times. Run this again later; nothing is lost.")
        self._waiting = fault.why
        self._not_before = max(self._not_before, time.monotonic() + wait)

    async def _may_send(self) -> bool:
        """Wait until requests may be sent; return False if the run stops first."""
        while not self._stop.is_set():
            remaining = self._not_before - time.monotonic()
            if remaining <= 0:
                return True
            try:
                async with asyncio.timeout(remaining):
                    await self._stop.wait()
            except TimeoutError:
                continue
        return False

    async def _take(self, hash_: str, task: Task, answer: str) -> None:
        """Add the rows of an answer that pass every check. Raises UnreadableAnswerError."""
        rows: list[dict[str, Any]] = []
        for item, candidate in enumerate(task.read(answer)):
            if isinstance(candidate, str):
                self.dropped[candidate] += 1
            elif not is_whole(candidate.messages):
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

    def _add(self, rows: list[dict[str, Any]]) -> None:
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

    def _row(
        self, hash_: str, item: int, task: Task, messages: list[dict[str, Any]], quote: str
    ) -> dict[str, Any]:
        instructions = task.request.messages[0]["content"]
        origin = {
            "kind": self.kind,
            "by": self.model,
            "host": self._teacher.host,
            "source": task.source,
            "origin": task.made_from,
            **({"quote": quote} if quote else {}),
            "prompt": hashlib.sha256(instructions.encode()).hexdigest()[:16],
            "request": hash_,
            "item": item,
        }
        # Rows of one document, or of one passage if there are few documents, are held out together or not at
        # all.
        return {"messages": messages, "document": task.source, "made": origin}

    def _beyond_bounds(self) -> list[str]:
        if not self._overcount:
            return []
        tokens = f"{self._overcount:,} tokens that {self._teacher.host} reports"
        return [f"{tokens} beyond the most that its requests can have. Compare with its bill."]

    def _waiting_now(self) -> str | None:
        remaining = self._not_before - time.monotonic()
        return (
            f"{self._waiting}, for {remaining:.0f} s" if remaining > 0 and self.state == "running" else None
        )

    def _end(self, state: str) -> None:
        self._ending = self._ending or state
        self._stop.set()
        self._settled.set()


def _cost(reply: Reply, most_input: int, max_tokens: int) -> tuple[tuple[int, int], int]:
    """Return the tokens of an answer by the teacher's count, else their maximum, and those counted beyond.

    No request has more tokens than were reserved for it, so what is beyond is not spent.
    """
    written = min(max_tokens, len(reply.text.encode())) if reply.output is None else reply.output
    read = most_input if reply.input is None else reply.input
    spent = min(read, most_input), min(written, max_tokens)
    return spent, read + written - sum(spent)


def _texts(faults: BaseExceptionGroup[ArkorError]) -> Iterator[str]:
    for fault in faults.exceptions:
        if isinstance(fault, BaseExceptionGroup):
            yield from _texts(fault)
        else:
            yield fault.text
