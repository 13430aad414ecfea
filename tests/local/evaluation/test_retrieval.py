"""Search by embeddings: the figures of sentence-transformers and scipy, and verdicts by chance."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

from arkor_dev.data.row_parser import row_of
from arkor_dev.data.text_pairs import TEXT_PAIRS
from arkor_dev.local.evaluation.answers import Stopped
from arkor_dev.local.evaluation.embedder_stage import EmbedderStage
from arkor_dev.local.evaluation.retrieval import RECALLS, correlation, found, ranks, spearman_by_row
from arkor_dev.local.modeling.example import Example
from arkor_dev.local.workers.errors import JobFailure


def units(chance: Any, *shape: int) -> Any:
    vectors = chance.normal(size=shape)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def test_figures_are_those_of_sentence_transformers() -> None:
    evaluation = pytest.importorskip("sentence_transformers.sentence_transformer.evaluation")
    chance = np.random.default_rng(1)
    queries, documents = units(chance, 30, 8), units(chance, 50, 8)
    relevant = [set(chance.choice(50, size=chance.integers(1, 4), replace=False).tolist()) for _ in queries]
    evaluator = evaluation.InformationRetrievalEvaluator(
        {str(at): "" for at in range(30)},
        {str(at): "" for at in range(50)},
        {str(at): set(map(str, wanted)) for at, wanted in enumerate(relevant)},
        precision_recall_at_k=list(RECALLS),
    )
    cosines = queries @ documents.T
    theirs = evaluator.compute_metrics(
        [
            [{"corpus_id": str(at), "score": row[at]} for at in np.argsort(-row, kind="stable")]
            for row in cosines
        ]
    )
    ours = found(queries, documents, relevant)
    assert ours.ndcg.mean() == pytest.approx(theirs["ndcg@k"][10])
    assert ours.mrr.mean() == pytest.approx(theirs["mrr@k"][10])
    for k, recall in zip(RECALLS, ours.recalls, strict=True):
        assert recall.mean() == pytest.approx(theirs["recall@k"][k])
    assert ours.first == cosines.argmax(1).tolist()


def test_fewer_documents_than_ten_are_all_found() -> None:
    corners = np.eye(3)
    ours = found(corners, corners, [{0}, {1}, {0, 1}])
    assert ours.ndcg[:2].tolist() == [1, 1]
    assert ours.mrr.tolist() == [1, 1, 0.5]
    assert [recall.tolist() for recall in ours.recalls] == [[1, 1, 0], [1, 1, 1], [1, 1, 1]]


def test_a_model_that_embeds_all_texts_alike_finds_documents_by_chance() -> None:
    """A corpus comes after the held-out documents, which must not decide between equals."""
    ours = found(np.ones((10, 1)), np.ones((1000, 1)), [{at} for at in range(10)])
    assert [recall.mean() for recall in ours.recalls] == pytest.approx([0, 0, 0], abs=0.1)
    assert ours.ndcg.mean() < 0.1


def test_the_mean_share_is_spearmans_correlation() -> None:
    stats = pytest.importorskip("scipy.stats")
    chance = np.random.default_rng(2)
    scores = chance.integers(0, 5, 60).astype(float)
    cosines = np.round(scores + chance.normal(scale=2, size=60), 1)
    shares = spearman_by_row(cosines, scores)
    assert shares.mean() == pytest.approx(stats.spearmanr(cosines, scores).statistic)
    without = [np.delete(values, 7) for values in (cosines, scores)]
    alone = correlation(ranks(without[0]), ranks(without[1]))
    assert alone == pytest.approx(stats.spearmanr(*without).statistic)
    # The shares' spread is that of the correlation between samples.
    again = []
    for seed in range(300):
        drawn = np.random.default_rng(seed).normal(size=(2, 60))
        again.append((spearman_by_row(drawn[0], drawn[0] + drawn[1]).std() / 60**0.5, drawn))
    spread = np.std([stats.spearmanr(first, first + second).statistic for _, (first, second) in again])
    assert np.mean([error for error, _ in again]) == pytest.approx(spread, rel=0.2)


class Model:
    """Gives texts the vectors that a test made, by their first token."""

    def __init__(self, vectors: Any) -> None:
        self.vectors_of = vectors

    def vectors(self, sequences: Any) -> Any:
        return np.array([self.vectors_of[sequence.ids[0]] for sequence in sequences])


def stage(rows: int, *, scored: bool = False, groups: list[int] | None = None, **facts: Any) -> EmbedderStage:
    """Each row's anchor is the text of its number, its document that of its number plus ``rows``."""
    records = [
        {"sentence1": f"asked {row}", "sentence2": f"found {row}", "score": row / rows}
        if scored
        else {"anchor": f"asked {row}", "positive": f"found {row}"}
        for row in range(rows)
    ]
    held_out = [
        Example(
            [row], [row], others=(Example([row + rows], [0]),), score=row / rows if scored else None, counts=1
        )
        for row in range(rows)
    ]
    return EmbedderStage(
        rows=[row_of(record, f"row {at}", None, {}, forms=TEXT_PAIRS) for at, record in enumerate(records)],
        groups=groups or list(range(rows)),
        held_out=held_out,
        general=(),
        batch=8,
        progress=lambda *_: None,
        cancelled=lambda: False,
        margin=0.01,
        **facts,
    )


def near(chance: Any, rows: int, noise: float) -> Any:
    """Vectors whose documents lie near their anchors."""
    anchors = units(chance, rows, 16)
    vectors = np.concatenate([anchors, anchors + chance.normal(scale=noise, size=anchors.shape)])
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def test_an_adapter_that_finds_more_is_better() -> None:
    chance = np.random.default_rng(3)
    judged = stage(60).run(Model(near(chance, 60, 0.1)), nullcontext(Model(units(chance, 120, 16))))
    task = judged.evaluation["heldOut"]
    assert judged.evaluation["verdict"] == task["verdict"] == "better"
    assert task["measure"] == {"label": "nDCG@10", "unit": "", "higher": True}
    assert task["adapter"] > 0.9 > 0.3 > task["base"]
    retrieved = task["retrieved"]
    assert (retrieved["queries"], retrieved["documents"]) == (60, 60)
    assert [entry["k"] for entry in retrieved["recall"]] == [1, 5, 10]
    assert retrieved["recall"][0]["adapter"] > 0.9
    assert "nDCG@10 1.000 vs. 0.0" in task["sentence"]
    assert "Recall among 60 documents: 1.00 at 1" in task["sentence"]
    row = judged.rows[0]
    assert (row["question"], row["wanted"], row["adapterAnswer"]) == ("asked 0", "found 0", "found 0")
    assert row["adapter"] == 1


def test_a_corpus_is_searched_besides_the_held_out_documents() -> None:
    chance = np.random.default_rng(3)
    vectors = near(chance, 20, 0.1)
    # Right beside the first anchor lies a document of the corpus; another one is that row's own.
    vectors = np.concatenate([vectors, vectors[:1], units(chance, 1, 16)])
    corpus = [Example([20], [0]), Example([40], [0]), Example([41], [0])]
    searched = stage(20, corpus=corpus, texts=["found 0", "nearer", "elsewhere"])
    judged = searched.run(Model(vectors), nullcontext(Model(vectors)))
    task = judged.evaluation["heldOut"]
    assert task["retrieved"]["documents"] == 22
    assert "Recall among 22 documents: 0.95 at 1, 1.00 at 5" in task["sentence"]
    assert [row["adapterAnswer"] for row in judged.rows[:2]] == ["nearer", "found 1"]
    assert judged.rows[0]["adapter"] == pytest.approx(1 / np.log2(3), abs=1e-3)


def test_rows_with_the_same_anchor_are_one_query_with_several_right_documents() -> None:
    rows = stage(4)
    rows.held_out = [
        rows.held_out[0],
        Example([0], [0], others=(Example([5], [0]), Example([6], [0])), counts=1),
        *rows.held_out[2:],
    ]
    rows.rows = [
        *rows.rows[:1],
        row_of({"anchor": "asked 0", "positive": "b", "negative": "c"}, "row 1", None, {}, forms=TEXT_PAIRS),
        *rows.rows[2:],
    ]
    rows.prepare()
    assert len(rows._queries) == 3
    assert len(rows._documents) == 4
    chance = np.random.default_rng(4)
    judged = rows.run(Model(units(chance, 8, 4)), nullcontext(Model(units(chance, 8, 4))))
    assert judged.rows[0]["adapter"] == judged.rows[1]["adapter"]


def test_scores_are_judged_by_rank_correlation() -> None:
    chance = np.random.default_rng(5)
    anchors = np.tile([1.0, 0.0], (50, 1))
    angles = np.linspace(1.5, 0, 50) + chance.normal(scale=0.1, size=50)
    good = np.concatenate([anchors, np.stack([np.cos(angles), np.sin(angles)], 1)])
    poor = np.concatenate([anchors, units(chance, 50, 2)])
    judged = stage(50, scored=True).run(Model(good), nullcontext(Model(poor)))
    task = judged.evaluation["heldOut"]
    assert task["verdict"] == "better"
    assert task["measure"]["label"] == "Rank correlation"
    assert "retrieved" not in task
    assert task["adapter"] > 0.95
    assert "rank correlation 0.9" in task["sentence"]


@pytest.mark.parametrize("scored", [False, True])
def test_models_that_differ_by_chance_are_rarely_called_better(scored: bool) -> None:
    """40 queries in groups of two, whose luck is the same; 2.5 % of simulated runs may be called better."""
    verdicts = []
    for seed in range(100):
        chance = np.random.default_rng(seed)
        models = []
        for _ in range(2):
            vectors = near(chance, 40, 0.45)
            vectors[1::2] = vectors[::2] + chance.normal(scale=0.01, size=(40, 16))
            models.append(Model(vectors))
        rows = stage(40, scored=scored, groups=[row // 2 for row in range(40)])
        verdicts.append(rows.run(models[0], nullcontext(models[1])).evaluation["verdict"])
    assert verdicts.count("better") <= 5
    assert verdicts.count("worse") <= 5


def test_an_adapter_that_changes_nothing_is_the_same() -> None:
    model = Model(near(np.random.default_rng(6), 40, 0.4))
    assert stage(40).run(model, nullcontext(model)).evaluation["verdict"] == "same"


def test_it_stops_and_refuses_vectors_that_are_no_numbers() -> None:
    model = Model(np.full((8, 2), np.nan))
    with pytest.raises(JobFailure, match="is not a number"):
        stage(4).run(model, nullcontext(model))
    stopped = stage(4)
    stopped.cancelled = lambda: True
    with pytest.raises(Stopped):
        stopped.run(model, nullcontext(model))
