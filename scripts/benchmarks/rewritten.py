"""Measures how many edited copies of rows are recognised, how many held-out rows have a twin among those
that are trained on, and how many unrelated rows are put together; and the time for 10,000 rows.
"""

from __future__ import annotations

import json
import random
import re
import time
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Final

from arkor_dev.data.groups import groups_of
from arkor_dev.data.rows import Row
from arkor_dev.local.training.job_settings import EffectiveSettings
from arkor_dev.local.training.rows.split import split

from .figures import Figure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Pair = tuple[str, str]

ROOT: Final = Path(__file__).parents[2]
CLUSTERS: Final = 40
COPIES: Final = 3
SHARES: Final = (0.05, 0.1, 0.2, 0.3)
"""Shares of a copy's words that are replaced, in the question and in the answer."""
HELD_OUT: Final = 0.2
TEMPLATES: Final[dict[str, Callable[[str, str], Pair]]] = {
    "another number, and it in the answer": lambda one, _: (
        f"Where is my order {one}?",
        f"Your order {one} is on its way and arrives in two days.",
    ),
    "another number, the same answer": lambda one, _: (
        f"Where is my order {one}?",
        "It is on its way and arrives in two days.",
    ),
    "another name and another answer": lambda one, two: (
        f"What is the capital of {one}?",
        f"The capital is {two}.",
    ),
    "a form letter with another name": lambda one, _: (
        f"I bought a {one} in your shop last week and it arrived broken, can you tell me what to do?",
        f"We are sorry that your {one} arrived broken. Send it back with the label, and choose a refund.",
    ),
}
"""Rows that differ in what they are about."""


def measure(*, quick: bool) -> Iterator[Figure]:
    """Yield shares of planted copies, counts of unrelated rows, and seconds of processor time."""
    seeds = 1 if quick else 5
    texts = {"the example's chats": chats(), "paragraphs": paragraphs(), "random words": _random_words(300)}
    for name, pairs in texts.items():
        yield Figure(f"{name}: of {len(pairs)} rows, put together wrongly", _merged(pairs), "", most=0)
        for share in SHARES:
            found = [copies(pairs, share, seed) for seed in range(seeds)]
            pairs_found, all_pairs, leaks, held_out, groups, clusters = map(sum, zip(*found, strict=True))
            least = None if quick or share > 0.2 else 95 if share < 0.2 else 90
            label = f"{name}, {share:.0%} of the words edited"
            yield Figure(
                f"{label}: pairs of copies put together", 100 * pairs_found / all_pairs, "%", least=least
            )
            yield Figure(f"  of {held_out} held-out rows, with a copy that is trained on", leaks, "")
            yield Figure(f"  groups counted, of {clusters} clusters", groups, "")
        for many in () if quick else (10, 20, 40):
            together, all_pairs, *_ = copies(pairs, 0.1, 0, 5, many)
            label = f"{name}, 10% edited, {many} copies of a row: pairs put together"
            yield Figure(label, 100 * together / all_pairs, "%")
    for tasks, rows_each in () if quick else ((5, 60), (20, 30), (20, 20)):
        label = (
            f"{tasks} tasks of {rows_each} rows, with 80 words of instructions each and 12 of the row: groups"
        )
        yield Figure(label, groups_of(_rows(_tasks(tasks, rows_each))).count, "")
    for name, made in TEMPLATES.items():
        for count in (5, 20, 30, 100, 300):
            yield Figure(f"{count} rows beside 290, {name}: groups", _template(made, count), "")
    rows = _random_words(1000 if quick else 10_000)
    began = time.process_time()
    groups_of(_rows(rows))
    yield Figure(f"grouping {len(rows):,} rows", time.process_time() - began, "s CPU")


def copies(
    pairs: Sequence[Pair], share: float, seed: int, clusters: int = CLUSTERS, each: int = COPIES
) -> tuple[int, int, int, int, int, int]:
    """Plant edited copies of some rows, without their originals, among the others.

    Return how many pairs of copies of one row are in one group, of how many; how many held-out copies have
    one that is trained on, of how many; and how many groups those are counted as, of how many rows' copies.
    """
    chance = random.Random(f"{share} {seed}")  # noqa: S311 - texts, no secrets
    vocabulary = [word for pair in pairs for text in pair for word in text.split()]
    chosen = chance.sample(range(len(pairs)), clusters)
    rows: list[tuple[Pair, int | None]] = [(pair, None) for at, pair in enumerate(pairs) if at not in chosen]
    rows += [
        (
            (
                edited(pairs[at][0], share, chance, vocabulary),
                edited(pairs[at][1], share, chance, vocabulary),
            ),
            at,
        )
        for at in chosen
        for _ in range(each)
    ]
    chance.shuffle(rows)
    read = _rows([pair for pair, _ in rows], [str(at) for _, at in rows])
    ids = groups_of(read, 0.5).ids
    members = [[place for place, (_, own) in enumerate(rows) if own == at] for at in chosen]
    together = [ids[one] == ids[two] for own in members for one, two in combinations(own, 2)]
    parts = split(read, EffectiveSettings({"datasetSplit": HELD_OUT, "seed": seed}))
    trained = {row.where for row in parts.train}
    held_out = [
        (row.where, group)
        for row, group in zip(parts.held_out, parts.groups, strict=True)
        if row.where != "None"
    ]
    leaks = sum(where in trained for where, _ in held_out)
    groups, rows_copied = len({group for _, group in held_out}), len({where for where, _ in held_out})
    return sum(together), len(together), leaks, len(held_out), groups, rows_copied


def edited(text: str, share: float, chance: random.Random, vocabulary: Sequence[str]) -> str:
    """Return ``text`` with a share of its words replaced, at least one."""
    words = text.split()
    for place in chance.sample(range(len(words)), max(1, round(share * len(words)))):
        words[place] = chance.choice(vocabulary)
    return " ".join(words)


def _template(made: Callable[[str, str], Pair], count: int) -> int:
    chance = random.Random(count)  # noqa: S311 - texts, no secrets
    values = [str(value) for value in chance.sample(range(10_000, 99_999), 2 * count)]
    pairs = [made(values[at], values[count + at]) for at in range(count)]
    return len(set(groups_of(_rows([*pairs, *paragraphs()[:290]])).ids[:count]))


def _tasks(tasks: int, rows_each: int) -> list[Pair]:
    chance = random.Random(tasks)  # noqa: S311 - texts, no secrets
    known = sorted({word for pair in paragraphs() for text in pair for word in text.split()})
    rows = []
    for _ in range(tasks):
        instructions = " ".join(chance.choices(known, k=80))
        labels = chance.sample(known, 4)
        rows += [
            (f"{instructions} {' '.join(chance.choices(known, k=12))}", chance.choice(labels))
            for _ in range(rows_each)
        ]
    return rows


def _merged(pairs: Sequence[Pair]) -> int:
    return len(pairs) - groups_of(_rows(pairs)).count


def _rows(pairs: Sequence[Pair], names: Sequence[str] | None = None) -> list[Row]:
    return [
        Row([{"role": "user", "content": asked}, {"role": "assistant", "content": said}], name)
        for (asked, said), name in zip(pairs, names or [""] * len(pairs), strict=True)
    ]


def chats() -> list[Pair]:
    """Return the last question and answer of each row of the example project."""
    lines = (ROOT / "examples" / "support-bot" / "data" / "chats.jsonl").read_text().splitlines()
    turns = [[turn["content"] for turn in json.loads(line)["messages"]] for line in lines]
    return [(contents[-2], contents[-1]) for contents in turns]


def paragraphs() -> list[Pair]:
    """Return paragraphs of the documentation: the first sentence as a question, the others as its answer."""
    pairs: dict[str, str] = {}
    for path in sorted((ROOT / "docs").glob("*.md")):
        for text in re.split(r"\n\s*\n", path.read_text()):
            sentences = re.split(r"(?<=[.?!:]) ", " ".join(text.split()), maxsplit=1)
            if (
                160 < len(text) < 2500
                and not text.startswith(("#", "|", " ", "-", "["))
                and len(sentences) == 2
            ):
                pairs.setdefault(*sentences)
    return list(pairs.items())


def _random_words(count: int) -> list[Pair]:
    """Return 10 words and 25 words a row, of 500."""
    chance = random.Random(0)  # noqa: S311 - texts, no secrets
    known = [f"word{number}" for number in range(500)]
    return [
        (" ".join(chance.choices(known, k=10)), " ".join(chance.choices(known, k=25))) for _ in range(count)
    ]
