"""Problems of rows that only the model's tokenizer and template reveal."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from arkor_dev.data.findings.shape import LEFT_OUT_FIX, LEFT_OUT_WHY
from arkor_dev.data.findings.thoughts import KEEP_SWITCH

if TYPE_CHECKING:
    import re

    from arkor_dev.contract.dataset_shapes import Finding, FindingRow
    from arkor_dev.data.rows import Row

    from .tokens import TokenizedRow

MOST_ROWS: Final = 20
"""Maximum number of rows listed for one finding."""
EXCERPT: Final = 120
(
    UNREADABLE,
    REFUSED,
    NOTHING,
    CUT_AWAY,
    CUT,
    MISSED,
    SYSTEM,
    TOOLS,
    CALLS,
    PARALLEL,
    END,
    SPECIAL,
    THOUGHTS,
    EMPTY_THOUGHTS,
    FORBIDDEN,
    EARLIER,
    EXCLUDED,
    LEFT_OUT,
    WRONG_LABEL,
) = (1 << bit for bit in range(19))


@dataclass(frozen=True, slots=True)
class FindingKind:
    """A kind of finding. In its texts, ``{n}`` is the number of rows, ``{length}`` the truncation length."""

    flag: int
    code: str
    level: Literal["error", "warning", "note"]
    singular: str
    many: str
    why: str
    fix: str


KINDS: Final = (
    FindingKind(
        UNREADABLE,
        "unreadable",
        "error",
        "1 row cannot be read",
        "{n} rows cannot be read",
        "Training stops at the first unreadable row, or skips it with skip_bad_rows.",
        "Correct or remove these rows.",
    ),
    FindingKind(
        REFUSED,
        "template-refuses",
        "error",
        "The chat template rejects 1 row",
        "The chat template rejects {n} rows",
        "The model's chat template does not allow such a conversation, and training stops there.",
        "Convert these rows to the form that the template expects: usually alternating user and assistant.",
    ),
    FindingKind(
        NOTHING,
        "nothing-to-learn",
        "error",
        "1 row has nothing to learn",
        "{n} rows have nothing to learn",
        "The chat template drops the whole answer, and training stops there.",
        "End each of these rows with an answer, or remove them.",
    ),
    FindingKind(
        CUT_AWAY,
        "answer-cut-away",
        "error",
        "1 row is truncated before its answer",
        "{n} rows are truncated before their answer",
        "Nothing is left to learn within {length} tokens, and training stops there.",
        "Raise max_length, shorten the text before the answer, or remove these rows.",
    ),
    FindingKind(
        CUT,
        "cut",
        "warning",
        "1 row is longer than {length} tokens",
        "{n} rows are longer than {length} tokens",
        "The rest is truncated: the model learns answers that stop in the middle.",
        "Raise max_length, or shorten these rows.",
    ),
    FindingKind(
        MISSED,
        "answer-not-learned",
        "warning",
        "An answer of 1 row is not learned",
        "Answers of {n} rows are not learned",
        "The chat template drops the answer, or part of it.",
        "Choose a model whose chat template keeps such answers, or write them as plain answers.",
    ),
    FindingKind(
        SYSTEM,
        "system-dropped",
        "warning",
        "The chat template drops the system prompt of 1 row",
        "The chat template drops the system prompt of {n} rows",
        "The model never sees this text, in training or later.",
        "Move them into the first user message, or choose a model whose template has a system prompt.",
    ),
    FindingKind(
        TOOLS,
        "tools-dropped",
        "warning",
        "The chat template drops the tools of 1 row",
        "The chat template drops the tools of {n} rows",
        "The model learns calls to tools that it has never seen described.",
        "Choose a model whose chat template supports tools, or describe them in the system prompt.",
    ),
    FindingKind(
        CALLS,
        "calls-dropped",
        "warning",
        "The chat template drops tool calls of 1 row",
        "The chat template drops tool calls of {n} rows",
        "The model does not learn to call tools, and sees results without their calls.",
        "Choose a model whose chat template supports tool calls, or remove these rows.",
    ),
    FindingKind(
        PARALLEL,
        "parallel-calls",
        "warning",
        "The chat template cannot write parallel calls of 1 row",
        "The chat template cannot write parallel calls of {n} rows",
        "It writes one call per message: it drops the others, or rejects the row.",
        "Give each call a message of its own, with its result behind it, or choose a model whose chat "
        "template has parallel calls.",
    ),
    FindingKind(
        END,
        "no-end-mark",
        "warning",
        "1 row has no end token",
        "{n} rows have no end token",
        "The model does not learn where an answer ends, and keeps generating.",
        "Choose a model whose chat template ends an answer with a special token.",
    ),
    FindingKind(
        SPECIAL,
        "special-in-text",
        "warning",
        "1 row spells out a special token",
        "{n} rows spell out special tokens",
        "The tokenizer treats it as the real one: a turn seems to start or end in the middle of a text.",
        "Remove these words from the texts, unless they are intended as the model's special tokens.",
    ),
    FindingKind(
        THOUGHTS,
        "thoughts-dropped",
        "warning",
        "The chat template drops thoughts of 1 row",
        "The chat template drops thoughts of {n} rows",
        "They are not learned, and the model answers without having thought.",
        "Choose a model whose chat template has thoughts, or write them into the content, as "
        "<think>…</think> before the answer.",
    ),
    FindingKind(
        EMPTY_THOUGHTS,
        "learned-empty-thoughts",
        "warning",
        "1 row teaches empty thoughts",
        "{n} rows teach empty thoughts",
        "The row has none, or empty ones, and the chat template writes them out. The model learns to end its "
        "thoughts at once, also where it is asked to think: its switch (enable_thinking) stops working.",
        KEEP_SWITCH,
    ),
    FindingKind(
        FORBIDDEN,
        "forbidden-thoughts",
        "warning",
        "1 row has thoughts after a prompt that says not to think",
        "{n} rows have thoughts after a prompt that says not to think",
        "With enable_thinking = false, the model learns to think although it is asked not to: its switch "
        "stops working.",
        "Remove chat_template_kwargs.enable_thinking, or remove the thoughts from the rows.",
    ),
    FindingKind(
        WRONG_LABEL,
        "wrong-label",
        "warning",
        "The label of 1 row is probably wrong",
        "The labels of {n} rows are probably wrong",
        "TF-IDF with logistic regression, trained without the row, is surer of another label than it is of "
        "rows that have that label.",
        "Read these rows: correct the label, remove the row, or leave it as it is if the label is right.",
    ),
    FindingKind(
        EARLIER,
        "earlier-thoughts",
        "note",
        "The chat template drops thoughts of earlier turns in 1 row",
        "The chat template drops thoughts of earlier turns in {n} rows",
        "As it does in a chat. Each answer is learned in an example of its own, with its own thoughts after "
        "a text without those before it.",
        "Nothing needs to be done. With completion_only_loss, only the last answer is learned: fewer tokens, "
        "and less time.",
    ),
    FindingKind(
        EXCLUDED,
        "excluded",
        "note",
        "1 row is excluded",
        "{n} rows are excluded",
        "arkor.toml lists them in exclude, so they are not trained on.",
        "Include a row to train on it again.",
    ),
    FindingKind(
        LEFT_OUT,
        "left-out",
        "note",
        "1 row is left out by judgements",
        "{n} rows are left out by judgements",
        LEFT_OUT_WHY,
        LEFT_OUT_FIX,
    ),
)
BY_CODE: Final = {kind.code: kind.flag for kind in KINDS}


@dataclass(slots=True)
class _Rows:
    count: int = 0
    heap: list[tuple[int, int, str, str]] = field(default_factory=list)
    """Weight, row (negative, so that the first of several equal ones stays), position and excerpt."""


class Findings:
    """Collects findings row by row: the number of rows for each kind, and the most important rows."""

    def __init__(self) -> None:
        self._rows = {kind.flag: _Rows() for kind in KINDS}

    def add(self, flags: int, row: int, where: str, excerpt: str, weight: int = 0) -> None:
        """Record a row with its ``flags``; the rows with the largest ``weight`` are listed for each kind."""
        for kind in KINDS:
            if not flags & kind.flag:
                continue
            rows = self._rows[kind.flag]
            rows.count += 1
            entry = (weight, -row, where, excerpt)
            if len(rows.heap) < MOST_ROWS:
                heapq.heappush(rows.heap, entry)
            else:
                heapq.heappushpop(rows.heap, entry)

    def listing(self, length: int) -> list[Finding]:
        """Return the findings, errors first."""
        return [self._finding(kind, length) for kind in KINDS if self._rows[kind.flag].count]

    def _finding(self, kind: FindingKind, length: int) -> Finding:
        collected = self._rows[kind.flag]
        rows: list[FindingRow] = [
            {"row": -row, "where": where, "excerpt": excerpt}
            for _, row, where, excerpt in sorted(collected.heap, reverse=True)
        ]
        fields = {"n": f"{collected.count:,}", "length": f"{length:,}"}
        return {
            "code": kind.code,
            "level": kind.level,
            "title": (kind.singular if collected.count == 1 else kind.many).format(**fields),
            "why": kind.why.format(**fields),
            "fix": kind.fix,
            "count": collected.count,
            "rows": rows,
        }


def flags_of(
    seen: TokenizedRow, max_length: int, specials: re.Pattern[str], special_ids: frozenset[int]
) -> int:
    """Return the kinds of finding that apply to a row."""
    flags, first = 0, seen.first
    if seen.begins is not None and seen.begins >= max_length:
        flags |= CUT_AWAY
    if seen.learns == "tokens" and first is None:
        flags |= NOTHING
    if seen.learns != "sampled" and seen.length > max_length:
        flags |= CUT
    if any(message["role"] == "system" for message in seen.lost):
        flags |= SYSTEM
    lost = any(message["role"] == "assistant" for message in seen.lost)
    if first is not None and (seen.missed or lost):
        flags |= MISSED
    if seen.drops_tools:
        flags |= TOOLS
    if seen.unwritten_calls != "none":
        flags |= PARALLEL if seen.unwritten_calls == "parallel" else CALLS
    if first is not None and not _ends(seen, special_ids):
        flags |= END
    for applies, flag in (
        (seen.thoughts.dropped, THOUGHTS),
        (seen.thoughts.learned_empty, EMPTY_THOUGHTS),
        (seen.thoughts.forbidden, FORBIDDEN),
        (seen.thoughts.dropped_later, EARLIER),
    ):
        if applies:
            flags |= flag
    if any(specials.search(content) for content in contents(seen.row)):
        flags |= SPECIAL
    return flags


def contents(row: Row, *, without: str = "", only: str = "") -> list[str]:
    """Return the texts of a row's messages, without the role ``without``, or only of the role ``only``."""
    messages = (message for message in row.messages if message["role"] != without)
    texts = [message.get("content") for message in messages if not only or message["role"] == only]
    return [text for text in (None if only else row.text, *texts) if isinstance(text, str)]


def _ends(seen: TokenizedRow, special_ids: frozenset[int]) -> bool:
    """Return whether the last token of the last answer is a special one."""
    coding = seen.parts[-1].coded
    end = coding.spans[-1][1] if coding.spans else len(coding.text)
    last = next(
        (
            token
            for token, (left, right) in zip(reversed(coding.ids), reversed(coding.offsets), strict=True)
            if left < end and left < right
        ),
        None,
    )
    return last in special_ids
