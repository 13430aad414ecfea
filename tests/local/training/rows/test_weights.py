"""Mixtures: how often an epoch uses the rows of each source."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.data.sources import uses_of
from arkor_dev.local.execution.messages import JobRequest
from arkor_dev.local.training.preparation import RunPreparation
from arkor_dev.local.training.rows.weights import distinct, weighted
from arkor_dev.local.training.run_events import RunEvents
from arkor_dev.local.workers.errors import JobFailure
from tests.local.job_configs import config_of

from .test_split import places, row

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.data.rows import Row


def of_sources(*counts: int) -> list[Row]:
    """Rows of sources with so many each, with all places unlike."""
    rows = [(source, number) for source, count in enumerate(counts) for number in range(count)]
    return [row(1000 * source + number, source=source) for source, number in rows]


def uses(mixed: list[Row]) -> list[int]:
    """How often each row is in a mixture, in the order of its rows."""
    return list(Counter(places(mixed)).values())


def test_a_weight_says_how_often_an_epoch_uses_each_row() -> None:
    rows = of_sources(4, 10, 3)
    mixed = weighted(rows, [2, 0.5, 0], seed=1)
    assert uses(mixed) == [2] * 4 + [1] * 5
    assert {row.source for row in mixed} == {0, 1}
    assert places(mixed[:4]) == ["line 0", "line 0", "line 1", "line 1"]
    assert distinct(mixed) == weighted(rows, [1, 0.5, 0], seed=1)


def test_the_fraction_of_a_weight_is_a_seeded_share_of_the_rows() -> None:
    rows = of_sources(10)
    mixed = weighted(rows, [2.3], seed=1)
    assert sorted(uses(mixed)) == [2] * 7 + [3] * 3
    assert mixed == weighted(rows, [2.3], seed=1)
    others = [places(weighted(rows, [0.3], seed=seed)) for seed in range(20)]
    assert len({tuple(other) for other in others}) > 1


@pytest.mark.parametrize("weight", [0, 0.04, 0.5, 1, 2.3, 100])
def test_uses_are_counted_as_rows_are_mixed(weight: float) -> None:
    mixed = weighted(of_sources(1, 11), [1, weight], seed=1)
    assert sum(row.source for row in mixed) == uses_of(11, weight)


def test_the_seed_chooses_by_source_so_that_other_sources_do_not_matter() -> None:
    few, many = of_sources(3, 10), of_sources(50, 10)
    chosen = [[one.where for one in weighted(rows, [1, 0.5], 7) if one.source == 1] for rows in (few, many)]
    assert chosen[0] == chosen[1]


def test_weights_that_leave_no_row_are_refused() -> None:
    with pytest.raises(JobFailure, match="leave no row to train on"):
        weighted(of_sources(3), [0.1], seed=1)


class Said(RunEvents):
    """Keeps the sentences of a preparation."""

    def __init__(self) -> None:
        self.sentences: list[str] = []
        super().__init__(lambda event: self.sentences.append(str(dict(event).get("message"))))


def prepared(project: Path, weights: list[float], **settings: Any) -> tuple[RunPreparation, list[str]]:
    for number, count in enumerate((30, 20)):
        lines = [
            f'{{"prompt": "{one.messages[0]["content"]}", "completion": "{number}"}}'
            for one in map(row, range(1000 * number, 1000 * number + count))
        ]
        (project / f"{number}.jsonl").write_text("\n".join(lines))
    sources = [
        {"type": "file", "path": f"{number}.jsonl", "weight": weight} for number, weight in enumerate(weights)
    ]
    config = {"model": "m", "datasetSource": {"type": "list", "sources": sources}, **settings}
    said = Said()
    job = JobRequest(id="job_000000000000", config=config_of(config), data=str(project), project=str(project))
    preparation = RunPreparation(job, said, lambda *_: None)
    preparation.read()
    return preparation, said.sentences


def test_rows_are_held_out_before_they_are_weighted(tmp_path: Path) -> None:
    plain, _ = prepared(tmp_path, [1, 1], datasetSplit=0.3)
    mixed, said = prepared(tmp_path, [3, 0], datasetSplit=0.3)
    assert places(mixed.eval_rows) == places(plain.eval_rows)  # also of the source that is not trained on
    assert not {*places(mixed.train_rows)} & {*places(mixed.eval_rows)}
    trained = [where for where in places(plain.train_rows) if where.startswith("0.jsonl")]
    assert Counter(places(mixed.train_rows)) == dict.fromkeys(trained, 3)
    held = 30 - len(trained)
    assert f"Rows of an epoch, by source: 0.jsonl {3 * (30 - held)} of {30 - held}, 1.jsonl 0 of" in said[-1]


def test_an_epoch_has_as_many_steps_as_the_mixture_has_rows(tmp_path: Path) -> None:
    mixed, _ = prepared(tmp_path, [2, 0.5], datasetSplit=0, evalSteps=0, batchSize=5)
    assert len(mixed.train_rows) == 70
    assert mixed.plan.per_epoch == 14


def test_a_dry_run_ignores_weights(tmp_path: Path) -> None:
    mixed, said = prepared(tmp_path, [0, 1], dryRun=True)
    assert {one.where.partition(",")[0] for one in mixed.train_rows} == {"0.jsonl"}
    assert not [sentence for sentence in said if "by source" in sentence]
