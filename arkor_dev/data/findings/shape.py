"""Rows that cannot be read, by the kind of error, and conversations out of turn."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

from .finding import SHOWN_ROWS, Check, CheckedRow, FoundRows, be, have, one_line
from .masking import masked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arkor_dev.contract.dataset_shapes import Finding
    from arkor_dev.data.rows import Fault, RowError, RowMessage

STOPS: Final = "Training stops with an error at the first of them."
_WRONG: Final[dict[Fault, tuple[str, str, str, str]]] = {
    "json": (
        "not-json",
        "not JSON",
        STOPS,
        'Correct each where it is reported; often a comma or a quote. Text is written as {"text": "…"}.',
    ),
    "table": (
        "not-cells",
        "not written as the table's first line says",
        STOPS,
        "Correct each; often it is a quote, or a comma in an unquoted cell.",
    ),
    "encoding": (
        "not-utf8",
        "not UTF-8",
        STOPS,
        "Save the file as UTF-8; in a spreadsheet the format is called CSV UTF-8.",
    ),
    "size": ("too-long", "longer than a row may be", STOPS, "Split each into smaller rows, or remove it."),
    "keys": (
        "wrong-keys",
        "without the keys that a row needs",
        STOPS,
        "Rename them, or map them: dataset = { path = …, columns = { … } }. A table's first line names them.",
    ),
    "content": (
        "wrong-content",
        "not what its keys promise",
        STOPS,
        "Correct each as its reason suggests, or remove it.",
    ),
    "blank": ("blank", "without an answer or a text", STOPS, "Fill in the answer, or remove the row."),
}
"""For each kind of error: code, title, why, fix."""


class Unreadable:
    """Invalid rows. Their excerpt is the reason, which names line and column."""

    def __init__(self) -> None:
        self._by_fault: dict[Fault, FoundRows] = {}

    def add(self, number: int, where: str, error: RowError) -> None:
        rows = self._by_fault.setdefault(error.kind, FoundRows())
        rows.count += 1
        rows.numbers.append(number)
        if len(rows.rows) < SHOWN_ROWS:
            rows.rows.append({"row": number, "where": where, "excerpt": one_line(masked(str(error)))})

    def findings(self) -> Iterator[Finding]:
        """See ``Check.findings``."""
        if files := self._by_fault.get("file"):
            finding = files.finding("unreadable", "error", "", STOPS, "Correct or remove the file.")
            file_count = "1 file" if files.count == 1 else f"{files.count:,} files"
            finding["title"] = f"{file_count} cannot be read completely"
            yield finding
        for fault, (code, title, why, fix) in _WRONG.items():
            if rows := self._by_fault.get(fault):
                yield rows.finding(code, "error", f"{be(rows.count)} {title}", why, fix)


def empty() -> Finding:
    """Return the finding for a data set without rows."""
    return {
        "code": "empty",
        "level": "error",
        "title": "The data set has no rows",
        "why": "Nothing can be trained on.",
        "fix": 'Write one JSON object per line, such as {"prompt": "…", "completion": "…"}.',
        "count": 0,
        "rows": [],
    }


def excluded(rows: FoundRows) -> Iterator[Finding]:
    """Yield the finding of rows that ``exclude`` names, if there are any."""
    if rows.count:
        yield rows.finding(
            "excluded",
            "note",
            f"{be(rows.count)} excluded",
            "arkor.toml lists them in exclude, so they are not trained on.",
            "Remove their entries to train on them again.",
        )


LEFT_OUT_WHY: Final = (
    "They are not trained on: they were rejected, or a program made them and nobody has accepted them, or "
    'only = "accepted" leaves out what nobody has accepted.'
)
LEFT_OUT_FIX: Final = 'Accept rows on the Data page, or set only = "all" to train on every row.'


def left_out(rows: FoundRows) -> Iterator[Finding]:
    """Yield the finding of rows that their judgements leave out, if there are any."""
    if rows.count:
        title = f"{be(rows.count)} left out by judgements"
        yield rows.finding("left-out", "note", title, LEFT_OUT_WHY, LEFT_OUT_FIX)


class Turns(Check):
    """Conversations with an empty user message, two turns of one role in a row, or an unanswered end."""

    def __init__(self) -> None:
        self._out_of_turn, self._unanswered, self._unasked = FoundRows(), FoundRows(), FoundRows()

    def examine(self, checked: CheckedRow) -> None:
        turns = [message for message in checked.row.messages if message["role"] != "system"]
        if not turns:
            return
        for turn, after in pairwise(turns):
            if turn["role"] == "user" and not turn["content"].strip():
                self._unasked.add(checked, f"user: (empty) → {after['role']}: {after['content']}")
                break
        index = _out_of_turn(turns)
        if index is not None:
            roles = " → ".join(message["role"] for message in turns[max(0, index - 1) : index + 1])
            self._out_of_turn.add(checked, f"{roles}: {turns[index]['content']}")
        elif turns[-1]["role"] != "assistant":
            self._unanswered.add(checked, f"{turns[-1]['role']}: {turns[-1]['content']}")

    def findings(self) -> Iterator[Finding]:
        """See ``Check.findings``."""
        if self._out_of_turn.count:
            yield self._out_of_turn.finding(
                "roles",
                "warning",
                f"{have(self._out_of_turn.count)} roles that do not alternate",
                "In use, user and assistant alternate. Some chat templates reject anything else, and the "
                "job fails.",
                "Join consecutive messages of one role; start with the user.",
            )
        if self._unasked.count:
            yield self._unasked.finding(
                "empty-question",
                "warning",
                f"{have(self._unasked.count)} an empty user message",
                "The model learns the answer to nothing: it may give it whatever it is asked.",
                "Fill in the question, or remove the row.",
            )
        if self._unanswered.count:
            yield self._unanswered.finding(
                "unanswered",
                "note",
                f"{'ends' if self._unanswered.count == 1 else 'end'} with an unanswered last message",
                "Messages after the last answer are not trained on.",
                "Add the answer, or remove the message.",
            )


def _out_of_turn(turns: list[RowMessage]) -> int | None:
    """Return the index of the first message that cannot follow the one before it."""
    before = ""
    for index, message in enumerate(turns):
        role = message["role"]
        if (role == before and role != "tool") or (role == "assistant" and not before):
            return index
        if (role == "tool" and before not in ("assistant", "tool")) or (role == "user" and before == "tool"):
            return index
        before = role
    return None
