"""Measures how often planted groups are found, and groups are claimed in clouds without any; how near
embeddings bring rows that belong together, compared with means of the base model's last layer; and how long a
map takes.
"""

from __future__ import annotations

import re
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from arkor_dev.data.rows import Row
from arkor_dev.local.embeddings.groups import DIMENSIONS, grouped, principal
from arkor_dev.local.embeddings.rows import Read
from arkor_dev.local.embeddings.store import EmbeddedRows
from arkor_dev.local.embeddings.worker import embed
from arkor_dev.local.modeling.base_model import load_base

from .data import write_rows
from .figures import Figure
from .starter import starter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WIDTH: Final = 64
CLOUDS: Final = ("normal", "stretched", "heavy tails", "block", "skewed", "arc", "sphere")
PLANTED: Final = ((3, 1.0), (4, 0.5), (8, 0.5), (12, 1.0))
"""Numbers of groups, and the standard deviation of their centers relative to that of the points around
them.
"""

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
PURE: Final = 0.75
"""Minimum share of points grouped with most others of their center: k-means may take two groups for one."""


def measure(*, quick: bool) -> Iterator[Figure]:
    """Draw clouds of each kind, and count those with groups."""
    clouds, rows = (2, 100) if quick else (20, 300)
    wrong = 0
    for kind in CLOUDS:
        found = sum(_labels(cloud(kind, seed, rows)) is not None for seed in range(clouds))
        wrong += found
        yield Figure(f"{kind} cloud: groups claimed", 100 * found / clouds, "%")
    most = None if quick else 5
    yield Figure("all clouds without groups", 100 * wrong / clouds / len(CLOUDS), "%", most=most)
    for count, apart in PLANTED:
        right = 0
        for seed in range(clouds):
            points, own = planted(count, apart, seed, rows)
            labels = _labels(points)
            right += labels is not None and _purity(labels, own) > PURE
        least = None if quick else 75
        yield Figure(f"{count} groups, {apart:g} apart: found", 100 * right / clouds, "%", least=least)

    yield from _compared()
    yield from _timed(200 if quick else 10_000)


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


def cloud(kind: str, seed: int, rows: int) -> Any:
    """Return points without groups."""
    chance = np.random.default_rng(seed)
    scale = (1 / np.arange(1, WIDTH + 1)) ** 0.7
    shape = (rows, WIDTH)
    match kind:
        case "normal":
            return chance.normal(size=shape)
        case "stretched":
            return chance.normal(size=shape) * scale
        case "heavy tails":
            return chance.normal(size=shape) * scale / np.sqrt(chance.chisquare(5, size=(rows, 1)) / 5)
        case "block":
            return chance.uniform(-1, 1, size=shape) * scale
        case "skewed":
            return chance.exponential(size=shape) * scale
        case "arc":
            along = chance.uniform(size=(rows, 1))
            arc = np.hstack([6 * along, 2 * np.sin(3 * along), 2 * np.cos(3 * along)])
            return np.hstack([arc, 0.3 * chance.normal(size=(rows, WIDTH - 3))])
    points = chance.normal(size=shape) * scale
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def planted(count: int, apart: float, seed: int, rows: int) -> tuple[Any, Any]:
    """Return points about ``count`` centers, and the center of each."""
    chance = np.random.default_rng(seed)
    own = chance.integers(count, size=rows)
    return apart * chance.normal(size=(count, WIDTH))[own] + chance.normal(size=(rows, WIDTH)), own


def _labels(points: Any) -> Any:
    return grouped(principal(points.astype(np.float16), DIMENSIONS))


def _purity(labels: Any, own: Any) -> float:
    """Return the share of grouped points whose planted center is their group's most frequent one."""
    return float(sum(np.bincount(own[labels == label]).max() for label in np.unique(labels)) / len(own))
