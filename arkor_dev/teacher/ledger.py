"""Records requests, answers and costs in ``making.sqlite`` in the project's data folder.

Before a request is sent, its maximum cost is reserved; its answer is kept together with its actual cost. So
even if the process is killed, the budget is never exceeded (requests under way count in full), and no request
is sent twice. These calls block.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.errors import InternalError

if TYPE_CHECKING:
    from pathlib import Path

FILE: Final = "making.sqlite"
MILLION: Final = 1_000_000
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS answers (hash TEXT PRIMARY KEY, answer TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS spending (
    id INTEGER PRIMARY KEY, making TEXT NOT NULL, input INTEGER NOT NULL, output INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS spending_of ON spending (making);
CREATE TABLE IF NOT EXISTS written (
    making TEXT NOT NULL, hash TEXT NOT NULL, PRIMARY KEY (making, hash)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS makings (
    making TEXT PRIMARY KEY, options TEXT NOT NULL, at TEXT NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Price:
    """Money per million tokens of input and of output."""

    input: Decimal = Decimal(0)
    output: Decimal = Decimal(0)

    def of(self, input_tokens: int, output_tokens: int) -> Decimal:
        """Return what these tokens cost."""
        return (self.input * input_tokens + self.output * output_tokens) / MILLION


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that a making run may spend; None for no limit."""

    tokens: int | None = None
    requests: int | None = None
    money: Decimal | None = None
    price: Price = Price()


@dataclass(frozen=True, slots=True)
class Spent:
    """What a making run has spent. Requests under way count with their maximum cost."""

    requests: int = 0
    input: int = 0
    output: int = 0

    def within(self, budget: Budget) -> bool:
        """Return whether this is not more than the budget."""
        return not (
            (budget.tokens is not None and self.input + self.output > budget.tokens)
            or (budget.requests is not None and self.requests > budget.requests)
            or (budget.money is not None and budget.price.of(self.input, self.output) > budget.money)
        )


class Ledger:
    """The open database. Thread-safe. Raises InternalError when the disk refuses."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / FILE
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        self._lock = threading.Lock()
        try:
            self._db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
            self._db.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; {_SCHEMA}")
        except sqlite3.Error as fault:
            raise InternalError(f"{path} cannot be used: {fault}. Move it away, and try again.") from None

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def reserve(self, run: str, most_input: int, most_output: int, budget: Budget) -> int | None:
        """Reserve the cost of one request; return the reservation's id, or None if it exceeds the budget."""
        with self._writing():
            spent = self._spent(run)
            then = Spent(spent.requests + 1, spent.input + most_input, spent.output + most_output)
            if not then.within(budget):
                return None
            insert = "INSERT INTO spending (making, input, output) VALUES (?, ?, ?)"
            return self._db.execute(insert, (run, most_input, most_output)).lastrowid

    def settle(
        self, reservation: int, input_tokens: int, output_tokens: int, answer: tuple[str, str] | None = None
    ) -> None:
        """Replace a reservation by the request's actual cost; keep its ``answer``, a hash and the text."""
        with self._writing():
            update = "UPDATE spending SET input = ?, output = ? WHERE id = ?"
            self._db.execute(update, (input_tokens, output_tokens, reservation))
            if answer is not None:
                self._db.execute("INSERT OR REPLACE INTO answers VALUES (?, ?)", answer)

    def spent(self, run: str) -> Spent:
        """Return what a making run has spent so far."""
        with self._lock:
            return self._spent(run)

    def answer(self, hash_: str) -> str | None:
        """Return the kept answer to a request."""
        with self._lock:
            row = self._db.execute("SELECT answer FROM answers WHERE hash = ?", (hash_,)).fetchone()
        return None if row is None else str(row[0])

    def forget(self, hash_: str) -> None:
        """Delete the kept answer to a request."""
        with self._writing():
            self._db.execute("DELETE FROM answers WHERE hash = ?", (hash_,))

    def written(self, run: str) -> set[str]:
        """Return the requests whose rows a making run has written."""
        with self._lock:
            rows = self._db.execute("SELECT hash FROM written WHERE making = ?", (run,)).fetchall()
        return {str(digest) for (digest,) in rows}

    def note_written(self, run: str, hash_: str) -> None:
        """Record that the rows of a request are in the file."""
        with self._writing():
            self._db.execute("INSERT OR IGNORE INTO written VALUES (?, ?)", (run, hash_))

    def remember(self, run: str, options: str, at: str) -> None:
        """Store the options of a making run, so that the page can resume it."""
        with self._writing():
            self._db.execute("INSERT OR REPLACE INTO makings VALUES (?, ?, ?)", (run, options, at))

    def makings(self) -> list[tuple[str, str, str]]:
        """Return every making run with its options and the time of its start, newest first."""
        with self._lock:
            return self._db.execute("SELECT making, options, at FROM makings ORDER BY at DESC").fetchall()

    def _spent(self, run: str) -> Spent:
        sums = "SELECT count(*), coalesce(sum(input), 0), coalesce(sum(output), 0) FROM spending"
        return Spent(*self._db.execute(f"{sums} WHERE making = ?", (run,)).fetchone())

    def _writing(self) -> _Writing:
        return _Writing(self._db, self._lock)


class _Writing:
    """One transaction. Raises InternalError when the disk refuses."""

    def __init__(self, db: sqlite3.Connection, lock: threading.Lock) -> None:
        self._db, self._lock = db, lock

    def __enter__(self) -> None:
        self._lock.acquire()
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except BaseException:
            self._lock.release()
            raise

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, _: object) -> None:
        try:
            self._db.execute("COMMIT" if kind is None else "ROLLBACK")
        finally:
            self._lock.release()
        if isinstance(fault, sqlite3.Error):
            raise InternalError(f"{FILE} cannot be written: {fault}. Nothing was lost; try again.") from None
