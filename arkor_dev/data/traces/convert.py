"""Converts the records of logs to rows, and merges those of one conversation.

Clients send a conversation whole with each turn, so a log has it once a turn: the longest is kept.
Conversations are compared by a hash of their messages after each answer; ids of calls and thoughts do not
count, since clients drop them. Memory holds 16 bytes an answer, never a row; rows wait in a temporary file.
"""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import blake2b
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from arkor_dev.data.containers import MAX_BYTES
from arkor_dev.data.detect import open_container
from arkor_dev.data.row_parser import row_of
from arkor_dev.data.rows import MAX_ROW, DataError, RowError

from .conversation import NotAnAnswer, TracedConversation
from .formats import format_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from .conversation import Outcome

MOST_WRITTEN: Final = 4 * 2**30
"""Largest result, in bytes."""
LOOKED_AT: Final = 20
"""Records of a file that are read to see whether it is a trace."""
SHOWN_KEYS: Final = 8
KEY: Final = 40
DIGEST: Final = 16


class LoggedRecord(NamedTuple):
    """A record of a log and its location, such as ``log.jsonl:3``."""

    where: str
    record: object | RowError


@dataclass(slots=True)
class TraceConversion:
    """What became of the records: each of their answers is in one of the counts.

    ``records`` counts the records of each format.
    """

    rows: int = 0
    merged: int = 0
    """Answers whose conversation is the beginning of a longer one, or the same as another."""
    others: int = 0
    """Parts of traces without a model's answer."""
    failed: int = 0
    records: dict[str, int] = field(default_factory=dict)


def records_of(path: Path, name: str) -> Iterator[LoggedRecord]:
    """Yield the records of a file, in any container that rows may have. Raises OSError."""
    try:
        container, _ = open_container(path, MAX_BYTES)
    except DataError as fault:
        yield LoggedRecord(name, fault)
        return
    with closing(container):
        for record in container.scan():
            where = name if isinstance(record.raw, DataError) else f"{name}:{record.line}"
            try:
                if isinstance(record.raw, RowError):
                    raise record.raw
                yield LoggedRecord(where, container.value(record))
            except RowError as fault:
                yield LoggedRecord(where, fault)


def is_trace(path: Path) -> bool:
    """Return whether the first readable record of a file is a trace and not a row. Raises OSError."""
    for number, (_, record) in enumerate(records_of(path, "")):
        if not isinstance(record, RowError):
            return format_of(record) is not None
        if number == LOOKED_AT:
            break
    return False


def convert(
    records: Iterable[LoggedRecord], write: Callable[[bytes], None], refuse: Callable[[str], None]
) -> TraceConversion:
    """Write the conversations in ``records`` as lines of JSON; call ``refuse`` with each other one and why.

    Raises DataError if the result is too large.
    """
    done = TraceConversion()
    with _TraceRows() as rows:
        for where, record in records:
            for outcome in _outcomes(record, done):
                try:
                    match outcome:
                        case TracedConversation():
                            rows.add(outcome, where)
                        case NotAnAnswer():
                            done.others += 1
                        case RowError():
                            raise outcome
                except RowError as fault:
                    if rows.is_full:
                        raise
                    done.failed += 1
                    refuse(f"{where}: {fault}")
        done.merged = rows.merged
        for line in rows.kept():
            write(line)
            done.rows += 1
    return done


def _outcomes(record: object | RowError, done: TraceConversion) -> Iterator[Outcome]:
    if isinstance(record, RowError):
        yield record
        return
    known = format_of(record)
    if known is None or not isinstance(record, dict):
        names = [name[:KEY] for name in map(str, record)][:SHOWN_KEYS] if isinstance(record, dict) else []
        has = f"it has the keys {', '.join(names)}" if names else f"it is {type(record).__name__}"
        hint = ". It is a row already" if isinstance(record, dict) and "messages" in record else ""
        yield RowError(f"is not a known kind of trace; {has}{hint}")
        return
    done.records[known.label] = done.records.get(known.label, 0) + 1
    is_empty = True
    try:
        for outcome in known.read(record):
            is_empty = False
            yield outcome
        if is_empty:
            yield NotAnAnswer()
    except RowError as fault:
        yield fault
    except RecursionError:
        yield RowError("is nested too deeply")


class _TraceRows:
    """Rows in the order of the log, without those that another one continues."""

    def __init__(self) -> None:
        self._file = TemporaryFile()  # noqa: SIM115 - closed on exit
        self._size = 0
        self._sizes: list[int] = []
        self._beginnings: set[bytes] = set()
        """Hashes of all conversations, and of their beginnings up to an answer."""
        self._ends: dict[bytes, int] = {}
        """The number of each kept row, by its hash."""
        self.merged = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def is_full(self) -> bool:
        return self._size > MOST_WRITTEN

    def add(self, conversation: TracedConversation, where: str) -> None:
        """Add a conversation. Raises RowError if it cannot be trained on, DataError if there is no room."""
        line = _line(conversation, where)
        hashes = _hashes(conversation)
        if hashes[-1] in self._beginnings:
            self.merged += 1
            return
        for shorter in hashes[:-1]:
            self.merged += self._ends.pop(shorter, None) is not None
        self._beginnings.update(hashes)
        self._ends[hashes[-1]] = len(self._sizes)
        self._size += len(line)
        if self.is_full:
            raise DataError(
                f"the rows take more than {MOST_WRITTEN // 2**30} GiB: convert fewer files at once"
            )
        self._file.write(line)
        self._sizes.append(len(line))

    def kept(self) -> Iterator[bytes]:
        """Yield the kept rows, as lines."""
        kept = set(self._ends.values())
        self._file.seek(0)
        for number, size in enumerate(self._sizes):
            line = self._file.read(size)
            if number in kept:
                yield line


def _line(conversation: TracedConversation, where: str) -> bytes:
    row = {"messages": conversation.messages, **({"tools": conversation.tools} if conversation.tools else {})}
    row_of(row, where, "chat", {})
    try:
        line = json.dumps(row, ensure_ascii=False).encode() + b"\n"
    except RecursionError:
        raise RowError("is nested too deeply") from None
    except UnicodeEncodeError:
        raise RowError("contains a lone surrogate (\\ud800 to \\udfff)") from None
    if len(line) > MAX_ROW:
        raise RowError(f"is a conversation of more than {MAX_ROW // 2**20} MiB")
    return line


def _hashes(conversation: TracedConversation) -> list[bytes]:
    """Return the hash of a conversation up to each of its answers."""
    hashes = []
    state = blake2b(json.dumps(conversation.tools, sort_keys=True).encode(), digest_size=DIGEST)
    for message in conversation.messages:
        calls = [call["function"] for call in message.get("tool_calls", ())]
        said = [message["role"], message["content"].strip(), calls]
        # A length before each: otherwise two messages could be one.
        text = json.dumps(said, sort_keys=True).encode()
        state.update(len(text).to_bytes(8, "big") + text)
        if message["role"] == "assistant":
            hashes.append(state.digest())
    return hashes
