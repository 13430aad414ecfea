"""One row as tokens with what each of them is: learned or not, special, and which message it belongs to.

Whether a token is learned is read from the labels that training would have, and never found out again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.local.training.rows.encoding import IGNORED, coded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from arkor_dev.contract.dataset_shapes import DatasetTokens, TokenRun
    from arkor_dev.data.rows import Row
    from arkor_dev.local.training.rows.encoding import Coded

SHOWN: Final = 4_000
"""Tokens of one row that are shown one by one."""
SHOWN_TEXT: Final = 200_000
"""Characters of them; a tokenizer may make one token of a whole row."""
TEMPLATE: Final = "template"
"""The role of what the chat template adds."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A row, its tokens, and each token's role; ``lost`` are messages whose text the template left out."""

    row: Row
    coded: Coded
    roles: list[str]
    lost: list[dict[str, Any]]

    @property
    def length(self) -> int:
        return len(self.coded.ids)

    @property
    def first(self) -> int | None:
        """The place of the first token that is learned; the very first of a row never is."""
        labels = self.coded.labels
        return next((place for place in range(1, len(labels)) if labels[place] != IGNORED), None)

    def runs(self) -> Iterator[tuple[int, int]]:
        """From where to where tokens are learned."""
        start = 0
        for learned, run in groupby(self.coded.labels, lambda label: label != IGNORED):
            end = start + sum(1 for _ in run)
            if learned:
                yield start, end
            start = end

    def by_role(self) -> dict[str, int]:
        """How many tokens each role has."""
        counts: dict[str, int] = {}
        for role in self.roles:
            counts[role] = counts.get(role, 0) + 1
        return counts


def seen(tokenizer: Any, row: Row, responses_only: bool, last_only: bool) -> Seen:
    """The row as training would see it, before the cut; raises :class:`JobFailure` as ``coded`` does."""
    whole = coded(tokenizer, row, responses_only, last_only)
    ranges, lost = _messages_in(row, whole)
    return Seen(row, whole, _roles(whole.offsets, ranges, len(whole.ids)), lost)


def _messages_in(row: Row, whole: Coded) -> tuple[list[tuple[int, int, str]], list[dict[str, Any]]]:
    """Where each message's text stands in the template's, and the messages that do not.

    An answer is the range that training learns, its end mark included; of others it is the content alone.
    """
    text, cursor = whole.text, 0
    if row.text is not None:
        return [(0, len(text), "text")], []
    found: list[tuple[int, int, str]] = [(start, end, "assistant") for start, end in whole.spans]
    lost = []
    for message in row.messages:
        words = content.strip() if isinstance(content := message.get("content"), str) else ""
        if not words:
            continue
        at = text.find(words, cursor)
        if at < 0:
            if words not in text:
                lost.append(message)
            continue
        cursor = at + len(words)
        if not any(start <= at < end for start, end in whole.spans):
            found.append((at, cursor, message["role"]))
    return sorted(found), lost


def _roles(offsets: Sequence[tuple[int, int]], ranges: list[tuple[int, int, str]], count: int) -> list[str]:
    roles, place = [TEMPLATE] * count, 0
    for index, (left, right) in enumerate(offsets):
        while place < len(ranges) and ranges[place][1] <= left:
            place += 1
        if place == len(ranges) or left == right:
            continue
        start, _, role = ranges[place]
        # A token that begins before an answer is not learned, and so is not the answer's.
        if start <= left or (start < right and role != "assistant"):
            roles[index] = role
    return roles


def special_pattern(tokenizer: Any) -> re.Pattern[str]:
    """Finds a special token that is spelled out in a text."""
    added = getattr(tokenizer, "added_tokens_decoder", {})
    named = {str(token) for token in tokenizer.all_special_tokens}
    named |= {str(token) for token in added.values() if getattr(token, "special", False)}
    spelled = sorted((token for token in named if len(token) > 1), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, spelled)) or r"(?!)")


def special_ids(tokenizer: Any) -> frozenset[int]:
    """The ids of every special token."""
    added = getattr(tokenizer, "added_tokens_decoder", {})
    return frozenset(tokenizer.all_special_ids).union(
        number for number, token in added.items() if getattr(token, "special", False)
    )


def told(specials: frozenset[int], number: int, what: Seen) -> DatasetTokens:
    """A row for the wire."""
    whole = what.coded
    texts: list[str] = []
    size = 0
    for text in _texts(whole):
        size += len(text)
        if len(texts) == SHOWN or size > SHOWN_TEXT:
            break
        texts.append(text)
    shown = len(texts)
    return {
        "row": number,
        "where": what.row.where,
        "length": what.length,
        "learned": sum(label != IGNORED for label in whole.labels),
        "first": what.first,
        "roles": what.by_role(),
        "shown": shown,
        "ids": whole.ids[:shown],
        "texts": texts,
        "special": [place for place, token in enumerate(whole.ids[:shown]) if token in specials],
        "runs": list(_wire_runs(what, shown)),
    }


def _texts(whole: Coded) -> Iterator[str]:
    """Each token's part of the text; together they are the text, but for what follows the last one."""
    done = 0
    for _, right in whole.offsets:
        yield whole.text[done : max(right, done)]
        done = max(right, done)


def _wire_runs(what: Seen, shown: int) -> Iterator[TokenRun]:
    labels = what.coded.labels
    for (learned, role), run in groupby(
        range(shown), lambda place: (labels[place] != IGNORED, what.roles[place])
    ):
        yield {"count": sum(1 for _ in run), "learned": learned, "role": role}
