"""Measures how often planted groups are found, and groups are claimed among texts without any; how near
embeddings bring rows that belong together, compared with means of the base model's last layer; and how long a
map takes.
"""

from __future__ import annotations

import ast
import random
import re
import tempfile
import time
from functools import cache
from pathlib import Path
from statistics import fmean
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from arkor_dev.data.rows import Row
from arkor_dev.local.embeddings.groups import DIMENSIONS, principal
from arkor_dev.local.embeddings.rows import LONGEST, Read
from arkor_dev.local.embeddings.store import EmbeddedRows
from arkor_dev.local.embeddings.token_vectors import TokenVectors
from arkor_dev.local.embeddings.worker import embed, groups_of
from arkor_dev.local.modeling.base_model import load_base
from arkor_dev.local.modeling.tokenizer import load_tokenizer

from .data import write_rows
from .figures import Figure
from .starter import starter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SIZES: Final = (30, 60, 100, 300)
NULLS: Final = ("few words", "some words", "common words", "many words", "words of documents")
"""Kinds of texts without groups; see `null_texts`."""
PLANTED: Final = ((2, 100, 0.7), (3, 60, 0.6), (4, 100, 0.5), (6, 150, 0.6), (8, 200, 0.5))
"""Numbers of topics and rows, and the share of a row's words that are its topic's own."""
MODULES: Final = ((2, 20), (4, 15), (8, 12))
"""Numbers of modules, and of docstrings of each."""

PARAPHRASES: Final = """
Where is my parcel?|When will the package get here?
I forgot my password.|How do I reset my login?
Can I get a refund?|I want my money back.
How long do eggs boil?|What is the cooking time for a soft egg?
Which plants tolerate shade?|What flowers grow without much sun?
My car will not start.|The engine does not turn over in the morning.
How tall is Mount Everest?|What is the height of the highest mountain?
Cancel my subscription.|Please end my membership today.
What is the capital of France?|Which city is the seat of the French government?
The screen is cracked.|I dropped my phone and the display broke.
How do I sort a list in Python?|Ordering the elements of an array in code
My dog scratches all night.|The puppy keeps itching after dark.
Do you ship abroad?|Is delivery to other countries possible?
The invoice shows a wrong amount.|You billed me too much.
What time does the shop open?|Your business hours on Saturday, please.
I have a headache.|My head hurts since yesterday.
Recommend a novel.|Which book should I read next?
How do I lose weight?|A diet to become slimmer
The internet is slow.|My connection has little bandwidth tonight.
Teach me guitar chords.|I would like to learn to play an instrument with strings.
Is it going to rain?|What is the weather like tomorrow?
How do I remove a coffee stain?|Getting brown marks out of a white shirt
Book a table for two.|I need a dinner reservation.
When was the war over?|In which year did the fighting end?
"""
DOCS: Final = Path(__file__).parents[2] / "docs"
PACKAGE: Final = Path(__file__).parents[2] / "arkor_dev"
PURE: Final = 0.75
"""Minimum share of rows grouped with most others of their topic: k-means may take two topics for one."""


def measure(*, quick: bool) -> Iterator[Figure]:
    """Count how often groups are claimed among texts without any, and found where they are planted."""
    sets = 1 if quick else 8
    decide = Groups()
    wrong = 0
    for rows in SIZES[:2] if quick else SIZES:
        claimed = [decide(null_texts(kind, rows, seed)) is not None for kind in NULLS for seed in range(sets)]
        wrong += sum(claimed)
        yield Figure(f"{len(claimed)} sets of {rows} rows without groups: claimed", 100 * fmean(claimed), "%")
    share = 100 * wrong / (len(NULLS) * sets * len(SIZES))
    yield Figure("all sets without groups", share, "%", most=None if quick else 5)
    for topics, rows, own in PLANTED[:1] if quick else PLANTED:
        labelled = [
            (decide(texts), topic) for texts, topic in (planted(topics, rows, own, n) for n in range(sets))
        ]
        right = [labels is not None and _purity(labels, topic) > PURE for labels, topic in labelled]
        yield Figure(
            f"{topics} topics in {rows} rows: found", 100 * fmean(right), "%", least=None if quick else 50
        )
    for count, each in () if quick else MODULES:
        labelled = [(decide(texts), own) for texts, own in (docstrings(count, each, n) for n in range(sets))]
        said = [labels is not None for labels, _ in labelled]
        right = [labels is not None and _purity(labels, own) > PURE for labels, own in labelled]
        yield Figure(f"docstrings of {count} modules: groups claimed", 100 * fmean(said), "%")
        yield Figure(f"docstrings of {count} modules: groups are the modules", 100 * fmean(right), "%")

    yield from _compared()
    yield from _timed(200 if quick else 10_000)


class Groups:
    """Groups of texts, decided as in the worker."""

    def __init__(self) -> None:
        self._tokenizer, self._table = load_tokenizer(starter()), TokenVectors(starter())

    def __call__(self, texts: Sequence[str]) -> Any | None:
        """Return each text's group, or None if no groups stand out."""
        coded = [ids[:LONGEST] for ids in self._tokenizer([f" {text}" for text in texts])["input_ids"]]
        points = principal(self._table.embed(coded, lambda _: None), DIMENSIONS)
        return groups_of(coded, points, self._tokenizer, self._table)


def null_texts(kind: str, rows: int, seed: int) -> list[str]:
    """Return texts whose words are drawn independently of each other."""
    chance = random.Random(f"{kind} {rows} {seed}")  # noqa: S311 - texts, no secrets
    if kind == "words of documents":
        texts = chance.sample([text.split() for text, _ in _passages()], min(rows, 150))
        every = [word for text in texts for word in text]
        sizes = [len(text) * len(texts) // rows for text in texts for _ in range(-(-rows // len(texts)))]
        return [" ".join(chance.choices(every, k=size)) for size in sizes[:rows]]
    count, power, least, most = {
        "few words": (18, 0, 3, 8),
        "some words": (60, 0, 3, 8),
        "common words": (60, 1, 5, 15),
        "many words": (300, 1, 5, 30),
    }[kind]
    known = chance.sample(_vocabulary(), count)
    weights = [1 / at**power for at in range(1, count + 1)]
    return [" ".join(chance.choices(known, weights, k=chance.randint(least, most))) for _ in range(rows)]


def planted(topics: int, rows: int, own: float, seed: int) -> tuple[list[str], Any]:
    """Return texts of 12 words, of which a share is of their topic's 12, and the topic of each."""
    chance = random.Random(f"{topics} {rows} {own} {seed}")  # noqa: S311 - texts, no secrets
    known = chance.sample(_vocabulary(), 12 * topics + 60)
    common, topic = known[12 * topics :], [chance.randrange(topics) for _ in range(rows)]
    texts = [
        [chance.choice(known[12 * at : 12 * at + 12] if chance.random() < own else common) for _ in range(12)]
        for at in topic
    ]
    return [" ".join(text) for text in texts], np.array(topic)


def docstrings(modules: int, each: int, seed: int) -> tuple[list[str], Any]:
    """Return docstrings of this package, and the module of each."""
    chance = random.Random(f"{modules} {seed}")  # noqa: S311 - texts, no secrets
    of = {path: list(_said_in(path)) for path in sorted(PACKAGE.rglob("*.py"))}
    chosen = chance.sample([path for path in of if len(of[path]) >= each], modules)
    rows = [(text, at) for at, path in enumerate(chosen) for text in chance.sample(of[path], each)]
    return [text for text, _ in rows], np.array([at for _, at in rows])


def _said_in(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            text = ast.get_docstring(node) or ""
            if len(text) > 60:
                yield " ".join(text.split())


@cache
def _vocabulary() -> list[str]:
    return sorted(
        {word for text, _ in _passages() for word in text.split() if word.isalpha() and len(word) > 3}
    )


def _compared() -> Iterator[Figure]:
    """Measure how often a row's nearest row belongs to it."""
    pairs = [pair.split("|") for pair in PARAPHRASES.split("\n") if pair]
    topics = list(_passages())
    sets = {
        "paraphrases": [(text, at) for at, pair in enumerate(pairs) for text in pair],
        "passages of a document": topics,
    }
    base = load_base(starter())
    for name, rows in sets.items():
        texts, own = [text for text, _ in rows], np.array([label for _, label in rows])
        # Without other rows, word frequencies and the mean would be those of the paraphrases only.
        others = [] if name.startswith("pass") else [text for text, _ in topics]
        ours = _ours([*texts, *others])[: len(texts)]
        layer = _last_layer(base, texts)
        yield Figure(f"{name}: the nearest row is one", 100 * _nearest(ours, own), "%")
        yield Figure(f"{name}: the same, by the last layer's mean", 100 * _nearest(layer, own), "%")


def _passages() -> Iterator[tuple[str, int]]:
    """Yield paragraphs of documents, and the number of the document."""
    for at, path in enumerate(sorted(DOCS.glob("[!clgs]*.md"))):
        for text in re.split(r"\n\s*\n", path.read_text()):
            if 120 < len(text) < 2500 and not text.startswith(("#", "|", " ", "-", "[")):
                yield " ".join(text.split()), at


def _nearest(vectors: Any, own: Any) -> float:
    vectors = vectors.astype(np.float32) - vectors.mean(0, dtype=np.float64).astype(np.float32)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -2)
    return float((own[cosines.argmax(1)] == own).mean())


def _ours(texts: Sequence[str]) -> Any:
    with tempfile.TemporaryDirectory(prefix="arkor-bench-") as folder:
        target = Path(folder) / "rows-a-b.npz"
        rows = [Read(at, at, Row([], "", text), trained=True) for at, text in enumerate(texts, 1)]
        quiet: Any = SimpleNamespace(progress=lambda *_: None)
        embed(rows, starter(), target, quiet)
        found = EmbeddedRows.read(target)
        assert found is not None
        return found.vectors


def _last_layer(base: Any, texts: Sequence[str]) -> Any:
    rows = []
    with torch.inference_mode():
        for text in texts:
            message = [{"role": "user", "content": text}]
            ids = base.tokenizer.apply_chat_template(message, return_tensors="pt", return_dict=True)
            output = base.model(**ids, output_hidden_states=True)
            rows.append(output.hidden_states[-1][0].float().mean(0).numpy())
    return np.stack(rows)


def _timed(count: int) -> Iterator[Figure]:
    """Measure the processor time to embed and group rows of 2 kB, without starting a process."""
    with tempfile.TemporaryDirectory(prefix="arkor-bench-") as folder:
        write_rows(Path(folder) / "data.jsonl", count)
        texts = (Path(folder) / "data.jsonl").read_text().splitlines()
        spent = time.process_time()
        _ours(texts)
        yield Figure(f"a map of {count:,} rows", time.process_time() - spent, "s", most=60)


def _purity(labels: Any, own: Any) -> float:
    """Return the share of rows whose topic is their group's most frequent one."""
    return float(sum(np.bincount(own[labels == label]).max() for label in np.unique(labels)) / len(own))
