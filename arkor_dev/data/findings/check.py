"""All checks of a data set that need no tokenizer, in two passes over its files.

Memory is bounded whatever the size: hashes are in arrays, and rows that a finding lists are read a second
time. What exceeds a limit is skipped, and the report says so.
"""

from __future__ import annotations

import time
from array import array
from typing import TYPE_CHECKING, Final

from arkor_dev.data.reader import EXCLUDED, LEFT_OUT, open_data
from arkor_dev.data.rows import DataError, RowError

from . import likeness, repeats
from .answers import AnswerCheck
from .characters import Characters
from .finding import CheckedRow, FoundRows
from .labels import LabelCheck
from .languages import Languages
from .likeness import Likeness
from .preferences import PreferenceCheck
from .privacy import Secrets
from .repeats import Leaks, Repeats
from .shape import Turns, Unreadable, empty, excluded, left_out
from .thoughts import ThoughtCheck
from .tools import MOST_TOOLS, ToolCheck

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from arkor_dev.contract.dataset_shapes import CheckedFile, DataCheck, Finding
    from arkor_dev.data.reader import DataFile

    Progress = Callable[[str, int, int], None]
    """The current activity, and how many bytes of how many have been read."""

LEVELS: Final = ("error", "warning", "note")
EVERY: Final = 200
LARGE: Final = 2**16
"""Rows between two reports of progress, and the row size in bytes that always triggers one."""
TOKENIZER: Final = (
    "Checks that need the model's tokenizer: rows that max_length truncates or that leave "
    "nothing to learn, and what the chat template drops. Studio's Data page shows it."
)


def check_data(
    files: Sequence[DataFile],
    held_out: Sequence[DataFile] = (),
    progress: Progress = lambda *_: None,
    seconds: float | None = None,
) -> DataCheck:
    """Return the findings in the rows of ``files``; ``held_out`` are those of an evaluation set.

    With ``seconds`` it stops in time and says where. Raises OSError for a file that cannot be read.
    """
    return _DataReading(files, held_out, progress, seconds).report()


def rows_found(
    files: Sequence[DataFile], held_out: Sequence[DataFile] = (), progress: Progress = lambda *_: None
) -> dict[str, array[int]]:
    """Return the numbers of all rows of each finding, by its code. Raises like `check_data`."""
    reading = _DataReading(files, held_out, progress, None)
    reading.report()
    return reading.numbers


class _DataReading:
    def __init__(
        self,
        files: Sequence[DataFile],
        held_out: Sequence[DataFile],
        progress: Progress,
        seconds: float | None,
    ) -> None:
        self.files, self.held_out, self.progress = files, held_out, progress
        self.until = None if seconds is None else time.monotonic() + seconds
        self.unreadable = Unreadable()
        self.repeats, self.likeness, self.leaks = Repeats(), Likeness(), Leaks()
        self.tools = ToolCheck()
        self.checks = [
            self.repeats, self.leaks, self.likeness, Turns(), self.tools, AnswerCheck(), ThoughtCheck(),
            PreferenceCheck(), LabelCheck(), Characters(), Secrets(), Languages(),
        ]  # fmt: skip
        self.out = {EXCLUDED: FoundRows(), LEFT_OUT: FoundRows()}
        self.left_out = [TOKENIZER]
        self.rows = 0
        self.numbers: dict[str, array[int]] = {}

    def report(self) -> DataCheck:
        self._learn_held_out()
        self._read()
        self._read_again()
        findings: list[Finding] = [*self.unreadable.findings()]
        if not self.rows and not findings and not any(rows_out.count for rows_out in self.out.values()):
            findings.append(empty())
        for check in self.checks:
            findings += check.findings()
        findings += [*excluded(self.out[EXCLUDED]), *left_out(self.out[LEFT_OUT])]
        for finding in findings:
            self.numbers[finding["code"]] = finding.pop("numbers", array("I"))  # type: ignore[typeddict-item]
        findings.sort(key=lambda finding: LEVELS.index(finding["level"]))
        if self.likeness.rows > likeness.MOST_ROWS:
            self.left_out.append(f"Near duplicates after the first {likeness.MOST_ROWS:,} rows.")
        if self.likeness.full:
            self.left_out.append("Further near duplicates: there are thousands of candidates.")
        if self.repeats.rows > repeats.MOST_ROWS:
            self.left_out.append(f"Repetitions after the first {repeats.MOST_ROWS:,} rows.")
        if self.tools.full:
            self.left_out.append(
                f"Whether tools beyond the first {MOST_TOOLS:,}, or with very long names, are ever called."
            )
        with open_data(self.files) as data:
            described: list[CheckedFile] = [
                {"name": file.name, "words": data.words(at)} for at, file in enumerate(self.files)
            ]
        return {"rows": self.rows, "files": described, "findings": findings, "leftOut": self.left_out}

    def _learn_held_out(self) -> None:
        with open_data(self.held_out) as data:
            for item in data:
                if isinstance(item.row, RowError):
                    self.unreadable.add(item.location.number, item.where, item.row)
                else:
                    self.leaks.learn(CheckedRow.of(item.location.number, item.row))
                if self._is_late():
                    self.left_out.append("Part of the evaluation set: the time was up.")
                    return

    def _read(self) -> None:
        total, done = self._size(), 0
        with open_data(self.files) as data:
            for located in data.scan(every=True):
                item = data.item(located)
                if isinstance(item.row, DataError):
                    self.unreadable.add(item.location.number, item.where, item.row)
                    continue
                done += item.location.size
                if located.out:
                    if not isinstance(item.row, RowError):
                        self.out[located.out].add(CheckedRow.of(item.location.number, item.row))
                    continue
                self.rows += 1
                if isinstance(item.row, RowError):
                    self.unreadable.add(item.location.number, item.where, item.row)
                else:
                    checked = CheckedRow.of(item.location.number, item.row)
                    for check in self.checks:
                        check.examine(checked)
                if self.rows % EVERY == 0 or item.location.size > LARGE:
                    self.progress("Checking", done, total)
                if self._is_late():
                    self.tools.partial = True
                    self.left_out.append(f"Everything after row {self.rows:,}: the time was up.")
                    break
            else:
                if unmatched := data.exclusions.unmatched:
                    entries = "1 entry" if unmatched == 1 else f"{unmatched:,} entries"
                    self.left_out.append(
                        f"{entries} of exclude in arkor.toml: the row was edited or removed."
                    )

    def _read_again(self) -> None:
        numbers = {number for check in self.checks for number in check.requested()}
        total, done = self._size(), 0
        with open_data(self.files) as data:
            for located in data.scan() if numbers else ():
                done += located.location.size
                if located.location.number % EVERY == 0:
                    self.progress("Comparing", done, total)
                if located.location.number in numbers:
                    numbers.remove(located.location.number)
                    item = data.item(located)
                    if not isinstance(
                        item.row, RowError
                    ):  # may happen to a file that changed in the meantime
                        checked = CheckedRow.of(item.location.number, item.row)
                        for check in self.checks:
                            check.reexamine(checked)
                    if not numbers:
                        break

    def _is_late(self) -> bool:
        return self.until is not None and time.monotonic() > self.until

    def _size(self) -> int:
        return sum(file.path.stat().st_size for file in self.files)
