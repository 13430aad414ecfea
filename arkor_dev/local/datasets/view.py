"""A tokenized data set: rows on screen come first, the rest in slices."""

from __future__ import annotations

import re
import time
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from arkor_dev.data import reader
from arkor_dev.data.findings.languages import language_of
from arkor_dev.data.labels import LABEL
from arkor_dev.data.reader import Item, RowLocation
from arkor_dev.data.row_parser import row_of
from arkor_dev.data.rows import Row, RowError
from arkor_dev.local.workers.errors import JobFailure

from .embedded import EmbeddingFile, surprising
from .findings import (
    BY_CODE,
    EXCERPT,
    PARALLEL,
    REFUSED,
    UNREADABLE,
    WRONG_LABEL,
    Findings,
    contents,
    flags_of,
)
from .label_noise import LabeledRow, LabelNoise
from .lengths import Lengths
from .tokens import label_words, special_ids, special_pattern, to_wire, tokenize_row, unwritten_calls

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from arkor_dev.contract.dataset_shapes import (
        DatasetFound,
        DatasetLengths,
        DatasetRow,
        DatasetTokens,
        RowGroups,
        RowMap,
        SimilarRow,
        SurprisingRow,
    )
    from arkor_dev.contract.json_types import JsonObject
    from arkor_dev.local.training.methods.interface import Method
    from arkor_dev.local.training.rows.encoding import Encoding

    from .index import Index
    from .messages import ViewStatus
    from .tokens import TokenizedRow

SEARCH_SECONDS: Final = 0.25
"""Seconds after which a search returns its progress, so that it does not delay other requests."""
TEXTS_BYTES: Final = 200 * 2**20
"""Memory in bytes for the texts of the first rows, which are kept for the next search."""
RAW: Final = 2_000


@dataclass(frozen=True, slots=True)
class ReadingSettings:
    """How training would read the rows: tokenizer, learned tokens, and where rows are truncated."""

    tokenizer: PreTrainedTokenizerBase
    method: Method
    encoding: Encoding
    context: int


class View:
    """The rows of some files, as far as they have been read. Not thread-safe."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self._form = index.data.words()
        self.reading: ReadingSettings | None = None
        self._specials = re.compile(r"(?!)")
        self._special_ids: frozenset[int] = frozenset()
        self._walk = index.data.scan(every=True)
        self._lengths = array("I")
        self._learned = array("I")
        self._flags = array("I")
        self._counts = Lengths()
        self._findings = Findings()
        self._noise = LabelNoise()
        self._tokens = self._learned_tokens = 0
        self._roles: dict[str, int] = {}
        self._texts: list[bytes] = []
        self._texts_size = 0
        self._embedded: EmbeddingFile | None = None

    def read_by(self, reading: ReadingSettings) -> None:
        """Set how rows are tokenized from now on."""
        self.reading = reading
        self._specials = special_pattern(reading.tokenizer)
        self._special_ids = special_ids(reading.tokenizer)

    @property
    def busy(self) -> bool:
        """Return whether there is work left."""
        if not self.index.complete:
            return True
        return self.reading is not None and (self._unread or self._noise.busy)

    @property
    def _unread(self) -> bool:
        """Return whether a row is left to be read by the tokenizer."""
        return len(self._lengths) < len(self.index)

    def work(self, seconds: float) -> None:
        """Work for ``seconds``: first index rows, then read them one after another."""
        if not self.index.complete:
            self.index.step(seconds)
            return
        until = time.monotonic() + seconds
        while self.busy and time.monotonic() < until:
            if self._unread:
                self._read_next()
            else:
                self._check_labels()

    def close(self) -> None:
        self._walk.close()
        self.index.close()

    def status(self) -> ViewStatus:
        """Return what this process knows of the view."""
        reading = self.reading
        read, indexed = len(self._lengths), len(self.index)
        state: Literal["opening", "reading", "ready"] = "ready"
        if reading is None or self.busy:
            state = "opening" if reading is None else "reading"
        return {
            "state": "changed" if self.index.changed else state,
            "form": self._form,
            "rows": indexed if self.index.complete else None,
            "indexed": indexed,
            "bySource": self.index.by_source,
            "read": read,
            "excluded": len(self.index.out[reader.EXCLUDED]),
            "leftOut": len(self.index.out[reader.LEFT_OUT]),
            "maxLength": reading.encoding.longest if reading else None,
            "context": reading.context if reading else None,
            "tokens": self._tokens,
            "learned": self._learned_tokens,
            "roles": self._roles,
            "findings": self._findings.listing(reading.encoding.longest) if reading else [],
        }

    def lengths(self) -> DatasetLengths:
        """Return what truncation at each length would lose."""
        return self._counts.counts()

    def rows(self, start: int, count: int) -> list[DatasetRow]:
        """Return summaries of a limited number of rows."""
        last = min(start + count - 1, len(self.index))
        return [self._row(number) for number in range(start, last + 1)]

    def row(self, number: int) -> DatasetTokens:
        """Return one row token by token. Raises IndexError if there is none."""
        if not 1 <= number <= len(self.index):
            raise IndexError(number)
        item = self.index.item(number)
        tokens, complete = self._tokens_of(number, item)
        if not complete:
            tokens["raw"] = self.index.raw(number, RAW)
        if isinstance(item.row, Row):
            source, entry = self.index.exclusion(number)
            excluded = number in self.index.out[reader.EXCLUDED]
            tokens["exclusion"] = {"source": source, "entry": entry, "excluded": excluded}
        return tokens

    def render(self, source: int, record: JsonObject) -> DatasetTokens:
        """Return ``record`` token by token, as if it were a row of this source. Raises IndexError."""
        file = next((file for file in self.index.data.files if file.source == source), None)
        if file is None:
            raise IndexError(source)
        where = file.name
        row: Row | RowError
        try:
            row = row_of(record, where, file.form, file.columns, file.group, file.forms)
        except RowError as fault:
            row = fault
        return self._tokens_of(0, Item(RowLocation(0, 0, 0, 0, 0), where, row))[0]

    def _tokens_of(self, number: int, item: Item) -> tuple[DatasetTokens, bool]:
        tokenized = self._seen(item)
        if tokenized is not None and not isinstance(tokenized, str):
            return to_wire(self._special_ids, number, tokenized), True
        empty: DatasetTokens = {
            "row": number,
            "where": item.where,
            "length": 0,
            "examples": [],
            "learned": 0,
            "first": None,
            "roles": {},
            "shown": 0,
            "ids": [],
            "texts": [],
            "special": [],
            "runs": [],
        }
        return ({**empty, "error": tokenized} if isinstance(tokenized, str) else empty), False

    def find(
        self,
        want: str,
        after: int,
        *,
        count: int = 0,
        than: int = 0,
        code: str = "",
        text: str = "",
        role: str = "",
        least: int = 0,
        most: int = 0,
        source: int | None = None,
        language: str = "",
        group: int | None = None,
        file: str = "",
    ) -> DatasetFound:
        """Return the next matching row after ``after``, or the next ``count``, as defined by the contract."""
        read = len(self._lengths)
        if want == "text":
            folded = text.casefold()
            if not role and not language and not least and not most and source is None and group is None:
                return self._find_text(after, count, folded.encode())
            lengths = range(max(1, least), (most or 2**32) + 1) if least or most else None
            members = None if group is None else self.embedded(file).members(group)
            return self._find_matching(after, count, (folded, role, language), lengths, source, members)
        if want == "longest":
            return {"row": self._next_longest(after), "reached": read}
        if want == "longer":
            matches = np.frombuffer(self._lengths, np.uint32)[after:] > than
        else:
            matches = np.frombuffer(self._flags, np.uint32)[after:] & BY_CODE.get(code, 0) > 0
        rows = [after + at + 1 for at in np.flatnonzero(matches)[: max(1, count)].tolist()]
        return _found(rows, rows[-1] if 0 < count == len(rows) else read, count)

    def embedded(self, file: str) -> EmbeddingFile:
        """Return the embeddings in ``file``, and keep them in memory. Raises IndexError for a missing one."""
        if self._embedded is None or self._embedded.file != file:
            self._embedded = EmbeddingFile(file)
        return self._embedded

    def similar(self, file: str, number: int, count: int) -> list[SimilarRow]:
        """Return the ``count`` rows most similar to a row. Raises IndexError for one without an embedding."""
        rows: list[SimilarRow] = []
        for row, similarity, held_out in self.embedded(file).similar(number, count):
            if row > len(self.index):
                continue
            excerpt = _beginning(self.index.item(row), EXCERPT)
            like: SimilarRow = {"row": row, "similarity": similarity, "excerpt": excerpt}
            rows.append({**like, "heldOut": True} if held_out else like)
        return rows

    def groups(self, file: str) -> RowGroups:
        return self.embedded(file).groups()

    def map(self, file: str) -> RowMap:
        return self.embedded(file).map()

    def surprising(self, file: str, start: int, count: int) -> list[SurprisingRow]:
        """Return rows sorted by their loss, highest first, from position ``start`` (1-based) on."""
        return surprising(file, start, count)

    def _find_text(self, after: int, count: int, text_bytes: bytes) -> DatasetFound:
        until = time.monotonic() + SEARCH_SECONDS
        texts = self._texts
        rows = []
        for number in range(after + 1, len(texts) + 1):
            if text_bytes in texts[number - 1]:
                rows.append(number)
                if len(rows) >= count:
                    return _found(rows, number, count)
        reached = max(after, len(texts))
        for number in range(reached + 1, len(self.index) + 1):
            reached = number
            text = self._text_of(number)
            # Every row in order, so that a row's index in the list is its number.
            if len(texts) == number - 1 and self._texts_size < TEXTS_BYTES:
                texts.append(text)
                self._texts_size += len(text)
            if text_bytes in text:
                rows.append(number)
                if len(rows) >= count:
                    break
            if time.monotonic() > until:
                break
        return _found(rows, reached, count)

    def _find_matching(
        self,
        after: int,
        count: int,
        criteria: tuple[str, str, str],
        lengths: range | None,
        source: int | None,
        members: frozenset[int] | None,
    ) -> DatasetFound:
        """Return the next rows of ``source``, in ``members``, of ``lengths``, that fit ``criteria``."""
        until = time.monotonic() + SEARCH_SECONDS
        reached = after
        rows = []
        for number in range(after + 1, len(self.index) + 1):
            if lengths is not None and number > len(self._lengths):
                break  # its length is not known yet
            reached = number
            fits = source is None or self.index.source(number) == source
            fits = fits and (members is None or number in members)
            fits = fits and (lengths is None or self._lengths[number - 1] in lengths)
            if fits and (not any(criteria) or self._matches_text(number, *criteria)):
                rows.append(number)
                if len(rows) >= count:
                    break
            if time.monotonic() > until:
                break
        return _found(rows, reached, count)

    def _matches_text(self, number: int, folded: str, role: str, language: str) -> bool:
        """Return whether a message of ``role`` contains the ``folded`` text and is in ``language``; without a
        role, the assistant's language counts.
        """
        row = self.index.item(number).row
        if not isinstance(row, Row):
            return False
        if language:
            answers = contents(row, only=role or "assistant") or contents(row)
            if language_of("\n".join(answers)) != language:
                return False
        return any(folded in text.casefold() for text in contents(row, only=role))

    def _text_of(self, number: int) -> bytes:
        """Return the searchable text of a row."""
        row = self.index.item(number).row
        return "\n".join(contents(row)).casefold().encode() if isinstance(row, Row) else b""

    def _next_longest(self, after: int) -> int | None:
        """Return the row after ``after`` when sorted by length, longest first, then by number."""
        lengths = np.frombuffer(self._lengths, np.uint32)
        if not len(lengths):
            return None
        if not 1 <= after <= len(lengths):
            return int(np.argmax(lengths)) + 1
        length = lengths[after - 1]
        equal = np.flatnonzero(lengths[after:] == length)
        if len(equal):
            return after + int(equal[0]) + 1
        shorter = np.where(lengths < length, lengths, 0)
        return int(np.argmax(shorter)) + 1 if shorter.any() else None

    def _row(self, number: int) -> DatasetRow:
        item = self.index.item(number)
        short: DatasetRow = {
            "row": number,
            "where": item.where,
            "excerpt": _beginning(item, EXCERPT),
            "length": 0,
            "learned": 0,
        }
        if isinstance(item.row, Row) and (label := label_words(item.row)) is not None:
            short["label"] = label
        if number in self.index.out[reader.EXCLUDED]:
            return {**short, "excluded": True}
        if number in self.index.out[reader.LEFT_OUT]:
            return {**short, "leftOut": True}
        known = number <= len(self._lengths)
        if known and not self._flags[number - 1] & (UNREADABLE | REFUSED):
            return {**short, "length": self._lengths[number - 1], "learned": self._learned[number - 1]}
        tokenized = self._seen(item)
        if isinstance(tokenized, str):
            return {**short, "error": tokenized}
        if tokenized is None:
            return short
        return {**short, "length": tokenized.length, "learned": tokenized.learned}

    def _seen(self, item: Item) -> TokenizedRow | str | None:
        """Return the row's tokens, or why it has none; None until the tokenizer is loaded."""
        if isinstance(item.row, RowError):
            return str(item.row)
        if self.reading is None:
            return None
        try:
            return tokenize_row(self.reading.tokenizer, item.row, self.reading.method, self.reading.encoding)
        except JobFailure as failure:
            return str(failure)

    def _has_parallel_calls(self, row: Row) -> bool:
        """Return whether the template rejects a row because of its parallel calls."""
        assert self.reading is not None
        return unwritten_calls(self.reading.tokenizer, row) == "parallel"

    def _read_next(self) -> None:
        scanned = next(self._walk)
        item = self.index.data.item(scanned)
        tokenized, reading = None if scanned.out else self._seen(item), self.reading
        assert reading is not None  # rows are read only after `read_by`
        number = len(self._lengths) + 1
        length = learned = weight = 0
        excerpt = _beginning(item, EXCERPT)
        if scanned.out:
            flags = BY_CODE[scanned.out]
        elif isinstance(tokenized, str):
            flags = UNREADABLE if isinstance(item.row, RowError) else REFUSED
            if not isinstance(item.row, RowError) and self._has_parallel_calls(item.row):
                flags |= PARALLEL
            excerpt = tokenized[:EXCERPT]
        else:
            assert tokenized is not None
            length, learned = tokenized.length, tokenized.learned
            weight = max(0, length - reading.encoding.longest)
            flags = flags_of(tokenized, reading.encoding.longest, self._specials, self._special_ids)
            self._counts.add(length, tokenized.runs(), tokenized.begins)
            self._tokens += tokenized.tokens
            self._learned_tokens += learned
            for role, count in tokenized.by_role().items():
                self._roles[role] = self._roles.get(role, 0) + count
            if (label := tokenized.row.extra.get(LABEL)) is not None:
                self._noise.add(LabeledRow(number, item.where, tokenized.row.text or "", label))
        if flags:
            self._findings.add(flags, number, item.where, excerpt, weight)
        self._lengths.append(length)
        self._learned.append(learned)
        self._flags.append(flags)

    def _check_labels(self) -> None:
        """Check a part of the labels; after the last one, record the rows whose labels are probably wrong."""
        self._noise.step()
        for suspicion in self._noise.suspicions():
            row = suspicion.row
            excerpt = f"{row.label}, rather {suspicion.likely}: {row.text.strip()}"[:EXCERPT]
            self._findings.add(WRONG_LABEL, row.number, row.where, excerpt, suspicion.weight)
            self._flags[row.number - 1] |= WRONG_LABEL


def _beginning(item: Item, size: int) -> str:
    """Return how a row begins, for display: its first message but the system prompt, or other content."""
    if isinstance(item.row, RowError):
        return ""
    texts = contents(item.row, without="system") or contents(item.row)
    return next((text for text in texts if text.strip()), "").strip()[:size]


def _found(rows: list[int], reached: int, count: int) -> DatasetFound:
    """Return what a search found: its first row, and with ``count`` all of them."""
    found: DatasetFound = {"row": rows[0] if rows else None, "reached": reached}
    return {**found, "rows": rows} if count else found
