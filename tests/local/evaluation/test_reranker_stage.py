"""A reranker on held-out rows: the order of each query's documents, against that of the rows."""

from __future__ import annotations

import random
from typing import Any

import pytest

from arkor_dev.data.relevance import RELEVANCE
from arkor_dev.data.row_parser import row_of
from arkor_dev.local.evaluation.reranker_stage import RerankerStage
from arkor_dev.local.evaluation.retrieval import order_figures
from arkor_dev.local.modeling.example import Example
from arkor_dev.local.workers.errors import JobFailure


def test_an_orders_figures_are_those_of_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    chance = random.Random(1)
    for _ in range(20):
        scores = [chance.choice([0, 0.2, 0.7, 1]) for _ in range(14)]
        if not any(scores):
            continue
        ndcg, rank = order_figures(scores)
        order = list(range(14, 0, -1))
        assert ndcg == pytest.approx(metrics.ndcg_score([scores], [order], k=10))
        first = next((at for at, score in enumerate(scores, 1) if score >= 0.5), 99)
        assert rank == (1 / first if first <= 10 else 0)
    assert order_figures([0, 0]) == (0, 0)


def stage(queries: int, documents: int, chance: random.Random) -> RerankerStage:
    """Each query has one relevant document, at any place."""
    records, held_out = [], []
    for query in range(queries):
        right = chance.randrange(documents)
        for place in range(documents):
            score = float(place == right)
            records.append({"query": f"asked {query}", "document": f"{query}/{place}", "label": score})
            held_out.append(Example([len(records)], [0], score=score, counts=1))
    return RerankerStage(
        rows=[row_of(record, f"row {at}", None, {}, forms=RELEVANCE) for at, record in enumerate(records)],
        groups=[at // documents for at in range(len(records))],
        held_out=held_out,
        general=(),
        batch=8,
        progress=lambda *_: None,
        cancelled=lambda: False,
        margin=0.01,
    )


class Model:
    """Gives rows a logit by their relevance and chance."""

    def __init__(self, knows: float, chance: random.Random) -> None:
        self.knows, self.chance = knows, chance

    def relevance(self, rows: Any) -> list[float]:
        return [self.knows * row.score + self.chance.gauss(0, 1) for row in rows]


def test_a_reranker_that_knows_is_better_than_the_order_of_the_rows() -> None:
    chance = random.Random(2)
    judged = stage(40, 5, chance).run(Model(5, chance), None)
    task = judged.evaluation["heldOut"]
    assert judged.evaluation["verdict"] == task["verdict"] == "better"
    assert task["measure"]["label"] == "nDCG@10"
    assert task["reranked"]["queries"] == 40
    assert task["reranked"]["mrr"]["adapter"] > 0.9 > task["reranked"]["mrr"]["base"]
    assert "in the order of the rows, as the base cannot rank" in task["sentence"]
    assert "200 held-out rows in 40 groups" in task["sentence"]
    row = judged.rows[0]
    assert row["baseAnswer"] == "0/0"
    assert row["adapterAnswer"].startswith("0/")


def test_random_orders_are_rarely_called_better() -> None:
    """2.5 % of simulated runs may be called better, and as many worse."""
    verdicts = []
    for seed in range(100):
        chance = random.Random(seed)
        verdicts.append(stage(30, 4, chance).run(Model(0, chance), None).evaluation["verdict"])
    assert verdicts.count("better") <= 6
    assert verdicts.count("worse") <= 6


def test_a_logit_that_is_no_number_is_refused() -> None:
    chance = random.Random(3)
    with pytest.raises(JobFailure, match="relevance of a row is not a number"):
        stage(3, 2, chance).run(Model(float("nan"), chance), None)
